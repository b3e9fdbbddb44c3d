"""Shared fixtures: the library on the path, the public test data, a tiny generator, and real Snakemake runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from approach.biggan.generator import read_config
from approach.biggan.stand_in import seeded_state
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
# The tests' models are tiny: a second thread only waits for the first.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run", "--disable-default-apps", "--no-default-browser-check"]

# Two residual blocks up, 32 px, five classes: large enough to have every kind of layer.
TINY = {
    "attention_layer_position": 2,
    "channel_width": 4,
    "class_embed_dim": 128,
    "eps": 1e-4,
    "n_stats": 51,
    "num_classes": 5,
    "output_dim": 32,
    "z_dim": 128,
    "layers": [[True, 16, 8], [True, 8, 4], [False, 4, 2], [True, 2, 1]],
}


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The public test data beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the public test data is not beside the project ({SHARED.name}/ missing)")
    return SHARED


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with a tiny generator in the published form: config.json, generator.safetensors, classes.json."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "config.json").write_text(json.dumps(TINY))
    state = seeded_state(read_config(folder / "config.json"), seed=1)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "generator.safetensors")
    (folder / "classes.json").write_text(json.dumps(["alp", "valley", "shore", "lamp", "tree"]))
    return folder


@pytest.fixture(scope="session")
def tiny_words(tiny) -> str:
    """Hydra overrides that put the tiny generator in place of the study, and make small films."""
    files = {"config": "config.json", "weights": "generator.safetensors", "class_names": "classes.json"}
    words = [f"generator.{key}={tiny / name}" for key, name in files.items()]
    words += ["generator.discriminator=null", "threads=1", "panorama.grid=6"]
    words += ["video.seconds=0.4", "video.fps=10", "video.size=64"]
    return " ".join(words)


class Workflow:
    """Real Snakemake runs of the project in a folder of their own."""

    def __init__(self, folder: Path, words: str):
        self.folder, self.words = folder, words

    def command(self, *options: str, hydra: str = "", **config) -> list[str]:
        """What is run; config are short keys."""
        keys = [f"{key}={value}" for key, value in config.items()]
        given = [*keys, f"hydra={self.words} {hydra}".rstrip()]
        profile = ROOT / "profiles" / "default"
        return [
            *(str(SNAKEMAKE), "-s", str(ROOT / "Snakefile"), "--directory", str(self.folder)),
            *("--workflow-profile", str(profile), "--cores", "2", *options, "--config", *given),
        ]

    def run(self, *options: str, hydra: str = "", **config) -> subprocess.CompletedProcess:
        """Run to the end, whatever it is."""
        environment = {**os.environ, "PYTHONPATH": ""}
        command = self.command(*options, hydra=hydra, **config)
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder, check=False)

    def done(self, *options: str, hydra: str = "", **config) -> subprocess.CompletedProcess:
        """Run, and insist that it succeeds."""
        result = self.run(*options, hydra=hydra, **config)
        assert result.returncode == 0, result.stderr[-6000:]
        return result

    def planned(self, *options: str, hydra: str = "", **config) -> dict[str, int]:
        """The rules that would run, with how many jobs of each (rule all left out)."""
        text = self.done(*options, "-n", "--quiet", "rules", hydra=hydra, **config)
        return count_jobs(text.stdout + text.stderr)


def count_jobs(text: str) -> dict[str, int]:
    """Snakemake's job table as rule -> count."""
    jobs = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.split() == ["job", "count"]:
            next(lines)
            for row in lines:
                words = row.split()
                if len(words) != 2 or words[0] == "total":
                    break
                jobs[words[0]] = int(words[1])
    jobs.pop("all", None)
    return jobs


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
