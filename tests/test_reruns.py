"""Products of the pictures, made by Snakemake, and what a change of their looks runs again."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import yaml
from PIL import Image

from approach.film.probe import count_frames, read_film, read_frames
from approach.film.timing import distances
from approach.pictures.arrivals import film_command
from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import Workflow, count_jobs

pytestmark = pytest.mark.slow

KEYS = {"name": "looks", "loss": "l2", "seeds": 3, "steps": 4}
LOOKS = "panorama.grid=6 video.exhibition=true video.height=90 video.mbit=1 video.repeat_hours=0.001"
MAKES_LATENTS_OR_FRAMES = {"invert", "stills", "survey", "render"}


class Copied(Workflow):
    """The project in a copy of its own, so that a template can be changed."""

    def command(self, *options, hydra="", **config):
        copies = {str(ROOT / part): str(self.folder / "project" / part) for part in ("Snakefile", "profiles/default")}
        return [copies.get(part, part) for part in super().command(*options, hydra=hydra, **config)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_words):
    """A finished experiment with its exhibition."""
    folder = tmp_path_factory.mktemp("looks")
    project = folder / "project"
    for part in ("workflow", "config", "profiles"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", project)
    (project / "resources").symlink_to(ROOT / "resources")
    workflow = Copied(folder, f"{tiny_words} {LOOKS}")
    workflow.done(**KEYS)
    return workflow


@pytest.fixture
def film(finished):
    return finished.folder / "results" / "looks" / "films" / "starts+loss~l2+lr~0.4"


def test_every_picture_is_there(film):
    for file in ("panorama.png", "itinerary.png", "../../arrivals.png"):
        assert Image.open(film / file).width > 400
    for file in ("itinerary.csv", "../../arrivals.csv", "../../page/index.html"):
        assert (film / file).stat().st_size > 200
    assert json.loads((film / "timing.json").read_text())["time"] == "steps"


def test_the_exhibition_was_read_back(film):
    files = json.loads((film / "exhibition" / "files.json").read_text())
    assert len(files) == 12
    screens = [one for one in files if not one["file"].startswith("line-up")]
    assert {(one["frames"], one["height"]) for one in screens} == {(read_film(film / "triptych.mp4")["frames"], 90)}
    page = (film / "exhibition" / "index.html").read_text()
    assert all(one["sha256"] in page for one in files)
    assert count_frames(film / "exhibition" / "repeated" / "wide.mp4") == 2 * screens[0]["frames"]
    summed = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    subprocess.run(summed, cwd=film / "exhibition" / "players", check=True)


def test_the_installation_page_prints_on_two_pages(film, browser):
    tab = browser.new_page()
    tab.goto((film / "exhibition" / "index.html").as_uri())
    words = tab.locator("main").inner_text()
    assert "repeated for at least 0.001 hours" in words and "the .mp4 files here, or in repeated/" in words
    printed = tab.pdf(prefer_css_page_size=True)
    tab.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("", {}),
        ("video.captions=[step,loss]", {"encode": 1, "exhibition": 8, "page": 1}),
        ("video.crf=30", {"encode": 1, "exhibition": 0}),
        ("video.mbit=2", {"exhibition": 4, "line_up": 4, "installation": 1, "encode": 0}),
        ("panorama.colours=dusk", {"panorama": 1, "page": 1, "encode": 0, "exhibition": 0}),
    ],
)
def test_looks_run_no_inversion_and_render_no_frame(finished, change, wanted):
    jobs = finished.planned(**KEYS, hydra=change)
    assert {rule: jobs.get(rule, 0) for rule in wanted} == wanted
    assert not MAKES_LATENTS_OR_FRAMES & set(jobs)
    if not change:
        assert not jobs


def test_the_command_of_three_arrivals_makes_their_film(finished, film):
    record = yaml.safe_load((film / "../../experiment.yaml").read_text())
    trajectories = [f"loss~l2+lr~0.4/{seed}" for seed in (2, 0, 1)]
    shell = f"PATH={SNAKEMAKE.parent}:$PATH; {film_command(record['command'], 'looks', trajectories)} -n --quiet rules"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=finished.folder, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    jobs = count_jobs(result.stdout + result.stderr)
    assert jobs == {"choose": 1, "timing": 1, "render": 1, "encode": 1}


def test_a_template_writes_its_pages_again_and_nothing_else(finished):
    template = finished.folder / "project" / "workflow" / "scripts" / "approach" / "page" / "templates" / "page.css"
    before = template.read_text()
    template.write_text(before + "/* another look */\n")
    try:
        assert finished.planned(**KEYS) == {"page": 1, "installation": 1, "checksums": 1}
    finally:
        template.write_text(before)


@pytest.mark.parametrize("clock", ["own", "common"])
def test_perceived_time_evens_out_the_film(finished, clock):
    """The pictures of a real film, frame by frame: no easing, no holds, no loop."""
    keys = {**KEYS, "name": "paced", "lr": 0.05, "steps": 60}
    words = f"video.time=perceived video.clock={clock} video.seconds=9.6 video.fps=25 video.hold=0"
    film = finished.folder / "results" / "paced" / "films" / "starts+loss~l2+lr~0.05"
    files = [f"results/paced/films/{film.name}/frames/{channel}.mkv" for channel in (1, 2, 3)]
    if clock == "common":
        assert finished.planned(*files, **keys, hydra=words) == {"timing": 1, "render": 1}
    finished.done(*files, **keys, hydra=words)
    assert json.loads((film / "timing.json").read_text())["time"] == "perceived"
    change = [distances(np.stack(list(read_frames(finished.folder / file)))) for file in files]
    assert {len(one) for one in change} == {239}
    if (
        clock == "common"
    ):  # one clock cannot make three trajectories even; what it evens out is the mean of their shares
        change = [np.mean([one / one.sum() for one in change], axis=0)]
    assert max(one.std() / one.mean() for one in change) <= 0.15
