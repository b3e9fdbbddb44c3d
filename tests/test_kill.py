"""A kill costs seconds: real kills of real walks, and the same bytes in the end."""

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from approach.inversion import checkpoint
from helpers.paths import ROOT
from helpers.runs import Workflow

KEYS = {"name": "kill", "loss": "pyramid", "seeds": 2, "steps": 1200}
SETTING = "loss~pyramid+lr~0.05"
WALK = f"results/kill/{SETTING}/trajectories/0-1.safetensors"
# Only the walk is asked for: what follows it is not the subject here.
ONLY = ("--until", "invert")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_words):
    """The bytes of a walk that nobody killed."""
    workflow = Workflow(tmp_path_factory.mktemp("undisturbed"), tiny_words)
    workflow.done(*ONLY, **KEYS)
    return (workflow.folder / WALK).read_bytes()


def begin(workflow):
    environment = {**os.environ, "PYTHONPATH": ""}
    return subprocess.Popen(
        workflow.command(*ONLY, **KEYS),
        cwd=workflow.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def walker(workflow):
    """The process that walks, once it has written a checkpoint."""
    checkpoint = workflow.folder / f"results/kill/{SETTING}/checkpoints/0-1.pt"
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if checkpoint.exists():
            for process in psutil.process_iter(["cmdline", "cwd"]):
                words = process.info["cmdline"] or []
                if process.info["cwd"] == str(workflow.folder) and words and words[-1].endswith(".invert.py"):
                    return process
        time.sleep(0.05)
    raise AssertionError("no walk began within two minutes")


def test_a_walk_killed_at_random_moments_is_the_same_walk(workflow, undisturbed):
    chance = random.Random(5)
    kills = 0
    while not (workflow.folder / WALK).exists() and kills < 3:
        snakemake = begin(workflow)
        try:
            process = walker(workflow)
            time.sleep(chance.uniform(0, 2))
            process.kill()
            kills += 1
        except (AssertionError, psutil.NoSuchProcess):
            pass  # it finished first
        snakemake.communicate(timeout=120)
    assert kills
    finished = (workflow.folder / WALK).exists()
    result = workflow.done(*ONLY, **KEYS)
    assert ("goes on at step" in result.stderr) == (not finished)
    assert (workflow.folder / WALK).read_bytes() == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_walk_that_is_asked_to_stop_writes_where_it_is(workflow, undisturbed, number):
    snakemake = begin(workflow)
    walker(workflow).send_signal(number)
    _, said = snakemake.communicate(timeout=120)
    assert snakemake.returncode != 0
    assert f"({signal.Signals(number).name}); the same command goes on from here" in said
    result = workflow.done(*ONLY, **KEYS)
    assert "goes on at step" in result.stderr
    assert (workflow.folder / WALK).read_bytes() == undisturbed


def test_when_snakemake_is_killed_the_walk_stops_and_the_same_command_goes_on(workflow, undisturbed):
    snakemake = begin(workflow)
    process = walker(workflow)
    os.kill(snakemake.pid, signal.SIGKILL)
    # At once, while the orphan may still walk: the second run waits for it and never writes beside it.
    unlocked = subprocess.run(
        [*workflow.command("--unlock", **KEYS)], cwd=workflow.folder, capture_output=True, text=True, check=False
    )
    assert unlocked.returncode == 0, unlocked.stderr
    result = workflow.done(*ONLY, **KEYS)
    assert not process.is_running()
    assert "goes on at step" in result.stderr
    assert (workflow.folder / WALK).read_bytes() == undisturbed


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "0-1.pt"
    with checkpoint.only_writer(path):
        code = f"""
import sys; sys.path.insert(0, {str(ROOT / "workflow" / "scripts")!r})
from pathlib import Path
from approach.inversion import checkpoint
checkpoint.LOCK_PATIENCE = 0.2
try:
    with checkpoint.only_writer(Path({str(path)!r})):
        print("wrote")
except checkpoint.UserError as error:
    print(error)
"""
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "another process is walking this batch" in said
    with checkpoint.only_writer(path):
        pass
