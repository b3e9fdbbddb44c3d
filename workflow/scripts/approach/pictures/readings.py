"""What the pictures and the page say alike of a survey or a curve. No matplotlib: the page draws in the browser."""

from collections.abc import Mapping, Sequence

import numpy as np

PAIRS = ((1, 2), (2, 3), (3, 1))


def fog_distance(arrivals: np.ndarray) -> float:
    """The distance from the plane at which a trajectory has all but gone: half the mean between arrivals [3, 2]."""
    return float(np.mean([np.linalg.norm(arrivals[a - 1] - arrivals[b - 1]) for a, b in PAIRS])) / 2 or 1.0


def ridge(profile: np.ndarray) -> float:
    """How far the losses [T] between two arrivals rise above the higher of them; 0 where they do not."""
    return float(max(0.0, profile.max() - max(profile[0], profile[-1])))


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the indices 0 to count - 1, evenly, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def surveyed_order(channels: Sequence[dict]) -> list[int]:
    """In which order panorama.npz has a film's channels: by setting and seed, so that two films can share it."""
    return sorted(range(len(channels)), key=lambda place: (channels[place]["setting"], channels[place]["seed"]))


def in_channel_order(found: Mapping[str, np.ndarray], channels: Sequence[dict]) -> dict[str, np.ndarray]:
    """A survey as panorama.npz has it, its arrivals, trajectories and profiles in the order of a film's channels.

    Args:
        found: as `survey.survey` returns it, of the channels in `surveyed_order`.
        channels: film.json's three.
    """
    order = surveyed_order(channels)
    places = [order.index(channel) for channel in range(len(channels))]
    between = {(places.index(a - 1), places.index(b - 1)): line for line, (a, b) in enumerate(PAIRS)}
    lines = [(between.get((a - 1, b - 1)), between.get((b - 1, a - 1))) for a, b in PAIRS]
    profiles = [found["profiles"][line] if line is not None else found["profiles"][back][::-1] for line, back in lines]
    along = [found["profile_x"][line if line is not None else back] for line, back in lines]
    return {
        **found,
        "arrivals": found["arrivals"][places],
        **{f"trajectory_{number}": found[f"trajectory_{place + 1}"] for number, place in enumerate(places, start=1)},
        "profiles": np.stack(profiles),
        "profile_x": np.stack(along),
    }
