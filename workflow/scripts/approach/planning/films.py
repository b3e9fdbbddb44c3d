"""Films as configuration: which films a run has, in the grammar of `films:`. No torch."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from approach.errors import UserError

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


def _listed(values: Iterable) -> str:
    return ", ".join(str(value) for value in values) or "none"
