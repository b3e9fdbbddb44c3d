"""The grammar of `films:`: which films a run has. No torch."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from approach.errors import UserError

RANKS = ("closest", "median", "farthest", "strangest")
CHANNELS = 3
NAMED = ("rank", "trajectory", "stage")  # what a film can vary beside the seed and the axes of the sweep
JOINS = ("passes", "straight")
RING = {"clock": "own", "loop": True, "ease": 0.0}  # how a ring is shown unless it says otherwise of itself
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
MOMENT = re.compile(r"@(\d+)$")  # the step at which a channel ends, after a trajectory's name


def film_table(
    films: dict[str, dict],
    axes: dict[str, Sequence],
    seeds: Sequence[int],
    spell: Callable[[dict], str],
    stages: Mapping[str, int] | None = None,
) -> tuple[list[dict], list[str]]:
    """List the films of a run.

    An entry of `films:` has `vary` (seed, an axis of the sweep, rank, trajectory or stage), `of` (its three members;
    for a seed or an axis by default the first three), for ranks optionally `by` (a metric), `video` (keys of its own),
    and keys that it fixes (`seed: 0`, `loss: l2`). An axis that is left open gives a film for each of its values. It
    stands in the film's name even where it has only one value, so that a film keeps its path when the sweep grows. With
    `join` (passes, straight) it is a ring: it has six members, or a multiple of them, and each channel joins its share.
    One that varies the stage shows a seed's search from inside: for each of three stages the member that was the
    nearest of those dropped at its end, and for the last stage the one that was left.

    Args:
        films: the configuration's table of films.
        axes: the values of every axis of the sweep, in schema order.
        seeds: the run's seeds.
        spell: gives a setting's name from its values.
        stages: how many its search has, of each setting that has more than one.

    Returns:
        The films, each {name, key, vary, of, by, video, candidates: [{setting, seed, values}]}, and of rings join. The
        candidates are the three trajectories in the order of the channels, or for ranks all that may be chosen; one
        that is shown to a moment only has its step as `until`, and one of a search its `stage`, of how many `stages`.
        Then a line for each film that this run cannot have, with the reason.

    Raises:
        UserError: an entry is wrong, whatever the run.
    """
    everything = {**axes, "seed": list(seeds)}
    made, notes = [], []
    for key, entry in films.items():
        vary, fixed = _checked(key, entry, everything)
        members, why_not = _members(entry, everything)
        absent = [f"{name}={value}" for name, value in fixed.items() if value not in everything[name]]
        if absent:
            why_not = f"{', '.join(absent)} is not part of this run"
        if why_not:
            notes.append(f"no film '{key}': {why_not}")
            continue
        film = {"key": key, "vary": vary, "of": members, "by": entry.get("by"), "video": entry.get("video") or {}}
        if entry.get("join"):
            film |= {"join": entry["join"], "video": {**RING, **film["video"]}}
        if vary == "trajectory":
            named = [_named(key, member, axes=axes, seeds=seeds, spell=spell) for member in members]
            made.append({"name": key, **film, "candidates": named})
            continue
        if vary == "stage":
            inside, lines = _films_of_stages(film, fixed, everything, axes, spell, stages or {})
            made, notes = made + inside, notes + lines
            continue
        varied, values_shown = ("seed", seeds) if vary == "rank" else (vary, members)
        open_axes = [name for name in everything if name not in fixed and name != varied]
        for values in product(*(everything[name] for name in open_axes)):
            point = dict(zip(open_axes, values, strict=True))
            candidates = [_candidate({**fixed, **point, varied: value}, axes, spell) for value in values_shown]
            made.append({"name": f"{key}+{spell(point)}" if point else key, **film, "candidates": candidates})
    return made, notes


def _films_of_stages(
    film: dict,
    fixed: dict,
    everything: dict[str, Sequence],
    axes: dict[str, Sequence],
    spell: Callable[[dict], str],
    stages: Mapping[str, int],
) -> tuple[list[dict], list[str]]:
    """The films of an entry that varies the stage, one for each seed and setting left open, and why others are none."""
    made, notes, key = [], [], film["key"]
    open_axes = [name for name in everything if name not in fixed]
    for values in product(*(everything[name] for name in open_axes)):
        point = dict(zip(open_axes, values, strict=True))
        one = _candidate({**fixed, **point}, axes, spell)
        name, count = f"{key}+{spell(point)}" if point else key, stages.get(one["setting"], 1)
        members = film["of"] or [1, (count + 1) // 2, count]
        if count < CHANNELS:
            notes.append(f"no film '{name}': its search has fewer than three stages (search=halving has five)")
        elif len(members) < CHANNELS:
            notes.append(f"no film '{name}': three channels need three members, and it has {_listed(members)}")
        elif wrong := [member for member in members if member not in range(1, count + 1)]:
            raise UserError(f"films.{key}.of: no stage {wrong[0]}; they are numbered 1 to {count}")
        else:
            candidates = [{**one, "stage": member, "stages": count} for member in members]
            made.append({"name": name, **film, "of": members, "candidates": candidates})
    return made, notes


def _checked(key: str, entry: dict | None, everything: dict[str, Sequence]) -> tuple[str, dict]:
    """Check an entry of the table.

    Args:
        key: the film's key.
        entry: what the configuration says of it.
        everything: the values of every axis, and the seeds.

    Returns:
        What the film varies, and the keys that it fixes.

    Raises:
        UserError: something else in the entry.
    """
    if not NAME.fullmatch(key):
        raise UserError(f"films.{key}: a film's name has letters, digits, dots, hyphens and underscores")
    if entry is not None and not isinstance(entry, dict):
        raise UserError(f"films.{key}={entry}: write what the film varies, as in {{vary: seed, of: [0, 1, 2]}}")
    vary = (entry or {}).get("vary")
    if not isinstance((entry or {}).get("video") or {}, dict):
        raise UserError(f"films.{key}.video={entry['video']}: write keys of video, as in {{seconds: 30}}")
    if vary not in (*everything, *NAMED):
        raise UserError(f"films.{key}.vary={vary}: choose one of {', '.join([*everything, *NAMED])}")
    fixed = {name: value for name, value in entry.items() if name not in ("vary", "of", "by", "video", "join")}
    cannot_be_fixed = {"rank": ["seed"], "trajectory": list(everything)}.get(vary, [vary])
    for name in fixed:
        if name not in everything or name in cannot_be_fixed:
            raise UserError(f"films.{key}.{name}: not a key that a film varying {vary} can fix")
    if entry.get("by") is not None and vary != "rank":
        raise UserError(f"films.{key}.by: only a film that varies rank is chosen by a metric")
    join = entry.get("join")
    if join is not None and join not in JOINS:
        raise UserError(f"films.{key}.join={join}: write passes or straight")
    if join and vary in ("rank", "stage"):
        raise UserError(f"films.{key}.join: a ring names its members; vary a seed, a key of the sweep or a trajectory")
    wanted = entry.get("of")
    given = [*(wanted if isinstance(wanted, list) else []), *fixed.values()]
    if nested := [value for value in given if isinstance(value, list | dict)]:
        raise UserError(f"films.{key}: {nested[0]} stands where one value belongs, as in {{vary: seed, of: [0, 1, 2]}}")
    if wanted is None:
        return vary, fixed
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(set(map(_whole, wanted))) < len(wanted):
        raise UserError(f"films.{key}.of={wanted}: list three different members")
    if join and any(MOMENT.search(str(member)) for member in wanted):
        raise UserError(f"films.{key}.of={wanted}: the trajectories of a ring go on to their arrivals, without @")
    if join and len(wanted) % _least(entry):
        raise UserError(f"films.{key}.of={wanted}: a ring has two members for each of its three channels, or four, ...")
    if not join and len(wanted) > CHANNELS:
        raise UserError(f"films.{key}.of={wanted}: a film has three channels, not {len(wanted)}")
    if vary == "rank" and (unknown := [rank for rank in wanted if rank not in RANKS]):
        raise UserError(f"films.{key}.of: no rank '{unknown[0]}'; there are {', '.join(RANKS)}")
    return vary, fixed


def _members(entry: dict, everything: dict[str, Sequence]) -> tuple[list, str]:
    """Find a film's members.

    Returns:
        The members, and where this run does not have enough of them, why; otherwise an empty text.
    """
    vary, wanted, least = entry["vary"], entry.get("of"), _least(entry)
    if vary == "rank":
        wanted = wanted or ("closest", "median", "strangest")
    if vary == "stage":  # how many there are depends on the setting
        return list(wanted or []), ""
    there = everything["seed" if vary == "rank" else vary] if vary != "trajectory" else wanted or []
    members = list(wanted or there[:least])
    if len(members) < least:
        need = "three channels need three members" if least == CHANNELS else f"a ring needs {least} members"
        return members, f"{need}, and it has {_listed(members)}"
    if vary == "rank" and len(there) < CHANNELS:
        return members, f"ranks need at least three trajectories, and this run has seeds {_listed(there)}"
    if vary not in ("rank", "trajectory") and (absent := [member for member in members if member not in there]):
        return members, f"{vary} {_listed(absent)} is not part of this run, which has {_listed(there)}"
    return members, ""


def _least(entry: dict) -> int:
    """How many members a film has at least: one for each channel, and in a ring two, between which it passes."""
    return CHANNELS * 2 if entry.get("join") else CHANNELS


def _candidate(point: dict, axes: dict[str, Sequence], spell: Callable[[dict], str]) -> dict:
    """The trajectory at a point of the sweep and the seeds."""
    values = {axis: point[axis] for axis in axes}
    return {"setting": spell(values), "seed": point["seed"], "values": values}


def _named(
    key: str, member: str, *, axes: dict[str, Sequence], seeds: Sequence[int], spell: Callable[[dict], str]
) -> dict:
    """The trajectory that `setting/seed` names, or `setting/seed@step` up to a moment.

    Raises:
        UserError: the run has no such trajectory.
    """
    moment = MOMENT.search(str(member))
    until = {"until": int(moment[1])} if moment else {}
    for values in product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        for seed in seeds:
            if _whole(member) == f"{spell(point)}/{seed}":
                return {"setting": spell(point), "seed": seed, "values": point, **until}
    raise UserError(f"films.{key}.of: no trajectory '{member}' in this run; write one as in loss~l2+lr~0.02/3")


def _whole(member: object) -> str:
    """A member without the moment at which it ends."""
    return MOMENT.sub("", str(member))


def _listed(values: Iterable) -> str:
    return ", ".join(str(value) for value in values) or "none"
