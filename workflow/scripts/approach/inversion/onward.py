"""Going on with a finished inversion: its end is kept beside its trajectories, and more steps begin there."""

import csv
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from approach.batch_labels import LABEL, members
from approach.errors import UserError
from approach.going_on import Kept, before_of, finished_of, why_not, without_schedule
from approach.inversion.checkpoint import read_checkpoint, write_checkpoint
from approach.inversion.descent import State, columns, learning_rates
from approach.inversion.starts import Latents
from approach.trajectories import TrajectoryFile

logger = logging.getLogger(__name__)


class Finished(NamedTuple):
    """A finished batch with which others can go on."""

    files: Kept
    config: dict
    end: State  # without rows
    decisions: dict


def family_of(config: dict, code: str, digests: dict[str, str]) -> str:
    """What an inversion and one that goes on with it have in common: all but seeds, length and schedule.

    The file of a named start is not asked for: which latents it gave, the configuration says.
    """
    made_of = {name: digest for name, digest in digests.items() if name != "start"}
    return json.dumps([without_schedule(config), code, made_of, torch.__version__], sort_keys=True)


def write_end(checkpoint: Path, state: State, decisions: dict, config: dict, family: str) -> None:
    """Keep what goes on with a finished batch needs beside its trajectories and its log: a hundredth of their size."""
    nothing = {name: getattr(state, name)[:, :0].clone() for name in ("z", "classes", "sketches", "log")}
    end = replace(state, previous=state.latents, **nothing)
    write_checkpoint(checkpoint.with_suffix(".end"), end, {"config": config, "decisions": decisions}, family)


def finished(files: Kept, family: str) -> Finished | None:
    """What a finished batch left, where it is of this family."""
    found = read_checkpoint(files.end, family) if files.complete else None
    return found and Finished(files, found[1]["config"], found[0], found[1]["decisions"])


def go_on(
    batch_file: Path, checkpoint: Path, seeds: list[int], config: dict, family: str, names: list[str]
) -> tuple | None:
    """The state of a batch after the steps that finished inversions of its seeds have done.

    They are the same batch's, or those of other batches of the setting, each seed's longest, as long as they all have
    done the same number of steps.

    Args:
        batch_file: the trajectories to be written.
        checkpoint: of the batch.
        seeds: N seeds.
        config: planning.identity.inversion_config of the setting.
        family: family_of this inversion.
        names: of the generator's classes, by which the log calls them.

    Returns:
        The state, and the decisions of the batch where it is one and the same; those of seeds from several batches are
        to be made anew. None where no step can be kept.

    Raises:
        UserError: finished steps of this batch were put aside to go on with, and cannot be used after all.
    """
    before = before_of(checkpoint)
    if before.complete:
        own = finished(before, family)
        if own is None or why_not(own.config, config):
            raise UserError(
                f"{before.trajectories}: cannot be gone on with, since packages or files are others now; move it to "
                f"{batch_file}, or delete {checkpoint.with_suffix('.before.*')} to begin anew"
            )
        sources = dict.fromkeys(seeds, own)
    else:
        sources = _of_other_batches(batch_file, checkpoint.parent, seeds, config, family)
    if sources is None:
        return None
    first = sources[seeds[0]]
    done = first.config["steps"]
    state = _joined(sources, seeds, config, names)
    logger.info("goes on at step %d of %d, with what %s left", done, config["steps"], first.files.trajectories)
    return state, first.decisions if before.complete else None


def _of_other_batches(
    batch_file: Path, checkpoints: Path, seeds: list[int], config: dict, family: str
) -> dict[int, Finished] | None:
    """The finished inversion that each seed can go on with, all of the same number of steps."""
    found: dict[int, Finished] = {}
    for file in sorted(batch_file.parent.glob("*.safetensors")):
        here = set(seeds).intersection(members(file.stem) if re.fullmatch(LABEL, file.stem) else [])
        other = finished(finished_of(file, checkpoints), family) if here and file != batch_file else None
        if other is None:
            continue
        if reason := why_not(other.config, config):
            logger.info("%s: not gone on with: %s", file, reason)
            continue
        for seed in here:
            if seed not in found or found[seed].config["steps"] < other.config["steps"]:
                found[seed] = other
    lengths = {one.config["steps"] for one in found.values()}
    return found if len(found) == len(seeds) and len(lengths) == 1 else None


def _joined(sources: dict[int, Finished], seeds: list[int], config: dict, names: list[str]) -> State:
    """The state of seeds that were inverted in one batch or several, before the last evaluated step is taken."""
    parts = [(one, members_of(one).index(seed)) for seed, one in ((seed, sources[seed]) for seed in seeds)]
    ends = [one.end for one, _ in parts]
    done, steps, width = parts[0][0].config["steps"], config["steps"], columns(config["loss"])
    rows = [(end, row) for end, (_, row) in zip(ends, parts, strict=True)]

    def gathered(name: str) -> Tensor:
        return torch.stack([getattr(end, name)[row] for end, row in rows])

    latents = Latents(*(torch.stack([end.latents[part][row] for end, row in rows]) for part in (0, 1)))
    state = State.begin(latents, steps, len(width), orders=gathered("orders"))
    state.alive = gathered("alive")
    state.last_step = torch.where(state.alive, steps, gathered("last_step"))
    state.dropped = [[place, *one[1:]] for place, (end, row) in enumerate(rows) for one in end.dropped if one[0] == row]
    state.adam = _joined_moments(rows)
    files = {one.files: TrajectoryFile(one.files.trajectories) for one, _ in parts}
    logs = {file: _read_log(file.log, width, names) for file in files}
    for place, (one, _) in enumerate(parts):
        trajectory = files[one.files].trajectory(seeds[place])
        state.z[place, : done + 1] = torch.from_numpy(trajectory.z.copy())
        state.classes[place, : done + 1] = torch.from_numpy(trajectory.classes.copy())
        state.sketches[place, : done + 1] = torch.from_numpy(trajectory.sketches.copy())
        state.log[place, : done + 1] = logs[one.files][seeds[place]].to(state.log)
    rates = learning_rates(done, steps, config["optimizer"], config["latent"]["classes"] != "fixed")
    lr_z = width.index("lr_z")
    state.log[state.alive, done, lr_z : lr_z + 2] = torch.tensor(rates, dtype=torch.float64).to(state.log)
    state.step, state.kept = done, done + 1  # the last row is evaluated again: its gradient was not kept
    return state


def members_of(one: Finished) -> list[int]:
    """The seeds of a finished batch, in its order."""
    return TrajectoryFile(one.files.trajectories).metadata["seeds"]


def _joined_moments(rows: list[tuple[State, int]]) -> dict:
    """The optimizer's state for the members at rows of their batches."""
    first = rows[0][0].adam
    joined = {}
    for parameter, moments in first["state"].items():
        joined[parameter] = {}
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.dim():
                joined[parameter][name] = torch.stack([end.adam["state"][parameter][name][row] for end, row in rows])
            else:
                joined[parameter][name] = value
    return {**first, "state": joined}


def _read_log(path: Path, names: list[str], classes: list[str]) -> dict[int, Tensor]:
    """The rows of a batch's log, seed -> [rows, K], as descent.State has them."""
    place = {name: index for index, name in reversed(list(enumerate(classes)))}
    tables: dict[int, list[list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = [place[row[name]] if name == "top_class" else float(row[name]) for name in names]
            tables.setdefault(int(row["seed"]), []).append(values)
    return {seed: torch.from_numpy(np.array(rows)) for seed, rows in tables.items()}


def forget_before(checkpoint: Path) -> None:
    """Remove what was put aside for this batch, now that its own state holds all of it."""
    for file in before_of(checkpoint):
        file.unlink(missing_ok=True)
