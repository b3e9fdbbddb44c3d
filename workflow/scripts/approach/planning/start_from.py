"""Starts that are named: the latents of a stored trajectory, or a picture that is inverted first. No torch."""

import copy
import re
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from approach.batch_labels import LABEL, members
from approach.errors import UserError
from approach.planning.downloads import weights_file
from approach.planning.known import current_sha256
from approach.sources import is_url
from approach.target import check_picture
from approach.trajectories import class_part, read_metadata

TRAJECTORY = re.compile(r"trajectory:(?P<folder>.+)/(?P<seed>\d+)(@(?P<step>\d+))?")


class Stored(NamedTuple):
    """The stored latents that start.from=trajectory:... names, and the metadata of their file."""

    file: Path
    seed: int
    step: int
    metadata: dict

    @property
    def digest(self) -> str:
        """What the latents are, as 16 hex digits of each tensor's sha256."""
        sums = self.metadata["tensors_sha256"]
        return "-".join(sums[f"{self.seed}.{part}"][:16] for part in ("z", class_part(self.metadata)))


def is_stored(config: dict) -> bool:
    """Whether a setting starts at a stored trajectory."""
    return config["start"]["from"].startswith("trajectory:")


def start_picture(config: dict) -> str | None:
    """The picture that a setting starts at, as typed; None where it starts elsewhere."""
    kind, _, picture = config["start"]["from"].partition(":")
    return picture if kind == "picture" else None


def stored(config: dict) -> Stored:
    """Find the trajectory that a setting starts at; where a seed was inverted twice, the longest.

    Raises:
        UserError: there is none, or it has no such step.
    """
    said = config["start"]["from"]
    match = TRAJECTORY.fullmatch(said)
    folder, seed = Path(match["folder"]) / "trajectories", int(match["seed"])
    files = [file for file in sorted(folder.glob("*.safetensors")) if re.fullmatch(LABEL, file.stem)]
    found = [(file, read_metadata(file)) for file in files if seed in members(file.stem)]
    if not found:
        raise UserError(
            f"start.from={said}: {folder} holds no trajectory of seed {seed}; "
            "write trajectory:results/NAME/SETTING/SEED, with @STEP where it is not the arrival"
        )
    file, metadata = max(found, key=lambda one: one[1]["steps"])
    step = metadata["steps"] if match["step"] is None else int(match["step"])
    if step > metadata["steps"]:
        raise UserError(f"start.from={said}: {file} ends at step {metadata['steps']}")
    return Stored(file, seed, step, metadata)


def picture_setting(config: dict) -> dict:
    """The configuration that inverts the picture of start.from=picture:FILE: the setting's, with start.picture's."""
    changed = copy.deepcopy(config)
    picture = changed["start"]["picture"]
    changed["target"] |= {"picture": start_picture(config), "sha256": None, "via": [], "order": None}
    changed["optimizer"] |= {key: picture[key] for key in ("lr", "beta1", "beta2", "warmup", "decay")}
    changed["optimizer"] |= {"schedule": "whole", "period": None}
    changed |= {key: picture[key] for key in ("loss", "search", "steps")}
    changed["start"]["from"] = "random"
    return changed


def picture_digest(config: dict) -> str:
    """What the picture of picture_setting is: its content's sha256, or its address."""
    picture = config["target"]["picture"]
    if is_url(picture):
        return picture
    return current_sha256(picture) or "missing"


def check_start(config: dict, seeds: list[int], results: str, settings: Container[str]) -> None:
    """Refuse a named start that cannot be, before any job.

    Args:
        config: a setting's.
        seeds: the run's.
        results: the run's folder.
        settings: the run's.

    Raises:
        UserError: a file is missing, was made with another generator, or is of another kind of latents; or a key that
            belongs to random starts is used beside it.
    """
    start, said = config["start"], f"start.from={config['start']['from']}"
    if start["from"] == "random":
        return
    if start["classes"] or start["best_of"] > 1:
        key, remedy = ("classes", "leave it out") if start["classes"] else ("best_of", "take start=random beside it")
        raise UserError(f"{said}: start.{key} is about random starts; {remedy}")
    if config["search"]["pool"] > 1:
        raise UserError(f"{said}: search={config['search']['name']} begins at random starts; take search=descent")
    if picture := start_picture(config):
        if is_url(picture):
            return
        if not Path(picture).is_file():
            raise UserError(f"{said}: there is no such file")
        check_picture(picture)
        return
    found = stored(config)
    maker = found.file.parent.parent.resolve()
    if maker.parent == Path(results).resolve() and maker.name in settings:
        raise UserError(f"{said}: this run makes it itself; give this run a name=... of its own")
    _check_latents(said, config, found)
    if len(seeds) > 1 and config["optimizer"]["bound"] != "resample":
        raise UserError(f"{said}: {len(seeds)} seeds would make one and the same trajectory; take seeds=1")


def _check_latents(said: str, config: dict, found: Stored) -> None:
    """Refuse latents of another generator, or of another kind."""
    made, weights = found.metadata, weights_file(config)
    if current_sha256(weights) not in (None, made["made_from"]["generator"]["sha256"]):
        raise UserError(f"{said}: was made with another generator than {weights}")
    truncation = config["generator"]["truncation"]
    if made["truncation"] != truncation:
        raise UserError(f"{said}: was made with generator.truncation={made['truncation']} and not {truncation}")
    there, wanted = made["latent"]["classes"], config["latent"]["classes"]
    if there == "embedding" and wanted != "embedding":
        raise UserError(f"{said}: was made with latent.classes=embedding and has no shares; take that and not {wanted}")
