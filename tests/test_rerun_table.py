"""The rerun table: what each change makes Snakemake do again, asked of the real Snakefile in a copied tree."""

import os
import shutil
import time
from contextlib import contextmanager
from copy import copy

import pytest
from PIL import Image

from helpers.paths import ROOT
from helpers.runs import Workflow, count_jobs

pytestmark = pytest.mark.slow

KEYS = {"name": "table", "loss": "l2", "seeds": 3, "steps": 4, "target": "target.png"}
LIBRARY = "workflow/scripts/approach"
FILM = "results/table/films/starts+loss~l2+lr~0.4"


class Copy(Workflow):
    """The workflow in a copied tree, whose code can be edited."""

    def __init__(self, folder, words, tree):
        super().__init__(folder, words)
        self.tree = tree
        for part in ("Snakefile", "workflow", "config", "profiles", "resources"):
            place = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            place(ROOT / part, tree / part)

    def command(self, *options, hydra="", **config):
        """As the project's own, of the copy."""
        moved = {str(ROOT / path): str(self.tree / path) for path in ("Snakefile", "profiles/default")}
        return [moved.get(word, word) for word in super().command(*options, hydra=hydra, **config)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny, tiny_words):
    """A finished experiment: one loss, three seeds, four steps; its own copies of target and generator."""
    folder, tree = tmp_path_factory.mktemp("table"), tmp_path_factory.mktemp("tree")
    for file in tiny.iterdir():
        shutil.copy2(file, folder / file.name)
    Image.effect_noise((48, 48), 60).convert("RGB").save(folder / "target.png")
    (folder / "copies").mkdir()
    shutil.copy2(folder / "target.png", folder / "copies" / "same.png")
    words = tiny_words.replace(f"{tiny}/", "")
    workflow = Copy(folder, words, tree)
    workflow.done(**KEYS)
    return workflow


@contextmanager
def edited(path, *replacements):
    """A text file with something else in it for a while; its time stamp is new, and old again afterwards."""
    text, times = path.read_bytes(), path.stat()
    changed = text.decode()
    for old, new in replacements:
        assert old in changed, f"{path.name} no longer has {old!r}"
        changed = changed.replace(old, new, 1)
    path.write_text(changed)
    try:
        yield
    finally:
        path.write_bytes(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def touched(path):
    """A file with a new time stamp and the old content."""
    times = path.stat()
    os.utime(path, (time.time() + 60, time.time() + 60))
    try:
        yield
    finally:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def jobs(words):
    """ "a 3*b" as rule -> count: {"a": 1, "b": 3}."""
    pairs = [word.rpartition("*") for word in words.split()]
    return {rule: int(count or 1) for count, _, rule in pairs}


# What follows an inversion, of one setting with one film, by what it reads.
TABLES = "losses gather_losses"
STILLS = "stills montage"
MEASURED = "trajectory_table montage_of_arrivals"
ENCODED = "encode viewer"
TIMED = f"timing render {ENCODED}"
SURVEYED = "survey panorama"
FILMED = f"choose {TIMED} {SURVEYED} itinerary"
CHECKED = "checksums"
SHOWN = f"page {CHECKED}"
TOLD = f"provenance {SHOWN}"
AFTERWARDS = f"{TABLES} {STILLS} {MEASURED} starts {FILMED} {TOLD}"
INVERTED = f"invert {AFTERWARDS}"

# a change of the command line: keys, Hydra words, what runs
VALUES = {
    "nothing": ({}, "", ""),
    "a rate": ({"lr": 0.1}, "", INVERTED),
    "the steps": ({"steps": 5}, "", INVERTED),
    "the warm-up": ({}, "optimizer.warmup=0.2", INVERTED),
    "the loss's weight": ({}, "loss.terms.l2=2", INVERTED),
    "a start that is a picture": (
        {"start": "picture:copies/same.png"},
        "",
        f"prepare_start invert_start {INVERTED}",
    ),
    "the search of such a start, where there is none": ({}, "start.picture.steps=9", TOLD),
    "the deviation of the starts": ({}, "start.logit_std=2", INVERTED),
    "the truncation": ({}, "generator.truncation=0.5", INVERTED),
    "the target's path, spelled otherwise": ({"target": "./target.png"}, "", TOLD),
    "the same target from another file": ({"target": "copies/same.png"}, "", TOLD),
    "the target's fit": ({}, "target.fit=pad", f"prepare_target {INVERTED}"),
    "LPIPS among the metrics": ({}, "metrics=[l2,ssim,lpips]", f"fetch {STILLS} {MEASURED} {TOLD}"),
    "an unused LPIPS network": ({}, "perceptual.net=vgg", TOLD),
    "seeds per job": ({"seeds_per_job": 1}, "", ""),
    "the metrics": ({}, "metrics=[l2]", f"{STILLS} {MEASURED} {TOLD}"),
    "the moments of a sheet": ({}, "montage.moments=4", f"{STILLS} {MEASURED} {TOLD}"),
    "the tiles of a sheet": ({}, "montage.tile=64", f"montage montage_of_arrivals {TOLD}"),
    "the panorama's grid": ({}, "panorama.grid=7", f"{SURVEYED} {TOLD}"),
    "no panorama": ({}, "panorama.films=[]", TOLD),
    "the panorama's palette": ({}, "panorama.colours=dusk", f"panorama {TOLD}"),
    "the film's length": ({}, "video.seconds=0.6", f"{TIMED} {TOLD}"),
    "a film's own length": ({}, "films.starts.video.seconds=0.6", f"{TIMED} {TOLD}"),
    "a film's own quality": ({}, "films.starts.video={crf: 30}", f"{ENCODED} {TOLD}"),
    "the fog": ({}, "video.fog=0.5", f"render {ENCODED} {TOLD}"),
    "the film's quality": ({}, "video.crf=30", f"{ENCODED} {TOLD}"),
    "the film's members": ({}, "films.starts.of=[2,1,0]", f"{FILMED} {TOLD}"),
    "one more rate": ({"lr": "0.4,0.1"}, "", f"{INVERTED} plot_metrics"),
    "one more seed": ({"seeds": "0,1,2,7"}, "", f"invert {TABLES} {STILLS} {MEASURED} starts {TOLD}"),
    "one seed fewer": ({"seeds": "0,1"}, "", f"{TABLES} {STILLS} {MEASURED} starts {TOLD}"),
}


@pytest.mark.parametrize("change", VALUES)
def test_a_value(finished, change):
    """overwrite=true allows what replaces trajectories, and changes nothing else."""
    keys, hydra, wanted = VALUES[change]
    assert finished.planned(hydra=hydra, **{**KEYS, "overwrite": "true", **keys}) == jobs(wanted)


# an edit of the code: file in the tree, what is replaced by what, what runs
CODE = {
    "a function of the descent": (
        f"{LIBRARY}/inversion/descent.py",
        ("import math\n", "import math\n\nUNUSED = 1\n"),
        INVERTED,
    ),
    "a comment": (f"{LIBRARY}/inversion/descent.py", ("import math\n", "import math\n\n# A remark.\n"), ""),
    "a docstring": (f"{LIBRARY}/inversion/descent.py", ('"""', '"""In other words: '), ""),
    "a function of the montage": (
        f"{LIBRARY}/pictures/montage.py",
        ("\nimport ", "\nUNUSED = 1\nimport "),
        f"montage montage_of_arrivals {CHECKED}",
    ),
    "the captions": (
        f"{LIBRARY}/film/captions.py",
        ("\nimport ", "\nUNUSED = 1\nimport "),
        f"{ENCODED} {SHOWN}",
    ),
    "a script": (
        "workflow/scripts/trajectory_table.py",
        ("\nfrom ", "\nUNUSED = 1\nfrom "),
        f"{MEASURED} {SHOWN}",
    ),
    "the page's template": (f"{LIBRARY}/page/templates/page.html.j2", ("<body", "<!-- . --><body"), SHOWN),
    "a rule's memory": ("workflow/rules/inversion.smk", ("mem_mb=8000", "mem_mb=9000"), ""),
    "a package, without conda": ("workflow/envs/show.yaml", ("pillow==", "pillow>="), ""),
}


@pytest.mark.parametrize("change", CODE)
def test_an_edit(finished, change):
    file, replacement, wanted = CODE[change]
    with edited(finished.tree / file, replacement):
        assert finished.planned(**KEYS) == jobs(wanted)


def test_a_pull_that_changes_nothing_runs_nothing(finished):
    """Git gives every file that it writes a new time stamp."""
    for path in [*finished.tree.rglob("*.py"), *finished.tree.rglob("*.smk"), *finished.tree.rglob("*.yaml")]:
        os.utime(path, (time.time() + 60, time.time() + 60))
    assert finished.planned(**KEYS) == {}


def test_a_moved_project_runs_nothing(finished, tmp_path):
    moved = copy(finished)
    moved.tree, moved.folder = finished.tree.rename(tmp_path / "tree"), finished.folder.rename(tmp_path / "folder")
    try:
        assert moved.planned(**KEYS) == {}
    finally:
        moved.tree.rename(finished.tree)
        moved.folder.rename(finished.folder)


@pytest.mark.parametrize("file", ["generator.safetensors", "target.png", "classes.json"])
def test_a_touched_file_runs_nothing(finished, file):
    """The weights are over 1 MB, up to which Snakemake compares checksums unless told otherwise."""
    if file == "generator.safetensors":
        assert (finished.folder / file).stat().st_size > 1_000_000
    with touched(finished.folder / file):
        assert finished.planned(**KEYS) == {}


def test_another_target(finished):
    file = finished.folder / "target.png"
    kept, times = file.read_bytes(), file.stat()
    Image.effect_noise((48, 48), 20).convert("RGB").save(file)
    try:
        refusal = finished.run("-n", **KEYS)
        assert refusal.returncode == 1
        assert "overwrite=true" in refusal.stderr
        assert finished.planned(**KEYS, overwrite="true") == jobs(f"prepare_target {INVERTED}")
    finally:
        file.write_bytes(kept)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_other_weights(finished):
    file = finished.folder / "generator.safetensors"
    kept, times = file.read_bytes(), file.stat()
    file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        assert finished.planned(**KEYS, overwrite="true") == jobs(INVERTED)
    finally:
        file.write_bytes(kept)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


# Snakemake looks at environment files only where conda makes the environments; this one is asked about itself alone.
CONDA = """#!/bin/sh
case "$*" in
  *--version*) echo "conda 24.7.1" ;;
  *info*) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
  *) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


@pytest.fixture(scope="module")
def with_conda(finished, tmp_path_factory):
    """The finished experiment as if conda had made its environments."""
    folder, tools = tmp_path_factory.mktemp("with") / "conda", tmp_path_factory.mktemp("tools")
    shutil.copytree(finished.folder, folder, symlinks=True, copy_function=shutil.copy2)
    (tools / "conda").write_text(CONDA)
    (tools / "conda").chmod(0o755)
    workflow = copy(finished)
    workflow.folder = folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        workflow.done("--sdm", "conda", "--touch", **KEYS)
        yield workflow


PACKAGES = {"show": AFTERWARDS, "inversion": f"prepare_target {INVERTED}"}


@pytest.mark.parametrize("environment", PACKAGES)
def test_a_package_version(with_conda, environment):
    file = with_conda.tree / "workflow" / "envs" / f"{environment}.yaml"
    with edited(file, ("pillow==", "pillow!=")):
        result = with_conda.done("-n", "--quiet", "rules", "--sdm", "conda", **KEYS)
    assert count_jobs(result.stdout + result.stderr) == jobs(PACKAGES[environment])


def test_a_deleted_product(finished):
    sheet = finished.folder / "results/table/loss~l2+lr~0.4/montage.png"
    away = sheet.rename(sheet.with_suffix(".away"))
    try:
        assert finished.planned(**KEYS) == jobs(f"montage {CHECKED}")
    finally:
        away.rename(sheet)
