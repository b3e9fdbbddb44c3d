"""A film from inside a search, made by Snakemake with a tiny generator: members of one seed's pool."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from approach.film.probe import read_frames
from approach.trajectories import TrajectoryFile
from helpers.dictionary import listed_columns, listed_products, matches
from helpers.runs import Workflow

pytestmark = pytest.mark.slow

KEYS = {"name": "pool", "loss": "l2", "seeds": 2, "steps": 8, "search": "halving"}
POOL = (
    "search.pool=9 search.stages=[[6,1],[3,1],[1,2]] films.starts=null "
    "films.inside={vary: stage, seed: 1, video: {captions: [step, loss]}}"
)
SETTING = "loss~l2+lr~0.2"
FILM = f"films/inside+{SETTING}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_words):
    """Two pools of nine: six members begin, three are dropped before step 2, two before step 4."""
    workflow = Workflow(tmp_path_factory.mktemp("pool"), f"{tiny_words} {POOL}")
    workflow.done(**KEYS)
    return workflow


@pytest.fixture
def results(finished):
    return finished.folder / "results" / "pool"


def test_who_was_dropped_stands_still_and_who_was_left_arrives(results):
    film, batch = results / FILM, TrajectoryFile(next((results / SETTING / "trajectories").glob("*.safetensors")))
    pool = TrajectoryFile(film / "pool.safetensors")
    dropped = batch.metadata["dropped"][1]
    assert [step for _, step, _ in dropped] == [2, 2, 2, 4, 4]
    for channel, (order, step, _) in ((1, dropped[0]), (2, dropped[3])):
        z = pool.trajectory(channel).z
        assert np.array_equal(z[:step], batch.dropped(1, order).z)
        assert (z[step:] == z[step - 1]).all() and not (z[1] == z[0]).all()
    assert np.array_equal(pool.trajectory(3).z, batch.trajectory(1).z)
    assert [len(batch.dropped(1, order).z) for order, _, _ in dropped] == [2, 1, 1, 4, 1]
    positions = json.loads((film / "timing.json").read_text())["positions"][0]
    frames = list(read_frames(film / "frames" / "1.mkv"))
    still = [frame for frame, position in zip(frames, positions, strict=True) if position >= 1]
    assert all(np.array_equal(frame, still[0]) for frame in still)
    assert not np.array_equal(frames[0], still[0])


def test_what_is_written_under_the_pictures(results):
    table = pd.read_csv(results / FILM / "pool.csv")
    assert set(table.columns) == listed_columns("pool.csv")
    first, last = (table[table["seed"] == channel] for channel in (1, 3))
    assert first["place"].tolist() == ["step 0", "step 1", *["stopped at step 1"] * 7]
    assert last["place"].tolist() == [f"step {step}" for step in range(9)]
    assert first["loss"].nunique() == 2 and last["loss"].iloc[-1] < first["loss"].iloc[-1]
    logged = pd.read_csv(results / SETTING / "losses.csv").query("seed == 1")
    assert last["loss"].tolist() == pytest.approx(logged["loss"].tolist())


def test_every_file_is_listed_and_the_sheet_has_the_pool(results):
    always, sometimes = listed_products()
    made = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    assert not [path for path in made if not any(matches(pattern, path) for pattern in [*always, *sometimes])]
    with np.load(results / SETTING / "stills.npz") as stills:
        assert stills["dropped_steps"].tolist() == [2, 2, 2, 4, 4] * 2
        assert len(stills["dropped_images"]) == 10
    with Image.open(results / SETTING / "montage.png") as sheet:
        assert sheet.height > 2 * 2 * 128  # two rows of pictures above, and two of pools below
    assert "dropped after stage 1 of 3" in (results / "page" / "index.html").read_text()


def test_nothing_is_left_to_do_and_another_stage_inverts_nothing(finished):
    assert finished.planned(**KEYS) == {}
    other = finished.planned(**KEYS, hydra="films.inside={vary: stage, seed: 1, of: [2, 1, 3]}")
    assert other["pool"] == 1 and not {"invert", "stills"} & set(other)


def test_what_is_shared_of_it_has_no_poster(finished):
    shared = finished.planned("share", **KEYS)
    assert shared["share_film"] == 1 and "poster" not in shared
