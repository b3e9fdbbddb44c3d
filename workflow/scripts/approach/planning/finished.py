"""What is finished on disk, and would be lost: looked at before the first job. No torch."""

import json
import logging
import math
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from approach.batch_labels import checkpoint_of
from approach.biggan.config import read_config
from approach.errors import UserError
from approach.going_on import MAY_DIFFER, before_of, finished_of, why_not
from approach.planning.downloads import destinations, picture_file, weights_file
from approach.planning.identity import inversion_config
from approach.planning.known import current_sha256
from approach.planning.plan import Plan
from approach.target import made_from, prepare_target, write_target
from approach.trajectories import read_metadata

logger = logging.getLogger(__name__)

MOST_NAMED = 4  # differences in one message


def check_nothing_is_lost(plan: Plan, onward: dict[Path, str | None]) -> None:
    """Refuse what would replace finished trajectories by others, or put them beside the wrong target.

    Args:
        plan: the run's.
        onward: what `going_on` found: those that go on are not lost.

    Trajectories of this run's settings must have been made with what this run asks for. Those of other settings in
    the folder must at least have been made from the same target and generator, unless overwrite=true has let them be
    beside others before.

    Raises:
        UserError: says what would be lost, and the remedies; or a trajectory file of this run is damaged, or of an
            earlier version.
    """
    own = {Path(file): setting for setting in plan.settings for file in plan.batch_files(setting)}
    lost, differences, others, agreeing, reasons = 0, {}, {}, False, []
    if earlier := [str(file) for file in own if is_of_an_earlier_version(file)]:
        more = f" and {len(earlier) - 1} more" if earlier[1:] else ""
        raise UserError(
            f"{earlier[0]}{more}: not damaged, but made by an earlier version, which wrote no checksums: "
            "give this run a name=... of its own, or overwrite=true to make such files again"
        )
    for file in trajectory_files(plan):
        try:
            metadata = _metadata(file)
        except UserError:
            if file in own:
                raise
            continue  # nothing reads it
        sources = dict(_other_sources(plan, metadata))
        agreeing = agreeing or "generator" not in sources
        if file not in own:
            others |= sources
        elif onward.get(file, "") is None:
            continue
        elif found := sources or dict(_differences(plan, own[file], metadata)):
            lost += len(metadata["seeds"])
            differences |= found
            reasons += [onward[file]] if file in onward else []
    if differences:
        named = [*list(differences.values())[:MOST_NAMED], *(["..."] if len(differences) > MOST_NAMED else [])]
        raise UserError(
            f"{plan.results} holds {lost} finished {'trajectory' if lost == 1 else 'trajectories'} made "
            f"{', '.join(named)}: give this run a name=... of its own, or overwrite=true to lose those"
            + (f"; they cannot go on, since {reasons[0]}" if reasons else "")
        )
    if agreeing:
        others.pop("generator", None)
    if prepared(Path(plan.target)) == wanted_target(plan.base):
        others.pop("target", None)
    if others:
        raise UserError(
            f"{plan.results} holds trajectories of other settings made {', '.join(others.values())}: "
            "give this run a name=... of its own, or overwrite=true to leave them beside it"
        )


def going_on(plan: Plan, code: str) -> dict[Path, str | None]:
    """Which finished batches are wanted with more steps: file -> why they cannot go on, None where they can.

    Args:
        plan: the run's.
        code: digest of the inversion's code; other code does not go on with what this one made.
    """
    found: dict[Path, str | None] = {}
    for setting, one in plan.settings.items():
        for file in map(Path, plan.batch_files(setting)):
            try:
                metadata = _metadata(file) if file.is_file() else {}
            except UserError:
                continue
            if metadata.get("config", {}).get("steps", math.inf) >= one.config["steps"]:
                continue
            differing = {*dict(_differences(plan, setting, metadata)), *dict(_other_sources(plan, metadata))}
            if differing <= MAY_DIFFER:
                found[file] = _why_not(file, metadata, code, inversion_config(one.config))
    return found


def _why_not(file: Path, metadata: dict, code: str, wanted: dict) -> str | None:
    if reason := why_not(metadata["config"], wanted):
        return reason
    if metadata["code"] != code:
        return "the inversion's code is other code now"
    kept = finished_of(file, checkpoint_of(file).parent)
    return None if kept.complete else f"{kept.end} is not there"


def put_aside(plan: Plan, onward: dict[Path, str | None]) -> None:
    """Keep the files of batches that go on under further names, since Snakemake deletes the outputs of their jobs.

    What an earlier plan put aside goes where the batch is finished. A line says what goes on, and what is made anew and
    why.
    """
    for folder in (Path(plan.results) / setting for setting in plan.settings):
        for place in folder.glob("checkpoints/*.before.*"):
            if (folder / "trajectories" / f"{place.name.partition('.')[0]}.safetensors").is_file():
                place.unlink()
    for file in (file for file, reason in onward.items() if reason is None):
        checkpoint = checkpoint_of(file)
        for kept, place in zip(finished_of(file, checkpoint.parent), before_of(checkpoint), strict=True):
            _link(kept, place)
    ways = Counter(onward.values())
    if going := ways.pop(None, 0):
        many = f"{going} finished batches go on where they ended, and keep their steps"
        logger.warning("%s", "1 finished batch goes on where it ended, and keeps its steps" if going == 1 else many)
    for reason, count in ways.items():
        batches = "1 finished batch is" if count == 1 else f"{count} finished batches are"
        logger.warning("%s made anew, since %s", batches, reason)


def _link(file: Path, place: Path) -> None:
    try:
        place.hardlink_to(file)
    except OSError:  # a file system without hard links
        shutil.copy2(file, place)


def is_of_an_earlier_version(file: Path) -> bool:
    """Whether a trajectory file is whole but has no checksums, since the version that made it wrote none."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length)) if length < file.stat().st_size else {}
            end = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
        metadata = header.get("__metadata__", {})
        whole = file.stat().st_size == 8 + length + end
        return whole and "seeds" in metadata and "header_sha256" not in metadata
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError, struct.error):
        return False


def trajectory_files(plan: Plan) -> list[Path]:
    """Every trajectory file in the results folder, of this run's settings and of all others."""
    return sorted(Path(plan.results).glob("*/trajectories/*.safetensors"))


def restore_targets(plan: Plan) -> None:
    """Make prepared pictures (destinations, starts) anew where they are damaged, or lost beside finished trajectories.

    They come out the same byte for byte. Were it left to Snakemake, all that was made from them would be made again.
    """
    made, overwrite = bool(trajectory_files(plan)), plan.base["overwrite"]
    for config in destinations(plan.base):
        _restore(Path(plan.destination_file(config)), config, made, overwrite)
    for name, config in plan.starts.items():
        folder = Path(plan.results) / "starts" / name
        _restore(folder / "target.png", config, any(folder.glob("trajectories/*.safetensors")), overwrite)


def _restore(file: Path, config: dict, made: bool, overwrite: bool) -> None:
    """Make one prepared picture anew; made: there are trajectories that it was used for."""
    here, wanted = prepared(file), wanted_target(config)
    lost = here is None and (file.exists() or made)
    # where the picture has to be downloaded again, an undamaged target stays: without it all would be made again
    changed = None not in (here, wanted) and here != wanted and made and not overwrite
    if not (lost or changed):
        return
    if wanted is None:  # its picture has to be downloaded first
        file.unlink(missing_ok=True)
        return
    logger.warning("%s: damaged or lost, made anew", file)
    size = read_config(config["generator"]["config"]).output_dim
    square = prepare_target(picture_file(config), size, fit=wanted["fit"], focus=wanted["focus"])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_target(file, square, wanted)


def prepared(file: Path) -> dict | None:
    """What a prepared picture on disk was made from; None where there is no undamaged one."""
    return made_from(file) if file.is_file() else None


def wanted_target(config: dict) -> dict | None:
    """What a configuration's target is to be made from; None where the picture is not here yet."""
    picture = current_sha256(picture_file(config))
    return picture and {"sha256": picture, **{key: config["target"][key] for key in ("fit", "focus")}}


def _other_sources(plan: Plan, metadata: dict) -> Iterator[tuple[str, str]]:
    """The two sources that a whole folder has in common, where a trajectory was made from others: name -> in words."""
    made, picture, weights = metadata.get("made_from", {}), picture_file(plan.base), weights_file(plan.base)
    target, wanted = made.get("target", {}), wanted_target(plan.base)
    if target.get("sha256") in _other_pictures(plan):
        wanted = None  # it ended at another of the run's destinations; which one, its configuration says
    if wanted and target and target.get("sha256") != wanted["sha256"]:
        yield "target", f"from another target than {picture} is now"
    elif wanted and target and target != wanted:
        yield (
            "target",
            " and ".join(
                f"with target.{key}={target.get(key)}" for key in ("fit", "focus") if target.get(key) != wanted[key]
            ),
        )
    if "generator" in made and current_sha256(weights) not in (None, made["generator"]["sha256"]):
        yield "generator", f"from another generator than {weights} is now"


def _other_pictures(plan: Plan) -> set[str | None]:
    """What the run's destinations but its target are made from."""
    target = current_sha256(picture_file(plan.base))
    return {current_sha256(picture_file(one)) for one in destinations(plan.base)} - {target, None}


def _differences(plan: Plan, setting: str, metadata: dict) -> Iterator[tuple[str, str]]:
    """What a trajectory of a setting was made with that this run asks to be otherwise: key -> in words."""
    wanted = json.loads(json.dumps(inversion_config(plan.settings[setting].config)))
    made, asked = ({"start.from": "random", **_flat(one)} for one in (_as_now(metadata.get("config", wanted)), wanted))
    for key in {**made, **asked}:
        if made.get(key) != asked.get(key) and not key.startswith("own."):  # code: inverted again, as other code is
            yield key, f"with {key}={made.get(key)} and not {asked.get(key)}"
    files = {**plan.inversion_files(setting)}
    for what, digest in metadata.get("sha256", {}).items():
        told = what in ("target", "weights") or what.startswith("destination_")  # by the configuration, or above
        if what in files and not told and current_sha256(files[what]) not in (None, digest):
            yield what, f"from another {what} than {files[what]} is now"


def _as_now(config: dict) -> dict:
    """What an inversion was made with, in today's keys: once there was one search, and optimizer.classes."""
    if "search" in config:
        return config
    optimizer = {"kind": "adam", **config["optimizer"]}
    classes = {"free": "softmax", "fixed": "fixed"}[optimizer.pop("classes", "free")]
    descent = {"name": "descent", "pool": 1, "stages": [[1.0, 1.0]]}
    return {**config, "optimizer": optimizer, "latent": {"classes": classes}, "search": descent}


def _flat(values: dict, prefix: str = "") -> dict[str, object]:
    """A nested table as dotted key -> value."""
    flat = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _metadata(file: Path) -> dict:
    """A trajectory file's metadata, read once in a run."""
    stat = file.stat()
    return _read_metadata(file, (stat.st_mtime_ns, stat.st_size))


@cache
def _read_metadata(file: Path, _stamp: tuple[int, int]) -> dict:
    return read_metadata(file)
