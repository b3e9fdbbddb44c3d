"""The disconnectivity tree: below which height two arrivals are no longer joined by any pass. No torch.

After Becker and Karplus (1997): leaves are arrivals, at the height of their losses; two branches join at the lowest
saddle over which one comes from the one to the other, directly or by way of other arrivals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform


@dataclass(frozen=True)
class Join:
    """Where two branches join: the numbers of the branches, the height, and the pass (a place among the pairs)."""

    left: int
    right: int
    height: float
    over: int


def tree(pairs: Sequence[tuple[int, int]], tops: Sequence[float]) -> tuple[list[int], list[Join]]:
    """The tree of arrivals.

    Args:
        pairs: every two of N arrivals, in any order.
        tops: the highest loss on the pass between each two.

    Returns:
        The arrivals from left to right, so that no branches cross; and N - 1 joins from the lowest up. Branches 0 to
        N - 1 are the arrivals, branch N + k is what join k makes.
    """
    count = 1 + max(max(pair) for pair in pairs)
    heights, lowest = np.zeros((count, count)), min(tops)
    for (a, b), top in zip(pairs, tops, strict=True):
        heights[a, b] = heights[b, a] = top
    # A way over several passes is as high as the highest: single linkage (Gower and Ross 1969).
    merged = linkage(squareform(np.maximum(heights - lowest, 0), checks=False), "single")
    inside = [{number} for number in range(count)]
    joins = []
    for left, right, height, _ in merged:
        one, other = inside[int(left)], inside[int(right)]
        crossing = [k for k, (a, b) in enumerate(pairs) if (a in one) != (b in one) and {a, b} <= one | other]
        over = min(crossing, key=lambda k: tops[k])
        joins.append(Join(int(left), int(right), float(height + lowest), over))
        inside.append(one | other)
    return leaves_list(merged).tolist(), joins
