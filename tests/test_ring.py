"""A ring, the tree of arrivals and a census, made by Snakemake with a tiny generator."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from approach.film.probe import read_frames
from approach.roads.passes_file import read_passes
from approach.trajectories import TrajectoryFile
from helpers.dictionary import listed_columns, listed_products, matches
from helpers.runs import Workflow

pytestmark = pytest.mark.slow

KEYS = {"name": "roads", "loss": "l2", "seeds": 6, "steps": 4}
RING = (
    "films.starts=null films.ring={vary: seed, of: [0, 1, 2, 3, 4, 5], join: passes, video: {captions: [step, loss]}}"
)
FEW = "passes.arrivals=4 passes.points=4 passes.steps=3"
WANTED = ["results/roads/page/index.html", "results/roads/passes.png", "census"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_words):
    """Six trajectories joined to a ring, passes between the four nearest of them, and their census."""
    workflow = Workflow(tmp_path_factory.mktemp("roads"), f"{tiny_words} {RING} {FEW}")
    workflow.done(*WANTED, **KEYS)
    return workflow


@pytest.fixture
def results(finished):
    return finished.folder / "results" / "roads"


def test_a_ring_ends_with_the_frame_that_it_begins_with(results):
    film = results / "films" / "ring+loss~l2+lr~0.4"
    timing = json.loads((film / "timing.json").read_text())
    stops = TrajectoryFile(film / "ring.safetensors").metadata["stops"]
    for channel, positions in enumerate(timing["positions"], start=1):
        frames = list(read_frames(film / "frames" / f"{channel}.mkv"))
        assert len(frames) == timing["frames"]
        assert np.array_equal(frames[0], frames[-1])
        assert not np.array_equal(frames[0], frames[len(frames) // 2])
        assert set(map(float, stops)) <= set(positions)
    assert len(list(read_frames(film / "triptych.mp4"))) == timing["frames"]


def test_a_ring_leads_from_arrival_to_arrival(results):
    film = results / "films" / "ring+loss~l2+lr~0.4"
    ring, batch = TrajectoryFile(film / "ring.safetensors"), results / "loss~l2+lr~0.4/trajectories/0-5.safetensors"
    stops = ring.metadata["stops"]
    for channel, (one, other) in enumerate([(0, 1), (2, 3), (4, 5)], start=1):
        z, ends = ring.trajectory(channel).z, [TrajectoryFile(batch).trajectory(seed).z for seed in (one, other)]
        for stop, wanted in zip(stops, (ends[0][0], ends[0][-1], ends[1][-1], ends[1][0], ends[0][0]), strict=True):
            assert np.array_equal(z[stop], wanted)
    table = pd.read_csv(film / "ring.csv")
    assert set(table.columns) == listed_columns("ring.csv")
    assert np.isfinite(table["loss"]).all() and table.groupby("seed").size().tolist() == [stops[-1] + 1] * 3


def test_the_page_shows_the_ring_and_the_tree(results):
    page = (results / "page" / "index.html").read_text()
    assert "../tree.png" in page and "How arrivals hang together" in page
    assert "start 0, step 0" in page and "between arrivals" in page
    found, said = read_passes(results / "passes.safetensors")
    assert len(said["pairs"]) == 6 and len(said["labels"]) == 4
    assert found["images"].shape[:2] == (6, 4)


def test_a_census_counts_every_start(results):
    told = json.loads((results / "census.json").read_text())
    places, arrivals = pd.read_csv(results / "places.csv"), pd.read_csv(results / "census.csv")
    assert told["starts"] == len(arrivals) == places["arrivals"].sum() == 6
    assert arrivals["place"].value_counts().to_dict() == dict(zip(places["place"], places["arrivals"], strict=True))
    for table in ("places.csv", "census.csv"):
        assert set(pd.read_csv(results / table).columns) == listed_columns(table, metric=["l2"])
    with Image.open(results / "census.png") as drawn:
        assert drawn.width > 4000


def test_every_product_of_roads_is_listed(results):
    always, sometimes = listed_products()
    made = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    assert not [path for path in made if not any(matches(pattern, path) for pattern in [*always, *sometimes])]


def test_nothing_of_it_is_made_twice(finished):
    assert finished.planned(*WANTED, **KEYS) == {}
    other = finished.planned(*WANTED, **KEYS, hydra="census.apart=0.3")
    assert set(other) == {"census", "provenance", "page"}
