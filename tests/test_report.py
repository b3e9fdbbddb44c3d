"""Snakemake's report: what it shows is there, with captions, categories and labels, and its films play from the zip."""

import zipfile

from conftest import Workflow
from PIL import Image
from safetensors.numpy import save_file

KEYS = {"name": "told", "loss": "l2", "seeds": 3, "steps": 4}


def fabricate(workflow: Workflow) -> None:
    """An experiment's files, such as they are, taken by Snakemake for finished: a report only copies them."""
    summary = workflow.done("--summary", **KEYS).stdout
    for line in summary.splitlines():
        path = workflow.folder / line.split("\t")[0]
        if not line.startswith("results/"):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "player":
            path.mkdir()
            (path / "index.html").write_text('<video src="triptych.mp4"></video>')
            (path / "triptych.mp4").write_bytes(b"a film")
        elif path.suffix == ".png":
            Image.new("RGB", (8, 8)).save(path)
        elif path.suffix != ".safetensors":
            path.touch()
    save_file({}, workflow.folder / "results/told/loss~l2+lr~0.05/trajectories/0-2.safetensors")
    workflow.done("--touch", **KEYS)


def test_the_report_has_every_picture_and_a_film_that_plays(workflow):
    fabricate(workflow)
    workflow.done("--report", "report.zip", **KEYS)
    with zipfile.ZipFile(workflow.folder / "report.zip") as report:
        names, page = report.namelist(), report.read("report/report.html").decode()
    for label in ("loss curves", "arrivals by setting and seed", "contact sheet", "the film", "panorama", "itinerary"):
        assert f'"labels": {{"shows": "{label}"}}' in page
    for category in ("Experiment", "Settings", "Films"):
        assert f'"{category}"' in page
    assert "Three walks side by side (starts+loss~l2+lr~0.05), and each channel alone." in page
    films = [name for name in names if name.endswith("/triptych.mp4")]
    assert len(films) == 1
    assert films[0].replace("triptych.mp4", "index.html") in names
