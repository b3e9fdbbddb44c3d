"""Tables and stills: one meaning a column, and arrivals under a name of their own."""

import numpy as np
import pandas as pd
import pytest

from approach.pictures.stills_file import read_arrivals, write_stills
from approach.pictures.tables import gather_losses, strangeness, trajectory_table
from approach.trajectories import write_trajectories

SETTINGS = {f"loss~{name}+lr~0.4": {"loss": name, "lr": 0.05} for name in ("l2", "ssim")}


def fabricate(folder, seeds=(0, 2)):
    """The files of two settings with two seeds each, as trajectory_table takes them."""
    files = {"metrics": [], "losses": [], "trajectories": []}
    stills = {}
    for place, setting in enumerate(SETTINGS):
        for kind, paths in files.items():
            paths.append(folder / f"{kind}-{place}")
        rows = [{"seed": seed, "start_l2": 0.9, "final_l2": 0.1 * (seed + 1)} for seed in seeds]
        pd.DataFrame(rows).to_csv(files["metrics"][-1], index=False)
        steps = [
            {"seed": seed, "step": step, "loss": 1 - step, "top_class": "alp"} for seed in seeds for step in (0, 1)
        ]
        pd.DataFrame(steps).to_csv(files["losses"][-1], index=False)
        metadata = {"seeds": list(seeds), "status": ["ok", "failed"], "last_step": [1, 0]}
        latents = [np.zeros((2, 2, numbers)) for numbers in (128, 1, 512)]
        write_trajectories(files["trajectories"][-1], list(seeds), *latents, metadata)
        images = np.arange(2 * 3)[:, None].reshape(2, 3, 1, 1, 1) * np.ones((1, 1, 4, 4, 3)) + 10 * place
        stills[setting] = folder / f"{place}.npz"
        write_stills(stills[setting], list(seeds), [0, 1, 2], images.astype(np.uint8), {})
    return files, stills


def test_arrivals_are_read_by_name(tmp_path):
    _, stills = fabricate(tmp_path)
    pictures = read_arrivals(stills)
    assert {name: int(picture.max()) for name, picture in pictures.items()} == {
        "loss~l2+lr~0.4/0": 2,
        "loss~l2+lr~0.4/2": 5,
        "loss~ssim+lr~0.4/0": 12,
        "loss~ssim+lr~0.4/2": 15,
    }


def test_a_loss_is_a_number_and_its_name_has_a_column_of_its_own(tmp_path):
    files, stills = fabricate(tmp_path)
    table = trajectory_table(
        settings=SETTINGS, batches={name: {"0+2": [0, 2]} for name in SETTINGS}, arrivals=read_arrivals(stills), **files
    )
    gathered = gather_losses(dict(zip(SETTINGS, files["losses"], strict=True)), SETTINGS)
    assert "loss" not in table and table["loss_name"].tolist() == ["l2", "l2", "ssim", "ssim"]
    assert list(table.columns[:4]) == ["setting", "loss_name", "lr", "seed"]
    assert list(gathered.columns[:4]) == ["setting", "loss_name", "lr", "seed"]
    assert pd.api.types.is_numeric_dtype(gathered["loss"]) and gathered["loss_name"].unique().tolist() == ["l2", "ssim"]
    assert table["status"].tolist() == ["ok", "failed"] * 2 and table["last_step"].tolist() == [1, 0] * 2
    assert table["final_loss"].tolist() == [0] * 4
    assert (table["strangeness"].notna() == (table["status"] == "ok")).all()


@pytest.mark.parametrize("side", [8, 48, 128])
def test_the_strangest_are_a_spread_and_not_twins(side):
    noise = np.random.default_rng(0).integers(-4, 5, (12, side, side, 3))
    pictures = np.full((12, side, side, 3), 120) + noise
    pictures[3:6, : side // 2] += 100  # three twins
    pictures[6, :, side // 2 :] -= 80
    pictures[7:9, ..., 0] += 60
    pictures[11] = 255  # the farthest of all, but it failed
    found = strangeness(pictures.clip(0, 255).astype(np.uint8), np.arange(12) != 11)
    order = np.argsort(-found[:11])
    groups = [{3, 4, 5}, {6}, {7, 8}]
    assert [next(place for place, group in enumerate(groups) if one in group) for one in order[:3]] == [0, 1, 2]
    assert np.isnan(found[11]) and found[:11].min() == 0
    assert found[order[2]] > 5 * found[order[3]], "a twin is as ordinary as the rest"


def test_one_arrival_is_not_strange_and_none_is_no_error():
    one = np.zeros((1, 16, 16, 3), np.uint8)
    assert strangeness(one, np.ones(1, bool)).tolist() == [0]
    assert np.isnan(strangeness(one, np.zeros(1, bool))).all()
