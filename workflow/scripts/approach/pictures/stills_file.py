"""stills.npz: a setting's pictures at chosen steps, and its arrivals under a name of their own. No torch."""

from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np

from approach.files import read_npz, reading


def write_stills(path: Path, seeds: list[int], steps: list[int], images: np.ndarray, dropped: Mapping) -> None:
    """Write the pictures of one setting.

    Args:
        path: the .npz file.
        seeds: N seeds.
        steps: the M steps of the pictures, the arrival's last.
        images: [N, M, H, W, 3] uint8.
        dropped: what else there is of members that were dropped (`stills.take_dropped`).
    """
    parts = {"seeds": np.array(seeds), "steps": np.array(steps), "images": images, "arrivals": images[:, -1]}
    np.savez_compressed(path, **parts, **{f"dropped_{name}": part for name, part in dropped.items()})


def read_arrivals(paths: Mapping[str, str | Path]) -> dict[str, np.ndarray]:
    """The pictures of all arrivals.

    Args:
        paths: setting -> its stills.npz.

    Returns:
        trajectory ("setting/seed") -> uint8 [H, W, 3].
    """
    pictures = {}
    for setting, path in paths.items():
        stills = read_npz(path, "seeds", "arrivals")
        with reading(path):
            for seed, picture in zip(stills["seeds"].tolist(), stills["arrivals"], strict=True):
                pictures[f"{setting}/{seed}"] = picture
    return pictures


def read_moments(paths: Mapping[str, str | Path], wanted: Container[str]) -> dict[str, tuple[list[int], np.ndarray]]:
    """The pictures of some trajectories at the stored moments, from start to arrival.

    Args:
        paths: setting -> its stills.npz.
        wanted: which trajectories ("setting/seed").

    Returns:
        trajectory -> the M steps, and the pictures there, uint8 [M, H, W, 3].
    """
    pictures = {}
    for setting, path in paths.items():
        stills = read_npz(path)
        with reading(path):
            for seed, images in zip(stills["seeds"].tolist(), stills["images"], strict=True):
                if f"{setting}/{seed}" in wanted:
                    pictures[f"{setting}/{seed}"] = stills["steps"].tolist(), images.copy()
    return pictures
