"""Sketches of pictures: so few numbers that every step of a trajectory keeps them, and enough for the pace of a film.

A picture, averaged to at most 64 px, is cut into random groups of numbers, and each group summed with random signs: the
count sketch of Charikar, Chen and Farach-Colton (2002). Distances between sketches are those between the pictures, to
about 3 %, and what lies between two pictures has a sketch between theirs.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 64  # pixels of the pictures that are compared
NUMBERS = 512  # of a sketch
SEED = 0  # of groups and signs: sketches of other seeds cannot be compared


@torch.no_grad()
def sketch(images: Tensor) -> Tensor:
    """Sketches of pictures; each is a function of its own picture alone.

    Args:
        images: [N, 3, S, S] in [-1, 1].

    Returns:
        [N, NUMBERS] float16. The root mean square difference of two is about that of the two averaged pictures.
    """
    small = F.adaptive_avg_pool2d(images.float(), min(SIDE, images.shape[-1])).flatten(1)
    groups, weights = _groups(small.shape[1], str(images.device))
    return (small[:, groups] * weights).sum(2).half()


@cache
def _groups(count: int, device: str) -> tuple[Tensor, Tensor]:
    """Which of `count` numbers each group sums, [NUMBERS, size], and their signs, scaled; what fills up weighs 0."""
    size = -(-count // NUMBERS)
    random = np.random.RandomState(SEED)  # its numbers stay the same in every version of NumPy (NEP 19)
    order = random.permutation(NUMBERS * size)
    signs = random.choice([-1.0, 1.0], NUMBERS * size) * (order < count) * np.sqrt(NUMBERS / count)
    groups = torch.from_numpy(np.minimum(order, count - 1)).view(NUMBERS, size)
    return groups.to(device), torch.from_numpy(signs).float().view(NUMBERS, size).to(device)
