"""Stills of a setting's walks at chosen moments, and the metrics of where they start and arrive."""

import numpy as np
import torch

from approach.biggan.generator import Generator
from approach.film.render import to_frames
from approach.losses.metrics import measure
from approach.losses.perceptual import Perceptual
from approach.target import Target
from approach.trajectories import Trajectory

CHUNK = 32  # images in one pass


def moments(steps: int, count: int) -> list[int]:
    """At most `count` steps of 0..`steps` with both ends, closer together at the start, where a walk moves most."""
    return sorted({round(steps * (place / (count - 1)) ** 2) for place in range(count)})


def take_stills(
    generator: Generator,
    walks: list[Trajectory],
    target: Target,
    *,
    names: list[str],
    count: int,
    net: Perceptual | None = None,
) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Render and measure the walks of one setting.

    Args:
        generator: in float32.
        walks: N trajectories of S steps each.
        target: what they looked for.
        names: the metrics: l2, ssim, lpips.
        count: moments wanted.
        net: the LPIPS network where it is measured.

    Returns:
        Arrays seeds [N], steps [M], images [N, M, H, W, 3] uint8; and a row per walk with seed, start_<measure>,
        final_<measure>.
    """
    steps = moments(len(walks[0].z) - 1, count)
    device = next(generator.buffers()).device
    pictures, rows = [], []
    for walk in walks:
        z, classes = (torch.from_numpy(part[steps]).to(device) for part in (walk.z, walk.classes))
        with torch.no_grad():
            images = torch.cat(
                [
                    generator(generator.conditioning(z[i : i + CHUNK], classes[i : i + CHUNK]))
                    for i in range(0, len(z), CHUNK)
                ]
            )
            found = measure(images[[0, -1]], target, names, net)
        pictures.append(to_frames(images))
        start = {f"start_{name}": float(value[0]) for name, value in found.items()}
        rows.append({"seed": walk.seed, **start, **{f"final_{name}": float(value[1]) for name, value in found.items()}})
    arrays = {"seeds": np.array([walk.seed for walk in walks]), "steps": np.array(steps), "images": np.stack(pictures)}
    return arrays, rows
