"""A kill costs seconds: real kills of real inversions, and the same bytes in the end."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from approach.inversion import checkpoint
from helpers.paths import ROOT
from helpers.runs import Workflow

pytestmark = pytest.mark.slow

KEYS = {"name": "kill", "loss": "pyramid", "seeds": 2, "steps": 1200}
SETTING = "loss~pyramid+lr~0.4"
TRAJECTORIES = f"results/kill/{SETTING}/trajectories/0-1.safetensors"
# Only the inversion is asked for: what follows it is not the subject here.
ONLY = ("--until", "invert")
AGAIN = "nothing is lost, the same command starts again"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_words):
    """The bytes of an inversion that nobody killed."""
    workflow = Workflow(tmp_path_factory.mktemp("undisturbed"), tiny_words)
    workflow.done(*ONLY, **KEYS)
    return (workflow.folder / TRAJECTORIES).read_bytes()


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


def inverter(workflow, after=0):
    """The process that inverts, once it has written a checkpoint after a moment [ns since 1970]."""
    checkpoint = workflow.folder / f"results/kill/{SETTING}/checkpoints/0-1.pt"
    limit = time.monotonic() + 300
    while time.monotonic() < limit:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns > after:
            for process in psutil.process_iter(["cmdline", "cwd"]):
                words = process.info["cmdline"] or []
                if process.info["cwd"] == str(workflow.folder) and words and words[-1].endswith(".invert.py"):
                    return process
        time.sleep(0.05)
    raise AssertionError("no inversion began within five minutes")


def test_an_inversion_killed_at_random_moments_is_the_same_inversion(workflow, undisturbed):
    chance = random.Random(5)
    kills = 0
    while not (workflow.folder / TRAJECTORIES).exists() and kills < 3:
        snakemake = begin(workflow)
        try:
            process = inverter(workflow)
            time.sleep(chance.uniform(0, 2))
            process.kill()
            kills += 1
        except (AssertionError, psutil.NoSuchProcess):
            pass  # it finished first
        snakemake.communicate(timeout=120)
    assert kills
    finished = (workflow.folder / TRAJECTORIES).exists()
    result = workflow.done(*ONLY, **KEYS)
    went_on = "goes on at step" in result.stderr or "was finished before" in result.stderr
    assert went_on == (not finished)
    assert (workflow.folder / TRAJECTORIES).read_bytes() == undisturbed


def test_an_inversion_that_is_asked_to_stop_writes_where_it_is(workflow, undisturbed):
    for number in (signal.SIGTERM, signal.SIGINT):
        began = time.time_ns()
        snakemake = begin(workflow)
        inverter(workflow, began).send_signal(number)
        _, said = snakemake.communicate(timeout=120)
        assert snakemake.returncode != 0
        assert f"({signal.Signals(number).name}); the same command goes on from here" in said
    result = workflow.done(*ONLY, **KEYS)
    assert "goes on at step" in result.stderr
    assert (workflow.folder / TRAJECTORIES).read_bytes() == undisturbed


def test_when_snakemake_is_killed_the_inversion_stops_and_the_same_command_goes_on(workflow, undisturbed):
    snakemake = begin(workflow)
    process = inverter(workflow)
    os.kill(snakemake.pid, signal.SIGKILL)
    # At once, while the orphan may still work: the second run waits for it and never writes beside it.
    unlocked = subprocess.run(
        [*workflow.command("--unlock", **KEYS)], cwd=workflow.folder, capture_output=True, text=True, check=False
    )
    assert unlocked.returncode == 0, unlocked.stderr
    result = workflow.done(*ONLY, **KEYS)
    assert not process.is_running()
    assert "goes on at step" in result.stderr
    assert (workflow.folder / TRAJECTORIES).read_bytes() == undisturbed


def test_a_finished_inversion_that_snakemake_has_not_recorded_costs_no_step(workflow, undisturbed):
    snakemake = begin(workflow)
    limit = time.monotonic() + 300
    while not (workflow.folder / TRAJECTORIES).exists():
        assert time.monotonic() < limit
        time.sleep(0.001)
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.communicate(timeout=60)
    workflow.done("--unlock", **KEYS)
    assert workflow.planned(*ONLY, **KEYS).get("invert") == 1  # it was not recorded
    result = workflow.done(*ONLY, **KEYS)
    assert "was finished before" in result.stderr
    assert f"/{KEYS['steps']}, nearest" not in result.stderr
    assert (workflow.folder / TRAJECTORIES).read_bytes() == undisturbed
    checkpoint = workflow.folder / f"results/kill/{SETTING}/checkpoints/0-1.pt"
    assert checkpoint.exists()
    workflow.done("--until", "losses", **KEYS)
    assert not checkpoint.exists()


def test_a_shell_named_like_snakemake_may_end(workflow):
    script, words = workflow.folder / "snakemake-night.sh", workflow.folder / "night.log"
    script.write_text(f"#!/bin/sh\n{shlex.join(workflow.command(*ONLY, **KEYS))}\n")
    script.chmod(0o755)
    shell = subprocess.Popen(
        ["bash", "-c", f"nohup {script} > {words} 2>&1 & read -r line"],
        cwd=workflow.folder,
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ""},
    )
    inverter(workflow)
    shell.communicate(timeout=60)
    limit = time.monotonic() + 300
    while "Complete log" not in words.read_text():  # Snakemake's last words, whatever became of the run
        assert time.monotonic() < limit
        time.sleep(0.2)
    assert "Snakemake is gone" not in words.read_text()
    assert (workflow.folder / TRAJECTORIES).exists()


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/venv/bin/python /venv/bin/snakemake --cores 2", True),
        ("python3.12 -m snakemake --mode subprocess", True),
        ("/usr/bin/python3 -W ignore -m snakemake", True),
        ("bash -c snakemake --cores all", False),
        ("/bin/sh ./snakemake-night.sh", False),
        ("python .snakemake/scripts/tmp1.invert.py", False),
        ("python run_snakemake.py snakemake", False),
        ("", False),
    ],
)
def test_what_snakemake_is(line, is_one):
    assert checkpoint.is_snakemake(line.split()) is is_one


def test_of_all_ancestors_the_run_itself_is_watched():
    lines = ["python -m snakemake --mode subprocess", "sh -c snakemake", "python /bin/snakemake -c 2"]
    lines += ["bash snakemake-night.sh", "python /bin/snakemake -c 9"]
    ancestors = [SimpleNamespace(cmdline=line.split) for line in lines]
    assert checkpoint.snakemake_of(ancestors) == [ancestors[0], ancestors[2]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_first_step_a_signal_ends_the_job_at_once(tmp_path, number):
    code = f"""
import runpy, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, {str(ROOT / "workflow" / "scripts")!r})
from approach.inversion import batch

def begin(*words):
    print("reads", flush=True)
    time.sleep(300)

batch.read_config = begin
before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]  # a shell's background job ignores SIGINT
Named = type("Named", (dict,), {{"__getattr__": dict.__getitem__}})  # as Snakemake's, by attribute and by key
files = dict.fromkeys(["architecture", "weights", "target"], {str(Path(__file__))!r})
trajectories = {str(tmp_path / "setting" / "trajectories" / "0-1.safetensors")!r}
job = SimpleNamespace(
    log=[{str(tmp_path / "job.log")!r}], wildcards=SimpleNamespace(setting="setting", seeds="0-1"), input=files,
    output=SimpleNamespace(trajectories=trajectories, table=trajectories),
    params=Named(config={{}}, code="", labels={{"setting": "setting"}}),
)
try:
    runpy.run_path({str(ROOT / "workflow" / "scripts" / "invert.py")!r}, init_globals={{"snakemake": job}})
finally:
    print([signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "reads\n"
    process.send_signal(number)
    restored, said = process.communicate(timeout=60)
    assert process.returncode == 1
    name = signal.Signals(number).name
    assert said == f"[invert setting 0-1] stopped before a step was done ({name}); {AGAIN}\n"
    assert restored == "True\n"


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
    assert "another process is inverting this batch" in said
    with checkpoint.only_writer(path):
        pass


def test_a_snakemake_that_is_done_waits_for_no_timer():
    lines = ["import threading", "from approach.processes import leave_soon"]
    lines += ["threading.Timer(60, print).start()", "leave_soon()"]
    environment, began = {**os.environ, "PYTHONPATH": str(ROOT / "workflow" / "scripts")}, time.monotonic()
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, env=environment)
    assert time.monotonic() - began < 30
