"""Shared fixtures: the project's folder, stand-in and real networks, Snakemake runs, a browser, a GPU."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from helpers.browser import CHROMIUM, QUIET
from helpers.generators import write_tiny
from helpers.paths import ROOT
from helpers.real_files import real_files
from helpers.runs import Workflow

# The tests' models are tiny: a second thread only waits for the first.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"
# A test that uses one of these fixtures has the marker of the same name.
MARKING = ("browser", "slurm", "gpu", "weights")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they need; those that need real weights run only where they are asked for (-m weights)."""
    for item in items:
        for name in set(MARKING).intersection(getattr(item, "fixturenames", ())):
            item.add_marker(name)
    # Files that take long begin first: Slurm's waits for minutes, and nobody should wait for it at the end.
    long = {item.path: 1 for item in items if item.get_closest_marker("slow")}
    long |= {item.path: 2 for item in items if item.get_closest_marker("slurm")}
    items.sort(key=lambda item: -long.get(item.path, 0))
    for mark in ("weights", "extras"):
        if mark in config.option.markexpr:
            continue
        extra = [item for item in items if item.get_closest_marker(mark)]
        config.hook.pytest_deselected(items=extra)
        items[:] = [item for item in items if item not in extra]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def weights() -> dict[str, Path]:
    """The published backbone of LPIPS and the painting, which no stand-in replaces."""
    files = real_files()
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        pytest.fail(f"{' and '.join(missing)} missing: `make weights` fetches them")
    return files


@pytest.fixture(scope="session")
def backbones(tmp_path_factory) -> dict[str, Path]:
    """For each net of LPIPS, a file of its `features` with seeded weights: a stand-in of the published shape."""
    from helpers.backbones import BACKBONES, stand_in  # noqa: PLC0415 (torchvision, which few tests need)

    folder = tmp_path_factory.mktemp("lpips")
    for net in BACKBONES:
        torch.save(stand_in(net), folder / f"{net}.pth")
    return {net: folder / f"{net}.pth" for net in BACKBONES}


@pytest.fixture(scope="session")
def missing_in_crate(tmp_path_factory) -> Callable[[Path], list[str]]:
    """Tells what roc-validator finds required and missing in a folder's crate."""
    from helpers import crates  # noqa: PLC0415 (the validator, which few tests need)

    cache = tmp_path_factory.mktemp("contexts") / "http"
    crates.fill_cache(cache)
    return partial(crates.missing_in_crate, cache=cache)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with a tiny generator in the published form: config.json, generator.safetensors, classes.json."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_words(tiny) -> str:
    """Hydra overrides that put the tiny generator in place of the study, and make small films."""
    files = {"config": "config.json", "weights": "generator.safetensors", "class_names": "classes.json"}
    words = [f"generator.{key}={tiny / name}" for key, name in files.items()]
    words += ["generator.discriminator=null", "threads=1", "panorama.grid=6"]
    words += ["video.seconds=0.4", "video.fps=10", "video.size=64", "video.time=steps"]
    return " ".join(words)


@pytest.fixture
def workflow(tmp_path, tiny_words) -> Workflow:
    """The project with the tiny generator, in an empty folder."""
    return Workflow(tmp_path, tiny_words)


@pytest.fixture(scope="module")
def browser():
    """A real Chromium, Debian's."""
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """A CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")
