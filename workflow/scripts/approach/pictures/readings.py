"""What the pictures and the page say alike of a survey or a curve. No matplotlib: the page draws in the browser."""

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
