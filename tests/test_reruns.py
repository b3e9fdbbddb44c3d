"""Products of the pictures, made by Snakemake, and what a change of their looks runs again."""

import json
import shutil

import pytest
from approach.readback import read_film
from conftest import ROOT, Workflow
from PIL import Image

KEYS = {"name": "looks", "loss": "l2", "seeds": 3, "steps": 4}
LOOKS = "panorama.grid=6 video.exhibition=true video.height=90 video.mbit=1"
MAKES_LATENTS_OR_FRAMES = {"invert", "stills", "change", "survey", "render"}


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
    return finished.folder / "results" / "looks" / "films" / "starts+loss~l2+lr~0.05"


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


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("", {}),
        ("video.captions=[step,loss]", {"encode_channel": 3, "triptych": 1, "exhibition": 8, "page": 1}),
        ("video.crf=30", {"encode_channel": 3, "triptych": 1, "exhibition": 0}),
        ("video.mbit=2", {"exhibition": 4, "line_up": 4, "installation": 1, "triptych": 0}),
        ("panorama.colours=dusk", {"panorama": 1, "page": 1, "triptych": 0, "exhibition": 0}),
    ],
)
def test_looks_run_no_walk_and_render_no_frame(finished, change, wanted):
    jobs = finished.planned(**KEYS, hydra=change)
    assert {rule: jobs.get(rule, 0) for rule in wanted} == wanted
    assert not MAKES_LATENTS_OR_FRAMES & set(jobs)
    if not change:
        assert not jobs


def test_a_template_writes_its_pages_again_and_nothing_else(finished):
    template = finished.folder / "project" / "workflow" / "scripts" / "approach" / "templates" / "page.css"
    before = template.read_text()
    template.write_text(before + "/* another look */\n")
    try:
        assert finished.planned(**KEYS) == {"page": 1, "installation": 1}
    finally:
        template.write_text(before)
