"""The tables of an experiment: losses, trajectories, starts, as pandas frames."""

from pathlib import Path

import numpy as np
import pandas as pd

from approach.trajectories import Trajectory, TrajectoryFile


def read_losses(paths: list[Path], seeds: list[int]) -> pd.DataFrame:
    """The logs of a setting's batches as one table, of the wanted seeds, ordered by seed and step."""
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    return table[table["seed"].isin(seeds)].sort_values(["seed", "step"], ignore_index=True)


def gather_losses(paths: dict[str, Path], values: dict[str, dict]) -> pd.DataFrame:
    """losses.csv of every setting as one table, with the setting and what is swept in front.

    A term that a setting does not have is missing (NaN) there.
    """
    tables = []
    for setting, path in paths.items():
        table = pd.read_csv(path)
        table.insert(0, "setting", setting)
        for place, (key, value) in enumerate(values[setting].items(), start=1):
            # `loss` is a column of the log already: the name of the loss goes beside it
            table.insert(place, "loss_name" if key == "loss" else key, value if np.isscalar(value) else str(value))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def start_rows(walks: list[Trajectory], names: list[str]) -> list[dict]:
    """What each walk began with: |z|, the entropy of the class vector, its top class and that class's probability."""
    rows = []
    for walk in walks:
        classes = walk.classes[0].astype(float)
        top = int(classes.argmax())
        entropy = -(classes * np.log(np.where(classes > 0, classes, 1))).sum()
        rows.append(
            {
                "seed": walk.seed,
                "z_norm": float(np.linalg.norm(walk.z[0])),
                "class_entropy": float(entropy),
                "top_class": names[top],
                "top_probability": float(classes[top]),
            }
        )
    return rows


def strangeness(arrivals: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """How far arrivals are from one another against how far they are from the target.

    The root mean square distance of an arrival to all arrivals, over the root of its l2 to the target. It uses
    E|x - y|^2 = |x - mean|^2 + E|y - mean|^2, so ten thousand arrivals are no matrix of their pairs.

    Args:
        arrivals: [N, ...] uint8 pictures.
        distances: [N] l2 (mean squared difference, images in [-1, 1]) to the target.

    Returns:
        [N]; above 1: nearer to the target than to the others.
    """
    pixels = arrivals.reshape(len(arrivals), -1).astype(np.float32) / 127.5 - 1
    off_centre = ((pixels - pixels.mean(axis=0)) ** 2).mean(axis=1)
    to_others = off_centre + off_centre.mean()
    return np.sqrt(to_others / np.maximum(distances, 1e-12))


def trajectory_table(
    *,
    settings: dict[str, dict],
    batches: dict[str, dict[str, list[int]]],
    stills: list[Path],
    metrics: list[Path],
    losses: list[Path],
    trajectories: list[Path],
) -> pd.DataFrame:
    """A row per trajectory: setting and its values, seed, where it began and ended, metrics, strangeness, status.

    Args:
        settings: setting -> its values by axis; stills, metrics and losses are in this order.
        batches: setting -> batch -> its wanted seeds; trajectories are in this order.
        stills: .npz with seeds and images, the arrival last.
        metrics: .csv with seed, start_<measure>, final_<measure>.
        losses: losses.csv of each setting.
        trajectories: the batch files.
    """
    files, tables, arrivals = iter(trajectories), [], []
    for place, (setting, values) in enumerate(settings.items()):
        curves = pd.read_csv(losses[place])
        ends = curves.sort_values("step").groupby("seed")
        table = pd.read_csv(metrics[place]).set_index("seed")
        table.insert(0, "setting", setting)
        for column, (key, value) in enumerate(values.items(), start=1):
            table.insert(column, key, value if np.isscalar(value) else str(value))
        table["start_class"], table["arrival_class"] = ends["top_class"].first(), ends["top_class"].last()
        table["start_loss"], table["final_loss"] = ends["loss"].first(), ends["loss"].last()
        for seeds in batches[setting].values():
            path = next(files)
            file = TrajectoryFile(path)
            for seed in seeds:
                outcome = file.outcome(seed)
                table.loc[seed, "status"], table.loc[seed, "last_step"] = outcome.status, outcome.last_step
                table.loc[seed, "trajectories"] = str(path)
        with np.load(stills[place]) as arrays:
            order = [arrays["seeds"].tolist().index(seed) for seed in table.index]
            arrivals.append(arrays["images"][order, -1])
        tables.append(table.reset_index())
    whole = pd.concat(tables, ignore_index=True)
    whole["last_step"] = whole["last_step"].astype(int)
    distances = whole["final_l2"] if "final_l2" in whole else whole["final_loss"]
    whole.insert(
        whole.columns.get_loc("status"), "strangeness", strangeness(np.concatenate(arrivals), distances.to_numpy())
    )
    whole.insert(1 + len(next(iter(settings.values()))), "seed", whole.pop("seed"))
    return whole
