"""Which arrivals have passes between them. No torch."""

from collections.abc import Mapping
from itertools import combinations


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
