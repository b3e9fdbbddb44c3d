"""Snakemake's report: what it shows is there, with captions, categories and labels, and its films play from the zip."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from approach.film.encode import encode_film, write_frames
from approach.trajectories import write_trajectories
from helpers.frames import numbered
from helpers.runs import Workflow

pytestmark = pytest.mark.slow

KEYS = {"name": "told", "loss": "l2", "seeds": 3, "steps": 4}
FILM = "starts+loss~l2+lr~0.4"
LOOK = {"size": 64, "scaling": "nearest", "gap": 2, "margin": 2}


def fabricate(workflow: Workflow) -> None:
    """An experiment's files, taken by Snakemake for finished: only the film and its viewer are real."""
    summary = workflow.done("--summary", **KEYS).stdout
    for line in summary.splitlines():
        path = workflow.folder / line.split("\t")[0]
        if not line.startswith("results/") or path.name == "viewer":
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.new("RGB", (8, 8)).save(path)
        elif path.suffix == ".mp4":
            frames = path.with_suffix(".source.mkv")
            write_frames(numbered(50), frames, fps=25, count=50)
            encode_film([frames], path, fps=25, count=50, look=LOOK, codec={"crf": 20, "preset": "ultrafast"})
        elif path.suffix != ".safetensors":
            path.touch()
    outcome = {"seeds": [0, 1, 2], "status": ["ok"] * 3, "last_step": [4] * 3}
    latents = [np.zeros((3, 5, numbers)) for numbers in (128, 5, 512)]
    batch = workflow.folder / "results/told/loss~l2+lr~0.4/trajectories/0-2.safetensors"
    write_trajectories(batch, [0, 1, 2], *latents, outcome)
    workflow.done("--touch", **KEYS)
    assert workflow.planned(**KEYS) == {"viewer": 1, "checksums": 1}
    workflow.done(**KEYS)


@pytest.fixture(scope="module")
def report(tmp_path_factory, tiny_words):
    """The report, as it comes out of the zip."""
    workflow = Workflow(tmp_path_factory.mktemp("report"), tiny_words)
    fabricate(workflow)
    workflow.done("--report", "report.zip", **KEYS)
    with zipfile.ZipFile(workflow.folder / "report.zip") as packed:
        packed.extractall(workflow.folder / "a place")
    return workflow.folder / "a place" / "report"


def test_the_report_has_every_picture_and_the_film(report):
    page = (report / "report.html").read_text(encoding="utf-8")
    for label in ("loss curves", "arrivals by setting and seed", "contact sheet", "the film", "panorama", "itinerary"):
        assert f'"labels": {{"shows": "{label}"}}' in page
    for category in ("Experiment", "Settings", "Films"):
        assert f'"{category}"' in page
    assert f"Three trajectories side by side ({FILM}), and each channel alone." in page
    (film,) = report.rglob("triptych.mp4")
    assert film.with_name("index.html").exists()


def test_the_film_plays_in_the_report(report, browser):
    tab = browser.new_page()
    tab.goto((report / "report.html").as_uri())
    tab.get_by_role("link", name="Films").click()
    tab.get_by_role("row").filter(has_text="the film").get_by_role("link").first.click()
    film = tab.frame_locator("iframe").locator("video").first
    film.evaluate("film => film.play()")
    film.evaluate("film => new Promise(done => film.ontimeupdate = () => film.currentTime > 0.3 && done())")
    assert film.evaluate("film => [film.duration, film.error]") == [2, None]
    tab.close()
