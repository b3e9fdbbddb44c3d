"""Faults: what is damaged, how, and what must happen. Nothing finished is lost, and every fault is named in a line."""

import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save
from snakemake.cli import parse_config

from approach import digest
from approach.biggan.config import read_config
from approach.classes import read_names
from approach.errors import UserError, one_line
from approach.files import read_json, read_npz, read_pixels, read_table, read_yaml, reading
from approach.inversion.checkpoint import read_checkpoint, write_checkpoint
from approach.inversion.descent import State
from approach.inversion.starts import Latents
from approach.losses.discriminator import load_discriminator
from approach.planning import locks
from approach.planning.checks import check_before_jobs
from approach.planning.command_line import check_retyped
from approach.planning.finished import restore_targets
from approach.planning.plan import make_plan
from approach.target import check_picture
from approach.trajectories import TrajectoryFile, read_metadata, write_trajectories
from helpers.generators import TINY
from helpers.paths import ROOT
from helpers.runs import Workflow

KEYS = {"name": "faults", "loss": "l2", "seeds": 2, "steps": 3, "target": "target.png"}
SETTING = "results/faults/loss~l2+lr~0.4"
TRAJECTORIES = f"{SETTING}/trajectories/0-1.safetensors"
TARGET = "results/faults/target.png"
ONLY = ("--until", "losses")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_words):
    """A finished inversion of two seeds; its target is a noise of 60 x 40 px."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"), tiny_words)
    Image.effect_noise((60, 40), 60).convert("RGB").save(workflow.folder / "target.png")
    Image.effect_noise((60, 40), 20).convert("RGB").save(workflow.folder / "other.png")
    said = workflow.done(*ONLY, **KEYS).stderr
    assert "1 setting x 2 seeds = 2 trajectories of 3 steps, 2 of them to invert" in said
    return workflow


@pytest.fixture
def here(finished, monkeypatch):
    """The finished folder, to work in."""
    monkeypatch.chdir(finished.folder)
    return finished


def plan_of(workflow, root, hydra="", **keys):
    """The plan that a command has, looked at as before its first job."""
    plan = make_plan({**KEYS, **keys, "hydra": f"{workflow.words} {hydra}"}, root)
    check_before_jobs(plan)
    return plan


@contextmanager
def damaged(path, data):
    """A file with other bytes for a while; None: without it. Its old bytes and time stamp come back afterwards."""
    path = Path(path)
    kept, times = path.read_bytes(), path.stat()
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    try:
        yield kept
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def half(path):
    """The first half of a file's bytes."""
    data = Path(path).read_bytes()
    return data[: len(data) // 2]


# What a finished run is asked for then: keys, Hydra words, what the refusal says.
OTHERWISE = {
    "more steps": ({"steps": 8}, "", "with steps=3 and not 8"),
    "other starts": ({}, "start.logit_std=2", "with start.logit_std="),
    "an optimizer's key": ({}, "optimizer.warmup=0.2", "with optimizer.warmup="),
    "a loss's weight": ({}, "loss.terms.l2=2", "with loss.terms.l2="),
    "another truncation": ({}, "generator.truncation=0.3", "with truncation="),
    "another point of the picture": ({}, "target.focus=[0,0]", "with target.focus=[0.5, 0.5]"),
    "another square": ({}, "target.fit=pad", "with target.fit=crop"),
    "another target": ({"target": "other.png"}, "", "from another target than other.png is now"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", OTHERWISE)
def test_finished_trajectories_are_counted_and_named_before_they_are_replaced(here, root, change):
    keys, hydra, said = OTHERWISE[change]
    with pytest.raises(UserError) as refusal:
        plan_of(here, root, hydra, **keys)
    line = str(refusal.value)
    assert line.startswith("results/faults holds 2 finished trajectories made ") and said in line
    assert "name=... of its own" in line and "overwrite=true to lose those" in line
    before = Path(TARGET).read_bytes()
    plan_of(here, root, hydra, overwrite=True, **keys)
    assert Path(TARGET).read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("hydra", ["video.fps=20", "metrics=[l2]", "seeds_per_job=1", "montage.tile=64", "lr=0.4,0.1"])
def test_what_replaces_no_trajectory_is_not_refused(here, root, hydra):
    keys = dict([hydra.split("=")]) if hydra.startswith("lr") else {}
    plan_of(here, root, "" if keys else hydra, **keys)


@pytest.mark.slow
def test_a_target_is_guarded_against_every_setting_of_the_folder(here, root):
    """The setting that is asked for has no trajectories yet, but those of another setting lie beside it."""
    with pytest.raises(UserError, match="trajectories of other settings made from another target than other"):
        plan_of(here, root, loss="l1", target="other.png")
    plan_of(here, root, loss="l1", target="target.png")


@pytest.mark.slow
def test_snakemake_says_what_is_inverted_again(finished):
    refusal = finished.run("-n", **{**KEYS, "steps": KEYS["steps"] - 1})
    assert refusal.returncode == 1
    assert refusal.stderr.splitlines()[-1].startswith("error: results/faults holds 2 finished trajectories made with")
    kept = (finished.folder / TRAJECTORIES).read_bytes()
    said = finished.done(*ONLY, "--forcerun", "invert", **KEYS).stderr
    assert "2 of them to invert" in said
    assert "2 of them are finished and are inverted again" in said
    assert (finished.folder / TRAJECTORIES).read_bytes() == kept
    assert finished.planned(*ONLY, **KEYS) == {}


# target.png: what has become of it
TARGETS = {
    "empty": lambda: b"",
    "cut short": lambda: half(TARGET),
    "a flipped bit": lambda: Path(TARGET).read_bytes()[:-30] + b"\0" + Path(TARGET).read_bytes()[-29:],
    "another picture": lambda: Path("other.png").read_bytes(),
    "gone": lambda: None,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", TARGETS)
def test_a_damaged_target_is_made_anew_the_same(here, root, damage):
    with damaged(TARGET, TARGETS[damage]()) as kept:
        plan_of(here, root)
        assert Path(TARGET).read_bytes() == kept


@pytest.mark.slow
def test_an_undamaged_target_stays_where_its_picture_has_to_be_fetched_again(here, root, monkeypatch):
    plan, kept = plan_of(here, root), Path(TARGET).read_bytes()
    monkeypatch.setattr("approach.planning.finished.wanted_target", lambda _: None)
    restore_targets(plan)
    assert Path(TARGET).read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", None])
def test_a_damaged_target_takes_no_trajectory_with_it(finished, data):
    with damaged(finished.folder / TARGET, data):
        assert finished.planned(*ONLY, **KEYS) == {}


@pytest.fixture
def file(tmp_path):
    """A small trajectory file."""
    path = tmp_path / "0-1.safetensors"
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    write_trajectories(
        path, [0, 1], values, values, values, {"seeds": [0, 1], "status": ["ok"] * 2, "last_step": [2, 2]}
    )
    return path


def read_whole(path):
    found = TrajectoryFile(path)
    return [found.trajectory(seed) for seed in found.metadata["seeds"]]


def test_no_flipped_bit_of_a_trajectory_is_accepted(file):
    data = file.read_bytes()
    assert len(read_whole(file)) == 2
    accepted = []
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        try:
            read_whole(file)
        except UserError as error:
            assert str(file) in str(error) and "delete it to have it made again" in str(error)
        else:
            accepted.append(place)
    assert accepted == []


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, -1])
def test_a_trajectory_that_was_cut_short_is_named(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError, match=r"0-1\.safetensors: is damaged .* delete it to have it made again"):
        read_metadata(file)


def test_bytes_that_are_no_trajectory_are_named(file):
    source = random.Random(0)
    for length in (8, 50, 500, 5000):
        file.write_bytes(source.randbytes(length))
        with pytest.raises(UserError, match="is damaged or no trajectory file"):
            read_metadata(file)
    file.write_bytes((50_000).to_bytes(8, "little") + b"[" * 50_000)
    with pytest.raises(UserError, match="is damaged or no trajectory file"):
        read_metadata(file)


@pytest.mark.slow
def test_a_damaged_trajectory_stops_its_own_run_in_one_line_and_no_other(here, root):
    with damaged(TRAJECTORIES, half(TRAJECTORIES)):
        with pytest.raises(UserError, match=r"0-1\.safetensors: is damaged .* delete it"):
            plan_of(here, root)
        plan_of(here, root, loss="l1")


@pytest.mark.slow
def test_a_trajectory_of_an_earlier_version_is_not_called_damaged(here, root):
    with safe_open(TRAJECTORIES, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        metadata = {key: text for key, text in file.metadata().items() if not key.endswith("_sha256")}
    old = save(tensors, metadata)
    with damaged(TRAJECTORIES, old):
        with pytest.raises(UserError, match=r"not damaged, but made by an earlier version, .* name=.* overwrite=true"):
            plan_of(here, root)
        plan_of(here, root, overwrite=True)
        plan_of(here, root, loss="l1")
    for changed in (old[:-1], b"", b"\xff" * 99):
        with damaged(TRAJECTORIES, changed), pytest.raises(UserError, match="is damaged or no trajectory file"):
            plan_of(here, root)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--lint", "--unlock"])
def test_what_has_nothing_to_do_with_results_does_not_look_at_them(finished, option):
    with damaged(finished.folder / TRAJECTORIES, b"") as _, damaged(finished.folder / TARGET, b""):
        finished.done(option, **KEYS)
        assert (finished.folder / TARGET).read_bytes() == b""


@pytest.mark.parametrize("damage", ["bit", "empty", "half", "words"])
def test_a_damaged_checkpoint_begins_anew_with_a_line(tmp_path, caplog, damage):
    zeros = torch.zeros(1, 2, 3)
    names = ("latents", "previous")
    given = {field.name: Latents(zeros, zeros) if field.name in names else zeros for field in fields(State)}
    state, path = State(**{**given, "step": 1}), tmp_path / "0.pt"
    write_checkpoint(path, state, {"device": "cpu"}, "this one")
    data = path.read_bytes()
    assert read_checkpoint(path, "this one")[1] == {"device": "cpu"}
    flipped = [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(0, len(data), 7)]
    for changed in {"bit": flipped, "empty": [b""], "half": [data[: len(data) // 2]], "words": [b"words" * 99]}[damage]:
        path.write_bytes(changed)
        assert read_checkpoint(path, "this one") is None
    assert f"the checkpoint {path} cannot be read" in caplog.text
    assert "the inversion begins anew" in caplog.text


# An intermediate file: who reads it.
READERS = {
    "losses.csv": lambda path: read_table(path, "seed", "step", "loss"),
    "losses.parquet": lambda path: read_table(path, "seed"),
    "stills.npz": read_npz,
    "film.json": lambda path: read_json(path, "channels"),
    "experiment.yaml": read_yaml,
    "montage.png": read_pixels,
}


def write_whole(path):
    """An undamaged file of that name."""
    table = pd.DataFrame({"seed": [0, 0], "step": [0, 1], "loss": [0.5, 0.25]})
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".npz":
        np.savez_compressed(path, images=np.arange(999))
    elif path.suffix == ".png":
        Image.effect_noise((64, 64), 60).save(path)
    else:
        path.write_text('{"channels": ["one", "two", "three"]}')


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "gone"])
def test_a_damaged_intermediate_file_is_named_with_the_remedy(tmp_path, name, damage):
    path = tmp_path / name
    write_whole(path)
    READERS[name](path)
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "half": data[: len(data) // 3], "zeros": bytes(len(data)), "gone": b""}[damage])
    if damage == "gone":
        path.unlink()
    with pytest.raises(UserError) as error:
        READERS[name](path)
    assert str(error.value).startswith(f"{path}: is damaged (")
    assert "delete it, and the same command makes it again" in str(error.value)


def test_what_a_file_lacks_is_said_in_words():
    said = re.escape("losses.csv: is damaged (it has no (1, 9)); delete it")
    with pytest.raises(UserError, match=said), reading("losses.csv"):
        raise KeyError((1, 9))


def test_a_line_is_short_and_holds_no_control_characters():
    text = one_line(UserError("bad \x1b[31m name\nof a file " + "x" * 5000 + "; delete it"))
    assert len(text) <= 500 and text.isprintable()
    assert text.startswith(r"bad \x1b[31m name\nof") and text.endswith("; delete it")


def limited(code, bytes_of_a_file):
    """Run Python that may write no file larger than that: as on a disk without room."""
    head = f"import sys; sys.path.insert(0, {str(ROOT / 'workflow/scripts')!r})\nimport resource, signal\n"
    head += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    head += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_of_a_file},) * 2)\n"
    return subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_full_disk_is_one_line_and_leaves_no_part(tmp_path, size):
    result = limited(
        f"""
from pathlib import Path
from types import SimpleNamespace
from approach.inversion import checkpoint
from approach.job import job
import torch
with job({str(tmp_path / "logs" / "invert.log")!r}, "invert") as log:
    log.info("a line")
    state = SimpleNamespace(z=torch.zeros(1000), latents=None, previous=None)
    checkpoint.write_checkpoint(Path({str(tmp_path)!r}) / "0.pt", state, {{}}, "this one")
""",
        size,
    )
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines == ["[invert] a line", "[invert] error: File too large; make room, and the same command goes on"]
    assert "Traceback" not in (tmp_path / "logs" / "invert.log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def in_a_small_file_system(folder, script):
    """Run a shell script in a file system of 64 kB, which others see as the empty folder that it was."""
    mounted = f"mount -t tmpfs -o size=64k small '{folder}' && cd '{folder}' || exit 77\n{script}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted]
    if not shutil.which("unshare"):
        return SimpleNamespace(returncode=77)
    environment = {**os.environ, "PYTHONPATH": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def may_not_mount(result):
    """Whether this machine lets nobody mount."""
    return result.returncode == 77 or "unshare:" in result.stderr


def test_on_a_full_file_system_the_same_command_goes_on_once_there_is_room(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "workflow/scripts")!r})
from pathlib import Path
from types import SimpleNamespace
from approach.inversion import checkpoint
from approach.job import job
import torch
with job("logs/invert.log", "invert") as log:
    state = SimpleNamespace(z=torch.zeros(5000), latents=None, previous=None)
    checkpoint.write_checkpoint(Path("0.pt"), state, {{}}, "this one")
    log.info("written")
"""
    (tmp_path / "code.py").write_text(code)
    (tmp_path / "small").mkdir()
    twice = (
        f"head -c 60k /dev/zero > fill; {sys.executable} {tmp_path}/code.py; ls; rm fill; {sys.executable} ../code.py"
    )
    result = in_a_small_file_system(tmp_path / "small", twice.replace("../", f"{tmp_path}/") + "; ls")
    if may_not_mount(result):
        pytest.skip("no file system may be mounted here")
    assert result.stdout.split() == ["fill", "logs", "0.pt", "logs"]
    said = "[invert] error: No space left on device; make room, and the same command goes on"
    assert result.stderr.splitlines() == [said, "[invert] written"]


@pytest.mark.slow
def test_a_disk_that_is_full_when_snakemake_writes_its_benchmark_costs_no_step(workflow):
    """Snakemake deletes the trajectories then; the same command writes them again once there is room."""
    keys = {"name": "full", "loss": "l2", "seeds": 2, "steps": 3}
    benchmarks, setting = (workflow.folder / place / "full/loss~l2+lr~0.4" for place in ("benchmarks", "results"))
    benchmarks.mkdir(parents=True)
    command = f"head -c 64k /dev/zero > fill; cd '{workflow.folder}'; {shlex.join(workflow.command(*ONLY, **keys))}"
    result = in_a_small_file_system(benchmarks, command)
    if may_not_mount(result):  # a folder where the benchmark belongs stops Snakemake at the same place
        (benchmarks / "invert" / "0-1.tsv").mkdir(parents=True)
        result = workflow.run(*ONLY, **keys)
        shutil.rmtree(benchmarks)
    else:
        assert "No space left on device" in result.stderr
    assert result.returncode == 1 and "step 3/3" in result.stderr
    assert not (setting / "trajectories/0-1.safetensors").exists() and (setting / "checkpoints/0-1.pt").exists()
    said = workflow.done(*ONLY, **keys).stderr
    assert "was finished before; its trajectories are written again" in said and "step 3/3" not in said
    assert (setting / "trajectories/0-1.safetensors").exists() and not (setting / "checkpoints/0-1.pt").exists()


# What may be typed, and a word of the one line that answers it.
TYPED = {
    "a glob of numbers": ({"lr": "glob(*)"}, "has no values"),
    "a range without a value": ({"lr": "range(3,0)"}, "has no values"),
    "a range that stands still": ({"lr": "range(0,1,0)"}, "has no values"),
    "a range without end": ({"lr": "range(0,1e9)"}, "at most 10000 settings"),
    "a product without end": ({"lr": "range(1,500)", "hydra": "start.best_of=range(1,500)"}, "a sweep of 249001"),
    "seeds without end": ({"seeds": 10**9}, "at most 100000 in one run"),
    "a number for a path": ({"hydra": "generator.weights=3"}, "should be a valid string"),
    "lists in a film": ({"hydra": "films.a={vary: seed, of: [[1],[2],[3]]}"}, "stands where one value belongs"),
    "a list that a film fixes": ({"hydra": "films.a={vary: loss, of: [a,b,c], seed: [3]}"}, "stands where one value"),
    "the environment": ({"hydra": "generator.name=${oc.env:HOME}"}, "not looked up here"),
    "the environment in a group": ({"loss": "${oc.env:HOME}"}, "not looked up here"),
}


@pytest.mark.parametrize("typed", TYPED)
def test_what_is_typed_wrong_is_answered_in_one_line(root, typed):
    given, said = TYPED[typed]
    with pytest.raises(UserError) as error:
        make_plan(given, root)
    line = one_line(error.value)
    assert said in line and len(line) <= 500 and line.isprintable()
    assert os.environ["HOME"] not in line


@pytest.mark.parametrize("typed", ["name=007", "name=1.50", "name=1e3", "name=1_0", "name=+7", "target=007"])
def test_a_name_that_snakemake_takes_for_another_number_is_refused(typed):
    key, text = typed.split("=")
    with pytest.raises(UserError, match=f"^{re.escape(typed)}: Snakemake reads it as the number .*{re.escape(text)}$"):
        check_retyped(parse_config([typed]), ["snakemake", "--config", typed])
    for kept in (f"{key}=7", f"{key}=1.5", f"{key}=run-007", f"{key}=./007", f"{key}=1.5.0"):
        check_retyped(parse_config([kept]), ["snakemake", "--config", kept])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("channel_width", 10**9), ("num_classes", 10**9), ("n_stats", -1), ("z_dim", 0), ("channel_width", 1.5)),
        *(("output_dim", True), ("layers", [[True, 16, 8]] * 10**5), ("layers", []), ("layers", [[1, 1e999, 1]])),
    ],
)
def test_a_generators_configuration_is_bounded_before_anything_is_built(tmp_path, key, value):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(TINY | {key: value}))
    with pytest.raises(UserError, match=r"config\.json: no BigGAN-deep can be built from it"):
        read_config(path)


@pytest.mark.parametrize(
    "shape", [{"channels": [10**9]}, {"channels": 5}, {"channels": []}, {"num_classes": 10**9}, {"group": 0}, {"x": 1}]
)
def test_a_discriminators_configuration_is_bounded(tmp_path, shape):
    config = tmp_path / "discriminator.json"
    config.write_text(json.dumps({"channels": [8, 8], "num_classes": 5} | shape))
    with pytest.raises(UserError, match=r"discriminator\.json cannot be read: (?!.*No such file)"):
        load_discriminator(tmp_path / "absent.safetensors", config)


def test_a_deep_picture_may_be_less_large(tmp_path):
    Image.new("I;16", (6000, 4000)).save(tmp_path / "deep.png")
    with pytest.raises(UserError, match=r"deep\.png: larger than 20 million pixels of more than 8 bits"):
        check_picture(tmp_path / "deep.png")
    Image.new("L", (6000, 4000)).save(tmp_path / "plain.png")
    check_picture(tmp_path / "plain.png")


@pytest.mark.parametrize("name", ["a.avif", "a.png", "a.jpg", "a.webp", "a.tiff"])
def test_an_empty_picture_is_named(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=rf"{name}: not a picture of a known format"):
        check_picture(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a": 1}', "null", "\0"])
def test_damaged_class_names_are_named(tmp_path, text):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(UserError, match=r"classes\.json: .*give a JSON list of names"):
        read_names(tmp_path / "classes.json")


@pytest.mark.parametrize("data", [b"", b"[]", b'["0", []]', b'["0", [[1]]]', b"\0" * 99])
def test_a_damaged_digest_is_read_anew(tmp_path, monkeypatch, data):
    monkeypatch.setattr(digest, "KEPT", tmp_path / "kept")
    (tmp_path / "script.py").write_text("import os\n\nprint(os.name)\n")

    def digests():
        for cached in (digest._module, digest._remembered, digest.code_digest):
            cached.cache_clear()
        return digest.code_digest(tmp_path / "script.py", tmp_path)

    before = digests()
    for kept in (tmp_path / "kept").iterdir():
        kept.write_bytes(data)
    assert digests() == before
    for kept in (tmp_path / "kept").iterdir():
        assert kept.read_bytes() != data


def test_a_lock_is_called_stale_only_where_no_snakemake_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locks.psutil, "process_iter", list)
    assert locks.stale_lock_line() == ""
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    assert locks.stale_lock_line() == ""
    lock = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    lock.write_text("results/a")
    assert "`snakemake --unlock`" in locks.stale_lock_line()
    words = ["python", "/venv/bin/snakemake", "--cores", "2"]
    live = SimpleNamespace(pid=0, cmdline=lambda: words, cwd=lambda: str(tmp_path))
    monkeypatch.setattr(locks.psutil, "process_iter", lambda: [live])
    assert locks.stale_lock_line() == ""
    monkeypatch.setattr(live, "cwd", lambda: "/elsewhere")
    assert "`make unlock`" in locks.stale_lock_line()
    assert lock.exists()


@pytest.mark.slow
def test_the_command_of_a_stale_lock_goes_on(workflow):
    folder = workflow.folder / ".snakemake" / "locks"
    folder.mkdir(parents=True)
    (folder / "0.output.lock").write_text("results/locked/target.png\n")
    only = ("--until", "prepare_target")
    refused = workflow.run(*only, name="locked", loss="l2")
    assert refused.returncode != 0
    assert "locked by a run that is gone from this machine: type `snakemake --unlock`" in refused.stderr
    workflow.done("--unlock", name="locked", loss="l2")
    assert "is locked by a run" not in workflow.done(*only, name="locked", loss="l2").stderr
