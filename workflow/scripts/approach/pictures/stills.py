"""Stills of a setting's trajectories at chosen steps, and the metrics of their starts and arrivals."""

import numpy as np
import torch

from approach.biggan.generator import Generator
from approach.film.render import chunk, to_frames
from approach.losses.metrics import measure
from approach.losses.perceptual import Perceptual
from approach.target import Target
from approach.trajectories import Trajectory, TrajectoryFile


def moments(steps: int, count: int) -> list[int]:
    """At most `count` steps of 0..`steps`, both ends included: denser near the start, where pictures change most."""
    return sorted({round(steps * (place / (count - 1)) ** 2) for place in range(count)})


def take_stills(
    generator: Generator,
    trajectories: list[Trajectory],
    target: Target,
    *,
    names: list[str],
    count: int,
    net: Perceptual | None = None,
) -> tuple[list[int], np.ndarray, list[dict]]:
    """Render the trajectories of one setting, and take the metrics of their ends.

    Args:
        generator: in float32.
        trajectories: N trajectories of S steps each.
        target: the picture they were inverted towards.
        names: the metrics: l2, ssim, lpips.
        count: pictures wanted of each trajectory.
        net: the LPIPS network, where lpips is among the metrics.

    Returns:
        The M steps of the pictures; the pictures [N, M, H, W, 3] uint8; a row per trajectory with seed,
        start_<metric>, final_<metric>.
    """
    steps = moments(len(trajectories[0].z) - 1, count)
    device = next(generator.buffers()).device
    batch, pictures, rows = chunk(device), [], []
    for trajectory in trajectories:
        z, classes = (torch.from_numpy(part[steps]).to(device) for part in (trajectory.z, trajectory.classes))
        with torch.no_grad():
            conditioning = [
                generator.conditioning(z[begin : begin + batch], classes[begin : begin + batch])
                for begin in range(0, len(z), batch)
            ]
            images = torch.cat([generator(part) for part in conditioning])
            found = measure(images[[0, -1]], target, names, net)
        pictures.append(to_frames(images))
        row = {"seed": trajectory.seed}
        row |= {f"start_{name}": float(value[0]) for name, value in found.items()}
        rows.append(row | {f"final_{name}": float(value[1]) for name, value in found.items()})
    return steps, np.stack(pictures), rows


def take_dropped(generator: Generator, files: dict[int, TrajectoryFile]) -> dict[str, np.ndarray]:
    """Render what members of the seeds' pools had come to when they were dropped.

    Args:
        generator: in float32.
        files: seed -> the file that holds it.

    Returns:
        Of all D of them, seed by seed, stage by stage, the nearest first: seeds, steps, losses [D]; images
        [D, H, W, 3] uint8. Nothing where none was dropped.
    """
    device = next(generator.buffers()).device
    noted, latents = [], []
    for seed, file in files.items():
        for order, step, loss in file.pool(seed):
            way = file.dropped(seed, order)
            noted.append((seed, step, loss))
            latents.append((way.z[-1], way.classes[-1]))
    if not noted:
        return {}
    images, batch = [], chunk(device)
    for begin in range(0, len(latents), batch):
        z, classes = (
            torch.from_numpy(np.stack(part)).to(device) for part in zip(*latents[begin : begin + batch], strict=True)
        )
        with torch.no_grad():
            images.append(to_frames(generator(generator.conditioning(z, classes))))
    seeds, steps, losses = (np.array(part) for part in zip(*noted, strict=True))
    return {"seeds": seeds, "steps": steps, "losses": losses, "images": np.concatenate(images)}
