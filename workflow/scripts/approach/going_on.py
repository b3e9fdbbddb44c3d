"""Going on: more steps after a finished inversion, where they are what one uninterrupted inversion would do. No torch.

What a finished inversion leaves for that is its end: latents and the optimizer's state after the last step, without the
rows that its trajectories and its log have.
"""

from pathlib import Path
from typing import NamedTuple

from approach.stages import rate_at

SCHEDULE = ("warmup", "decay", "period")
# The keys that may differ between what was made and what goes on with it.
MAY_DIFFER = {"steps", *(f"optimizer.{key}" for key in SCHEDULE)}


class Kept(NamedTuple):
    """The three files of a finished batch that going on needs."""

    trajectories: Path
    log: Path
    end: Path

    @property
    def complete(self) -> bool:
        """Whether all three are there."""
        return all(file.is_file() for file in self)


def finished_of(batch_file: Path, checkpoints: Path) -> Kept:
    """Where the files of a finished batch lie."""
    return Kept(batch_file, batch_file.with_suffix(".csv"), checkpoints / f"{batch_file.stem}.end")


def before_of(checkpoint: Path) -> Kept:
    """Where they lie while the batch goes on, since Snakemake deletes the outputs of a job that it runs again."""
    return Kept(
        *(checkpoint.with_name(f"{checkpoint.stem}.before.{suffix}") for suffix in ("safetensors", "csv", "end"))
    )


def without_schedule(config: dict) -> dict:
    """An inversion's configuration without its length and the schedule of its rates."""
    optimizer = {key: value for key, value in config["optimizer"].items() if key not in SCHEDULE}
    return {**{key: value for key, value in config.items() if key != "steps"}, "optimizer": optimizer}


def why_not(made: dict, wanted: dict) -> str | None:
    """Why an inversion cannot go on to more steps; None where it can.

    Args:
        made: the configuration of the finished inversion.
        wanted: of the one that is to go on with it, which may differ in what MAY_DIFFER names.
    """
    done = made["steps"]
    if done > wanted["steps"]:
        return f"they have {done} steps, more than steps={wanted['steps']}"
    if len(wanted["search"]["stages"]) > 1:
        return f"the stages of search={wanted['search']['name']} share the number of steps"
    if len(wanted.get("destinations", [])) > 1:
        return "several destinations share the number of steps"
    rates = ([rate_at(step, one["steps"], one["optimizer"]) for step in range(done)] for one in (made, wanted))
    if any(one != other for one, other in zip(*rates, strict=True)):
        return (
            "the learning rate follows the number of steps: it goes on at a constant rate (optimizer.warmup=0 "
            f"optimizer.decay=0), or with optimizer.schedule=warm_restart optimizer.period={done}"
        )
    return None
