"""Which three trajectories a film shows, and why. No torch."""

import math
from collections.abc import Iterable, Sequence

from approach.errors import UserError


def choose(film: dict, trajectories: Iterable[dict]) -> dict:
    """Which three walks a film shows, and why: the content of film.json.

    `film` is an entry of `film_table`; `trajectories` the rows of trajectories.csv (text or numbers). Ranks are taken
    of `final_<by>`, or of the first measure of lpips, l2 that is there; a failed walk is chosen only where no other is
    left. Returns {film, key, vary, title, why, by, channels: three of {channel, label, why, setting, seed, values,
    trajectory, status, last_step, metrics}}.
    """
    rows = {(row["setting"], int(row["seed"])): row for row in trajectories}
    walks = []
    for candidate in film["candidates"]:
        row = rows.get((candidate["setting"], candidate["seed"]))
        if row is None:
            walk = f"{candidate['setting']}, seed {candidate['seed']}"
            raise UserError(
                f"film {film['name']}: trajectories.csv has no row of {walk}; delete it to have it made again"
            )
        walks.append({**candidate, "row": row})
    by = film.get("by") or next(
        (name for name in ("lpips", "l2") if _number(walks[0]["row"], f"final_{name}") is not None),
        next((name[6:] for name in walks[0]["row"] if name.startswith("final_") and name != "final_loss"), "loss"),
    )
    if film["vary"] == "rank":
        if f"final_{by}" not in walks[0]["row"]:
            raise UserError(f"films.{film['key']}.by={by}: not one of the metrics of this run")
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
    metrics = {name[6:]: _number(row, name) for name in row if name.startswith("final_")}
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
        "metrics": metrics,
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
    names = ", ".join(channel["label"] for channel in channels)
    why = f"films.{film['key']} names three values of {film['vary']}: {names}."
    if film["vary"] == "rank":
        why = f"films.{film['key']} asks for {', '.join(film['of'])} of {of} walks by {by}: {names}."
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
