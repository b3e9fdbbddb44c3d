"""Which arrivals have passes between them. No torch."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from approach.errors import UserError
from approach.wording import setting_words, value_words


def pairs(count: int) -> list[tuple[int, int]]:
    """Every two of `count` arrivals; of three in the order of the panorama's profiles: 1-2, 2-3, 3-1."""
    return [(0, 1), (1, 2), (2, 0)] if count == 3 else list(combinations(range(count), 2))


def film_arrivals(choice: Mapping) -> tuple[list[dict], list[tuple[int, int]]]:
    """Which arrivals of a film have passes, and between which two of them each leads.

    Args:
        choice: film.json.

    Returns:
        The film's channels, or the members of a ring, as film.json has them; pairs of their numbers: every two, in a
        ring the first and the second, the third and the fourth, and so on.
    """
    channels = choice["channels"]
    if "members" not in channels[0]:
        return channels, pairs(len(channels))
    members = [member for channel in channels for member in channel["members"]]
    return members, [(first, first + 1) for first in range(0, len(members), 2)]


def experiment_arrivals(rows: Sequence[Mapping], by: str, count: int) -> tuple[list[dict], list[tuple[int, int]]]:
    """The arrivals of an experiment that are nearest to the target, and every two of them.

    Args:
        rows: of trajectories.csv.
        by: the metric of nearness.
        count: how many.

    Returns:
        {setting, seed, label, trajectory: its file} each; pairs of their numbers.

    Raises:
        UserError: fewer than two have arrived.
    """
    arrived = sorted((row for row in rows if row["status"] != "failed"), key=lambda row: row[f"final_{by}"])[:count]
    if len(arrived) < 2:
        raise UserError(f"passes.arrivals={count}: {len(arrived)} of this run's inversions arrived; passes need two")
    several = len({row["setting"] for row in rows}) > 1
    chosen = []
    for row in arrived:
        words = [setting_words(row["setting"])] if several else []
        label = ", ".join([*words, value_words("seed", row["seed"])])
        named = {"setting": row["setting"], "seed": int(row["seed"]), "label": label}
        chosen.append({**named, "trajectory": row["trajectories"]})
    return chosen, list(combinations(range(len(chosen)), 2))
