"""Paint one shard of the training pictures: pictures uint8 [classes, n, 3, size, size] and latents."""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from study.painter import CLASSES, LATENTS, normal, paint

BATCH = 16  # a batch of this size stays in the cache

logger = logging.getLogger("paint")


def paint_shard(shard: int, per_class: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a shard and the latents that decide them, a pure function of its number."""
    latents = normal(torch.Generator().manual_seed(shard), len(CLASSES) * per_class, LATENTS)
    latents = latents.view(len(CLASSES), per_class, LATENTS)
    pictures = np.empty((len(CLASSES), per_class, 3, size, size), np.uint8)
    for label in range(len(CLASSES)):
        for first in range(0, per_class, BATCH):
            count = min(BATCH, per_class - first)
            pictures[label, first : first + count] = paint(
                label, latents[label, first : first + count], shard * 10_000 + first, size
            ).numpy()
    return pictures, latents.numpy()


def main() -> None:
    """Paint and write under a temporary name first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--per-class", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    with partial.open("wb") as file:
        pictures, latents = paint_shard(arguments.shard, arguments.per_class, arguments.size)
        np.savez(file, pictures=pictures, latents=latents)
    partial.rename(arguments.output)
    logger.info("shard %d: %d pictures", arguments.shard, len(CLASSES) * arguments.per_class)


if __name__ == "__main__":
    main()
