"""Which three trajectories a film shows, and why; in a ring, which a channel joins; of a pool, which. No torch."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from approach.errors import UserError
from approach.wording import value_words, values_words

CHANNELS = 3


def choose(film: dict, trajectories: Iterable[dict], made: str | Path = "") -> dict:
    """Which three trajectories a film shows, and why: the content of film.json.

    Ranks are taken of `final_<by>`, or of the first metric of lpips, l2 that is there; a failed inversion is chosen
    only where no other is left.

    Args:
        film: an entry of `planning.films.film_table`.
        trajectories: the rows of trajectories.csv (text or numbers).
        made: the file that will hold the channels of a ring or of a pool, each as one trajectory.

    Returns:
        {film, key, vary, title, why, by, channels: three of {channel, label, why, setting, seed, values, trajectory
        (its file), status, last_step, metrics}}. A channel that ends at a moment before its arrival has `until`. One of
        a ring or a pool has its trajectories as `members`, each like a channel, and in a pool with its `stage`; it is
        itself found in `made`, under its number as the seed and the film's name as the setting.

    Raises:
        UserError: a candidate has no row, or `by` names no metric of the run.
    """
    rows = {(row["setting"], int(row["seed"])): row for row in trajectories}
    candidates = []
    for candidate in film["candidates"]:
        row = rows.get((candidate["setting"], candidate["seed"]))
        if row is None:
            name = f"{candidate['setting']}/{candidate['seed']}"
            raise UserError(
                f"film {film['name']}: trajectories.csv has no row of {name}; delete it to have it made again"
            )
        candidates.append({**candidate, "row": row})
    by = film.get("by") or next(
        (name for name in ("lpips", "l2") if _number(candidates[0]["row"], f"final_{name}") is not None),
        next((name[6:] for name in candidates[0]["row"] if name.startswith("final_") and name != "final_loss"), "loss"),
    )
    if film["vary"] == "rank":
        if f"final_{by}" not in candidates[0]["row"]:
            raise UserError(f"films.{film['key']}.by={by}: not one of the metrics of this run")
        chosen = _ranked(film["of"], candidates, by)
    else:
        chosen = [(one, _label(film, one, member), "named") for one, member in zip(candidates, film["of"], strict=True)]
    channels = [_channel(number, *one) for number, one in enumerate(chosen, start=1)]
    members = channels
    if film.get("join") or film["vary"] == "stage":
        channels = _made_channels(film, members, str(made))
    return {
        "film": film["name"],
        "key": film["key"],
        "vary": film["vary"],
        "title": _title(film, members if film["vary"] == "stage" else channels),
        "why": _why(film, by, channels, members, len(candidates)),
        "by": by if film["vary"] == "rank" else None,
        "channels": channels,
    }


def _ranked(ranks: Sequence[str], candidates: list[dict], by: str) -> list[tuple[dict, str, str]]:
    """Three different candidates, each with its label and the reason, in the order of `ranks`."""
    alive = [one for one in candidates if one["row"]["status"] != "failed"]
    failed = [one for one in candidates if one["row"]["status"] == "failed"]
    distances = {id(one): _distance(one["row"], by) for one in candidates}
    strange = {id(one): _number(one["row"], "strangeness") or 0.0 for one in candidates}
    near = sorted(alive, key=lambda one: distances[id(one)])
    found = {}
    # The extremes choose first: with three candidates the middle one is what they leave.
    for rank in sorted(ranks, key=("closest", "farthest", "strangest", "median").index):
        taken = [one for one, _ in found.values()]
        free = [one for one in near if one not in taken] or [one for one in failed if one not in taken]
        if rank == "strangest":
            best = max(free, key=lambda one: strange[id(one)])
            reason = f"strangeness {strange[id(best)]:.3g}, the highest still free of {len(candidates)}"
        else:
            place = {"closest": 0, "farthest": len(near) - 1, "median": (len(near) - 1) // 2}[rank]
            best = min(free, key=lambda one: abs(near.index(one) - place) if one in near else 0)
            reason = f"final {by} {distances[id(best)]:.4g}, "
            reason += f"place {near.index(best) + 1} of {len(near)}" if best in near else "failed: no other left"
        found[rank] = (best, reason)
    return [(found[rank][0], f"{rank}, start {found[rank][0]['seed']}", found[rank][1]) for rank in ranks]


def _channel(number: int, candidate: dict, label: str, why: str) -> dict:
    row = candidate["row"]
    metrics = {name[6:]: _number(row, name) for name in row if name.startswith("final_")}
    return {
        "channel": number,
        "label": label,
        "why": why,
        "setting": candidate["setting"],
        "seed": candidate["seed"],
        "values": candidate["values"],
        "trajectory": str(row["trajectories"]),
        "status": str(row["status"]),
        "last_step": int(float(row["last_step"])),
        "metrics": metrics,
        **{key: candidate[key] for key in ("until", "stage") if key in candidate},
    }


def _made_channels(film: dict, members: list[dict], made: str) -> list[dict]:
    """The members, shared out among three channels that are found in the file of the ring or the pool."""
    each, channels = len(members) // CHANNELS, []
    for number in range(CHANNELS):
        part = members[number * each : (number + 1) * each]
        first = part[0]["values"]
        values = {key: first[key] for key in first if all(one["values"][key] == first[key] for one in part)}
        channels.append(
            {
                "channel": number + 1,
                "label": ", ".join(one["label"] for one in part),
                "why": "named",
                "setting": film["name"],
                "seed": number + 1,
                "values": values,
                "trajectory": made,
                "status": "ok",
                "last_step": None,
                "metrics": {},
                "members": part,
            }
        )
    return channels


def _label(film: dict, candidate: dict, member: object) -> str:
    if film["vary"] == "trajectory":
        until = f", to step {candidate['until']}" if "until" in candidate else ""
        return values_words({**candidate["values"], "seed": candidate["seed"]}) + until
    if film["vary"] == "stage":
        last = candidate["stage"] == candidate["stages"]
        return "the one that is left" if last else f"dropped after stage {candidate['stage']} of {candidate['stages']}"
    return value_words(film["vary"], member)


def _title(film: dict, channels: list[dict]) -> str:
    """What the three channels have in common."""
    shared = {**channels[0]["values"], "seed": channels[0]["seed"]}
    for channel in channels[1:]:
        other = {**channel["values"], "seed": channel["seed"]}
        shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return values_words({name: value for name, value in shared.items() if name != film["vary"]})


def _why(film: dict, by: str, channels: list[dict], members: list[dict], of: int) -> str:
    names = "; ".join(channel["label"] for channel in channels)
    why = f"films.{film['key']} names three values of {film['vary']}: {names}."
    if film.get("join"):
        how = "the passes between their arrivals" if film["join"] == "passes" else "straight lines between arrivals"
        why = f"films.{film['key']} joins {len(members)} values of {film['vary']} by {how} to three rings: {names}."
    if film["vary"] == "stage":
        why = f"films.{film['key']} shows a search from inside, three members of its pool: {names}."
    if film["vary"] == "rank":
        why = f"films.{film['key']} asks for {', '.join(film['of'])} of {of} trajectories by {by}: {names}."
    failed = [member for member in members if member["status"] == "failed"]
    for member in failed:
        who = member["label"].capitalize() if film.get("join") else f"Channel {member['channel']}"
        why += f" {who} failed at step {member['last_step']} and shows its last finite image."
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
