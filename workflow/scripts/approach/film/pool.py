"""A search seen from inside: members of a seed's pool, each as one trajectory. No torch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from approach.errors import UserError
from approach.stages import stages_of
from approach.trajectories import TrajectoryFile

Way = tuple[np.ndarray, np.ndarray, np.ndarray]


def member_of_stage(
    file: TrajectoryFile, seed: int, stage: int, logged: pd.DataFrame, names: Sequence[str]
) -> tuple[Way, list[dict]]:
    """The member of a seed's pool that was the nearest of those dropped at a stage's end, or that was left.

    Args:
        file: of the seed's batch.
        seed: the seed.
        stage: from 1; in the last one nobody is dropped, and the member is the one that was left.
        logged: the rows of the seed in losses.csv, in order of steps.
        names: of the classes.

    Returns:
        Its way in all S+1 steps, z, classes and sketches (after it was dropped it stays where it was); and of each step
        {step, place, loss, top_class}.

    Raises:
        UserError: nobody was dropped at that stage's end.
    """
    whole, search = file.trajectory(seed), file.metadata["search"]
    ends = [end for _, end in stages_of(search, file.metadata["steps"])]
    if stage == len(ends):
        known = logged[["step", "loss", "top_class"]].to_dict("records")
        told = [{"place": f"step {row['step']}", **row} for row in known]
        return (whole.z, whole.classes, whole.sketches), told
    order = next((order for order, step, _ in file.pool(seed) if step == ends[stage - 1]), None)
    if order is None:
        raise UserError(f"{file.path}: seed {seed} dropped nobody at the end of stage {stage}; show another stage")
    way = file.dropped(seed, order)
    last = len(way.z) - 1
    at = np.minimum(np.arange(len(whole.z)), last)
    told = [
        {
            "step": step,
            "place": f"step {step}" if step <= last else f"stopped at step {last}",
            "loss": float(way.losses[shown]),
            "top_class": names[way.top_classes[shown]],
        }
        for step, shown in enumerate(at)
    ]
    return (way.z[at], way.classes[at], way.sketches[at]), told
