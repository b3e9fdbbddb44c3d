"""How the picture changes along a trajectory, so that a film can show equal change in equal time.

A picture is compared by its smaller self (at most 64 px, averaged), as a root mean square difference: that needs no
network, and two pictures are compared where they are, however far apart on the trajectory.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from approach.film.render import conditioning_at
from approach.film.timing import distances

SIDE = 64  # pixels of the pictures that are compared
PARTS = 480  # a trajectory is cut so that no piece is longer than one of so many equal ones...
FINEST = 24  # ... unless a single step would have to be cut into more pieces than this
CHUNK = 16


@torch.inference_mode()
def frame_distances(
    generator: torch.nn.Module,
    z: np.ndarray,
    classes: np.ndarray,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Small pictures along a trajectory, closer together where the picture changes fast.

    Args:
        generator: of images [N, 3, S, S] in [-1, 1].
        z: [steps + 1, 128].
        classes: [steps + 1, C], probabilities.
        report: called now and then with the pictures made and those to make.

    Returns:
        positions [P] (fractional steps, rising from 0 to the last), pictures [P, side, side, 3] float16 in [-1, 1].
    """

    def small(positions: Sequence[float], before: int, total: int) -> np.ndarray:
        conditioning = conditioning_at(generator, z, classes, positions)
        made = []
        for begin in range(0, len(conditioning), CHUNK):
            images = generator(conditioning[begin : begin + CHUNK]).float()
            side = min(SIDE, images.shape[-1])
            images = F.adaptive_avg_pool2d(images, side).permute(0, 2, 3, 1)
            made.append(images.cpu().numpy().astype(np.float16))
            if report:
                report(before + begin + len(images), total)
        return np.concatenate(made)

    last = len(z) - 1
    positions = np.arange(last + 1, dtype=float)
    pictures = small(positions, 0, last + 1)
    steps = distances(pictures)
    pieces = np.clip(np.ceil(steps * PARTS / max(steps.sum(), 1e-9)), 1, FINEST).astype(int)
    between = np.concatenate([step + np.arange(1, count) / count for step, count in enumerate(pieces)] or [np.empty(0)])
    if len(between):
        added = small(between, last + 1, last + 1 + len(between))
        order = np.argsort(np.concatenate([positions, between]), kind="stable")
        positions = np.concatenate([positions, between])[order]
        pictures = np.concatenate([pictures, added])[order]
    return {"positions": positions, "pictures": pictures}
