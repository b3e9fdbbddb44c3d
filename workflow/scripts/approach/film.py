"""Films as configuration: which films a run has, which three walks each shows, and why. No torch in here."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product

from .errors import UserError

RANKS = ("closest", "median", "farthest", "strangest")
CHANNELS = 3


def film_table(
    films: dict[str, dict],
    axes: dict[str, Sequence],
    seeds: Sequence[int],
    spell: Callable[[dict], str],
) -> tuple[list[dict], list[str]]:
    """All films of a run, and a line for each that cannot be.

    `films`: the `films:` table. Each entry has `vary` (seed, an axis, rank or trajectory), `of` (three members; for a
    seed or an axis the first three where it is left out), for ranks optionally `by` (a measure), and any fixed keys
    (`seed: 0`, `loss: l2`). `axes`: every swept key in schema order with its values; `spell` names a setting. An axis
    left open gives a film for each of its values, and stands in the name even where it has one value, so that a film
    keeps its path when the sweep grows or moves.

    Returns films of {name, key, vary, of, by, candidates: [{setting, seed, values}]}: for ranks all walks that may be
    chosen, otherwise the three in order. Raises UserError where the table itself is wrong.
    """
    everything = {**axes, "seed": list(seeds)}
    made, lines = [], []
    for key, entry in films.items():
        vary, fixed = _checked(key, entry, everything)
        members, why = _members(key, entry, everything)
        absent = [f"{name}={value}" for name, value in fixed.items() if value not in everything[name]]
        if absent:
            why = f"{', '.join(absent)} is not part of this run"
        if why:
            lines.append(f"no film '{key}': {why}")
            continue
        film = {"key": key, "vary": vary, "of": members, "by": entry.get("by")}
        if vary == "trajectory":
            walks = [_named(key, member, axes=axes, seeds=seeds, spell=spell) for member in members]
            made.append({"name": key, **film, "candidates": walks})
            continue
        inner, shown = ("seed", seeds) if vary == "rank" else (vary, members)
        open_axes = [name for name in everything if name not in fixed and name != inner]
        for values in product(*(everything[name] for name in open_axes)):
            point = dict(zip(open_axes, values, strict=True))
            walks = [{**fixed, **point, inner: member} for member in shown]
            name = f"{key}+{spell(point)}" if point else key
            made.append({"name": name, **film, "candidates": [_candidate(walk, axes, spell) for walk in walks]})
    return made, lines


def _checked(key: str, entry: dict | None, everything: dict[str, Sequence]) -> tuple[str, dict]:
    """What a film varies and what it fixes; UserError where it names anything else."""
    vary = (entry or {}).get("vary")
    if vary not in (*everything, "rank", "trajectory"):
        raise UserError(f"films.{key}.vary={vary}: choose one of {', '.join([*everything, 'rank', 'trajectory'])}")
    fixed = {name: value for name, value in entry.items() if name not in ("vary", "of", "by")}
    free = {"rank": ["seed"], "trajectory": list(everything)}.get(vary, [vary])
    for name in fixed:
        if name not in everything or name in free:
            raise UserError(f"films.{key}.{name}: not a key that a film varying {vary} can fix")
    wanted = entry.get("of")
    if wanted is None:
        return vary, fixed
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(set(wanted)) < len(wanted):
        raise UserError(f"films.{key}.of={wanted}: list three different members")
    if len(wanted) > CHANNELS:
        raise UserError(f"films.{key}.of={wanted}: a film has three channels, not {len(wanted)}")
    if vary == "rank" and (unknown := [rank for rank in wanted if rank not in RANKS]):
        raise UserError(f"films.{key}.of: no rank '{unknown[0]}'; there are {', '.join(RANKS)}")
    return vary, fixed


def _members(key: str, entry: dict, everything: dict[str, Sequence]) -> tuple[list, str]:
    """The three members of a film and, where there are not three, why."""
    vary, wanted = entry["vary"], entry.get("of")
    if vary == "rank":
        wanted = wanted or ("closest", "median", "strangest")
    there = everything["seed" if vary == "rank" else vary] if vary != "trajectory" else wanted or []
    members = list(wanted or there[:CHANNELS])
    if len(members) < CHANNELS:
        return members, f"three channels need three members, and it has {_listed(members)}"
    if vary == "rank" and len(there) < CHANNELS:
        return members, f"it chooses three of at least three walks, and this run has seeds {_listed(there)}"
    if vary not in ("rank", "trajectory") and (absent := [member for member in members if member not in there]):
        return members, f"{vary} {_listed(absent)} is not part of this run, which has {_listed(there)}"
    return members, ""


def _candidate(walk: dict, axes: dict[str, Sequence], spell: Callable[[dict], str]) -> dict:
    values = {axis: walk[axis] for axis in axes}
    return {"setting": spell(values), "seed": walk["seed"], "values": values}


def _named(
    key: str, member: str, *, axes: dict[str, Sequence], seeds: Sequence[int], spell: Callable[[dict], str]
) -> dict:
    """The candidate that `setting/seed` names."""
    for values in product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        for seed in seeds:
            if member == f"{spell(point)}/{seed}":
                return {"setting": spell(point), "seed": seed, "values": point}
    raise UserError(f"films.{key}.of: no trajectory '{member}' in this run; write one as in loss~l2+lr~0.02/3")


def choose(film: dict, journeys: Iterable[dict]) -> dict:
    """Which three walks a film shows, and why: the content of film.json.

    `film` is an entry of `film_table`; `journeys` the rows of journeys.csv (text or numbers). Ranks are taken of
    `final_<by>`, or of the first measure of lpips, l2 that is there; a failed walk is chosen only where no other is
    left. Returns {film, key, vary, title, why, by, channels: three of {channel, label, why, setting, seed, values,
    trajectory, status, last_step, measures}}.
    """
    rows = {(row["setting"], int(row["seed"])): row for row in journeys}
    walks = []
    for candidate in film["candidates"]:
        row = rows.get((candidate["setting"], candidate["seed"]))
        if row is None:
            walk = f"{candidate['setting']}, seed {candidate['seed']}"
            raise UserError(f"film {film['name']}: journeys.csv has no row of {walk}; delete it to have it made again")
        walks.append({**candidate, "row": row})
    by = film.get("by") or next(
        (name for name in ("lpips", "l2") if _number(walks[0]["row"], f"final_{name}") is not None),
        next((name[6:] for name in walks[0]["row"] if name.startswith("final_") and name != "final_loss"), "loss"),
    )
    if film["vary"] == "rank":
        if f"final_{by}" not in walks[0]["row"]:
            raise UserError(f"films.{film['key']}.by={by}: not one of the measures of this run")
        chosen = _ranked(film["of"], walks, by)
    else:
        chosen = [(walk, _label(film, walk, member), "named") for walk, member in zip(walks, film["of"], strict=True)]
    channels = [_channel(number, *walk) for number, walk in enumerate(chosen, start=1)]
    return {
        "film": film["name"],
        "key": film["key"],
        "vary": film["vary"],
        "title": _title(film, channels),
        "why": _why(film, by, channels, len(walks)),
        "by": by if film["vary"] == "rank" else None,
        "channels": channels,
    }


def _ranked(ranks: Sequence[str], walks: list[dict], by: str) -> list[tuple[dict, str, str]]:
    """Three different walks, each with its label and the reason, in the order of `ranks`."""
    alive = [walk for walk in walks if walk["row"]["status"] != "failed"]
    failed = [walk for walk in walks if walk["row"]["status"] == "failed"]
    distances = {id(walk): _distance(walk["row"], by) for walk in walks}
    strange = {id(walk): _number(walk["row"], "strangeness") or 0.0 for walk in walks}
    near = sorted(alive, key=lambda walk: distances[id(walk)])
    found = {}
    # The extremes choose first: with three walks the middle one is what they leave.
    for rank in sorted(ranks, key=("closest", "farthest", "strangest", "median").index):
        free = [walk for walk in near if walk not in [one for one, _ in found.values()]]
        if not free:
            free = [walk for walk in failed if walk not in [one for one, _ in found.values()]]
        if rank == "strangest":
            walk = max(free, key=lambda walk: strange[id(walk)])
            reason = f"strangeness {strange[id(walk)]:.3g}, the highest still free of {len(walks)}"
        else:
            place = {"closest": 0, "farthest": len(near) - 1, "median": (len(near) - 1) // 2}[rank]
            walk = min(free, key=lambda walk: abs(near.index(walk) - place) if walk in near else 0)
            reason = f"final {by} {distances[id(walk)]:.4g}, "
            reason += f"place {near.index(walk) + 1} of {len(near)}" if walk in near else "a failed walk: no other left"
        found[rank] = (walk, reason)
    return [(found[rank][0], f"{rank} · seed {found[rank][0]['seed']}", found[rank][1]) for rank in ranks]


def _channel(number: int, walk: dict, label: str, why: str) -> dict:
    row = walk["row"]
    measures = {name[6:]: _number(row, name) for name in row if name.startswith("final_")}
    return {
        "channel": number,
        "label": label,
        "why": why,
        "setting": walk["setting"],
        "seed": walk["seed"],
        "values": walk["values"],
        "trajectory": str(row["trajectories"]),
        "status": str(row["status"]),
        "last_step": int(float(row["last_step"])),
        "measures": measures,
    }


def _label(film: dict, walk: dict, member: object) -> str:
    if film["vary"] == "trajectory":
        return f"{' '.join(str(value) for value in walk['values'].values())} · seed {walk['seed']}"
    return str(member) if film["vary"] == "loss" else f"{film['vary']} {member}"


def _title(film: dict, channels: list[dict]) -> str:
    """What the three channels have in common."""
    shared = {**channels[0]["values"], "seed": channels[0]["seed"]}
    for channel in channels[1:]:
        other = {**channel["values"], "seed": channel["seed"]}
        shared = {name: value for name, value in shared.items() if other[name] == value}
    return " · ".join(f"{name} {value}" for name, value in shared.items() if name != film["vary"])


def _why(film: dict, by: str, channels: list[dict], of: int) -> str:
    names = _listed([channel["label"] for channel in channels])
    why = f"films.{film['key']} names three values of {film['vary']}: {names}."
    if film["vary"] == "rank":
        why = f"films.{film['key']} asks for {_listed(film['of'])} of {of} walks by {by}: {names}."
    failed = [channel for channel in channels if channel["status"] == "failed"]
    for channel in failed:
        why += f" Channel {channel['channel']} failed at step {channel['last_step']} and shows its last finite image."
    return why


def _distance(row: dict, by: str) -> float:
    """How far an arrival is from the target; what cannot be read is farthest."""
    value = _number(row, f"final_{by}")
    return math.inf if value is None else value


def _number(row: dict, name: str) -> float | None:
    """A finite number from a row of a table, or nothing."""
    try:
        value = float(row.get(name, ""))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _listed(values: Iterable) -> str:
    return ", ".join(str(value) for value in values) or "none"
