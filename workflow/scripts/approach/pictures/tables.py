"""The tables of an experiment: losses, trajectories, starts. results/README.md names their columns."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from approach.files import read_table
from approach.trajectories import Trajectory, TrajectoryFile

SIDE = 32  # pixels of the pictures that strangeness compares
FINDS = 500  # arrivals that are compared with all others


def axis_column(key: str) -> str:
    """The column of a swept key: its own name, but `loss_name` for `loss`, which is the number in every table."""
    return "loss_name" if key == "loss" else key


def insert_axes(table: pd.DataFrame, setting: str, values: Mapping[str, object]) -> None:
    """Put a setting and its values by axis in front of a table's columns."""
    table.insert(0, "setting", setting)
    for place, (key, value) in enumerate(values.items(), start=1):
        table.insert(place, axis_column(key), value if np.isscalar(value) else str(value))


def read_losses(paths: list[Path], seeds: list[int]) -> pd.DataFrame:
    """The logs of a setting's batches as one table, of the wanted seeds, ordered by seed and step."""
    table = pd.concat([read_table(path, "seed", "step") for path in paths], ignore_index=True)
    return table[table["seed"].isin(seeds)].sort_values(["seed", "step"], ignore_index=True)


def gather_losses(paths: dict[str, Path], values: dict[str, dict]) -> pd.DataFrame:
    """losses.csv of every setting as one table, with the setting and what is swept in front.

    Args:
        paths: setting -> its losses.csv.
        values: setting -> its values by axis.

    Returns:
        The table. A term that a setting's loss does not have is missing (NaN) there.
    """
    tables = []
    for setting, path in paths.items():
        table = read_table(path, "seed", "step", "loss")
        insert_axes(table, setting, values[setting])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def start_rows(trajectories: list[Trajectory], names: list[str]) -> list[dict]:
    """What each start is: |z|, the entropy of the class vector, its top class and that class's probability.

    Where the class embedding moves there are no shares, and the last three are missing. `order` is which of the seed's
    random starts it is, `begins` what start.from said. A search that looked at a pool adds a row for each member that
    was dropped: before which step, and with which loss.
    """
    rows = []
    for trajectory in trajectories:
        row = {"seed": trajectory.seed, "z_norm": float(np.linalg.norm(trajectory.z[0]))}
        if not trajectory.embedded:
            classes = trajectory.classes[0].astype(float)
            top = int(classes.argmax())
            entropy = -(classes * np.log(np.where(classes > 0, classes, 1))).sum()
            row |= {"class_entropy": float(entropy), "top_class": names[top], "top_probability": float(classes[top])}
        rows += [row | pool_place(trajectory), *dropped_rows(trajectory)]
    return rows


def pool_place(trajectory: Trajectory) -> dict:
    """Which of its seed's random starts a trajectory began from; it was not dropped."""
    metadata = trajectory.metadata
    order = metadata.get("orders", [0] * len(metadata["seeds"]))[metadata["seeds"].index(trajectory.seed)]
    begins = metadata.get("begins", {}).get("from", "random")
    return {"begins": begins, "order": order, "dropped_at": None, "dropped_loss": None}


def dropped_rows(trajectory: Trajectory) -> list[dict]:
    """A row for each member of a trajectory's pool that was dropped, the last one first."""
    metadata = trajectory.metadata
    dropped = metadata.get("dropped", [[]] * len(metadata["seeds"]))[metadata["seeds"].index(trajectory.seed)]
    return [
        {"seed": trajectory.seed, "begins": "random", "order": order, "dropped_at": step, "dropped_loss": loss}
        for order, step, loss in reversed(dropped)
    ]


def strangeness(arrivals: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """How unlike the others each arrival is, so that the strangest are unlike one another, too.

    The most ordinary arrival, the one nearest to the mean of all, has none. Then, again and again, the arrival that is
    farthest from all that were taken before is taken, and that distance is its strangeness (farthest-first traversal,
    Gonzalez 1985). Distances are root mean squares of pictures averaged to at most SIDE px, so that they see forms and
    colours and no texture. Beyond FINDS arrivals, the rest have their distance to the nearest of those.

    Args:
        arrivals: [N, H, W, 3] uint8 pictures.
        alive: [N] whether an inversion arrived; one that failed neither has strangeness nor counts for others.

    Returns:
        [N], in units of images in [-1, 1]; NaN where an inversion failed.
    """
    found = np.full(len(arrivals), np.nan)
    places = np.flatnonzero(alive)
    if not len(places):
        return found
    pixels = np.stack([_small(arrivals[place]) for place in places])
    ordinary = int(((pixels - pixels.mean(axis=0)) ** 2).mean(axis=1).argmin())
    nearest = np.sqrt(((pixels - pixels[ordinary]) ** 2).mean(axis=1))
    left = np.ones(len(places), bool)
    left[ordinary] = False
    for _ in range(min(FINDS, len(places) - 1)):
        strangest = int(np.where(left, nearest, -1).argmax())
        left[strangest] = False
        closer = np.sqrt(((pixels - pixels[strangest]) ** 2).mean(axis=1))
        nearest = np.where(left, np.minimum(nearest, closer), nearest)
    found[places] = nearest
    return found


def _small(picture: np.ndarray) -> np.ndarray:
    """A picture (uint8 [H, W, 3]) averaged to at most SIDE px, as a flat float32 array in [-1, 1]."""
    side = min(SIDE, *picture.shape[:2])
    averaged = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
    return np.asarray(averaged, np.float32).ravel() / 127.5 - 1


def trajectory_table(
    *,
    settings: dict[str, dict],
    batches: dict[str, dict[str, list[int]]],
    arrivals: Mapping[str, np.ndarray],
    metrics: list[Path],
    losses: list[Path],
    trajectories: list[Path],
) -> pd.DataFrame:
    """A row per trajectory: setting and its values, seed, where it began and ended, metrics, strangeness, status.

    Args:
        settings: setting -> its values by axis; metrics and losses are in this order.
        batches: setting -> batch -> its wanted seeds; trajectories are in this order.
        arrivals: trajectory ("setting/seed") -> uint8 [H, W, 3].
        metrics: .csv with seed, start_<metric>, final_<metric>.
        losses: losses.csv of each setting.
        trajectories: the batch files.
    """
    files, tables = iter(trajectories), []
    for place, (setting, values) in enumerate(settings.items()):
        ends = read_table(losses[place], "seed", "step", "loss").sort_values("step").groupby("seed")
        table = read_table(metrics[place], "seed").set_index("seed")
        insert_axes(table, setting, values)
        table["start_class"], table["arrival_class"] = ends["top_class"].first(), ends["top_class"].last()
        table["start_loss"], table["final_loss"] = ends["loss"].first(), ends["loss"].last()
        for seeds in batches[setting].values():
            path = next(files)
            file = TrajectoryFile(path)
            for seed in seeds:
                outcome = file.outcome(seed)
                table.loc[seed, "status"], table.loc[seed, "last_step"] = outcome.status, outcome.last_step
                table.loc[seed, "trajectories"] = str(path)
        tables.append(table.reset_index())
    whole = pd.concat(tables, ignore_index=True)
    whole["last_step"] = whole["last_step"].astype(int)
    names = whole["setting"] + "/" + whole["seed"].astype(str)
    alive = (whole["status"] != "failed").to_numpy()
    strange = strangeness(np.stack([arrivals[name] for name in names]), alive)
    whole.insert(whole.columns.get_loc("status"), "strangeness", strange)
    whole.insert(1 + len(next(iter(settings.values()))), "seed", whole.pop("seed"))
    return whole
