"""How the picture changes along a trajectory, so that a film can show equal change in equal time.

A picture is compared by its smaller self (at most 64 px, averaged), as a root mean square difference: that needs no
network, and two pictures are compared where they are, however far apart on the trajectory.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from approach.film.render import chunk, conditioning_at
from approach.film.timing import distances

SIDE = 64  # pixels of the pictures that are compared
STRIDE = 4  # steps between two pictures at first
PARTS = 240  # a trajectory is cut so that no piece is longer than one of so many equal ones...
FINEST = 24  # ... unless a single step would have to be cut into more pieces than this


@torch.inference_mode()
def frame_distances(
    generator: torch.nn.Module,
    z: np.ndarray,
    classes: np.ndarray,
    report: Callable[[int, int], None] | None = None,
    parts: int | None = None,
) -> dict[str, np.ndarray]:
    """Small pictures along a trajectory, closer together where the picture changes fast.

    Args:
        generator: of images [N, 3, S, S] in [-1, 1].
        z: [steps + 1, 128].
        classes: [steps + 1, C], probabilities.
        report: called now and then with the pictures made and those to make.
        parts: into how many equal changes it is cut at least; None: PARTS.

    Returns:
        positions [P] (fractional steps, rising from 0 to the last), pictures [P, side, side, 3] float16 in [-1, 1].
    """

    def small(positions: Sequence[float], before: int, total: int) -> np.ndarray:
        conditioning = conditioning_at(generator, z, classes, positions)
        made = []
        for part in conditioning.split(chunk(conditioning.device)):
            images = generator(part).float()
            side = min(SIDE, images.shape[-1])
            images = F.adaptive_avg_pool2d(images, side).permute(0, 2, 3, 1)
            made.append(images.cpu().numpy().astype(np.float16))
            before += len(images)
            if report:
                report(before, total)
        return np.concatenate(made)

    last, parts = len(z) - 1, parts or PARTS
    positions = np.unique(np.append(np.arange(0, last, STRIDE), last)).astype(float)
    pictures = small(positions, 0, len(positions))

    def insert(between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        added = small(between, len(positions), len(positions) + len(between))
        order = np.argsort(np.concatenate([positions, between]), kind="stable")
        return np.concatenate([positions, between])[order], np.concatenate([pictures, added])[order]

    while True:  # where little changes, steps are left out
        change = distances(pictures)
        wide = (np.diff(positions) > 1) & (change > change.sum() / parts)
        if not wide.any():
            break
        positions, pictures = insert(np.floor((positions[:-1] + positions[1:]) / 2)[wide])
    pieces = np.clip(np.ceil(change * parts / max(change.sum(), 1e-9)), 1, FINEST).astype(int)
    cut = zip(positions[:-1], np.diff(positions), pieces, strict=True)
    between = np.concatenate([np.empty(0), *(at + gap * np.arange(1, count) / count for at, gap, count in cut)])
    if len(between):
        positions, pictures = insert(between)
    return {"positions": positions, "pictures": pictures}
