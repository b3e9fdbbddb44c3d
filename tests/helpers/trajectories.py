"""Invented trajectories, and settings spelled as the sweep spells them."""

import numpy as np

from approach.batch_labels import label
from approach.trajectories import write_trajectories

STEPS = 120
NAMES = ["lighthouse, beacon", "shore", "alp", "cliff", "dock", "lake", "tree", "lamp", "snow", "road"]


def spell(values):
    return "+".join(f"{key}~{value}" for key, value in values.items())


def random_trajectory(steps, seed=0):
    source = np.random.default_rng(seed)
    z = np.cumsum(source.normal(size=(steps + 1, 128)) * 0.1, axis=0).astype(np.float32)
    classes = source.dirichlet(np.ones(10), size=steps + 1).astype(np.float32)
    return z, classes


def slowing_trajectory(seed):
    """A trajectory as inversions make them: fast at first, then slower and slower, with a tremble that fades."""
    source = np.random.default_rng(seed)
    progress = 1 - np.exp(-np.arange(STEPS + 1) / 12)[:, None]
    tremble = 0.01 * np.exp(-np.arange(STEPS + 1) / 50)[:, None] * source.normal(size=(STEPS + 1, 128))
    z = source.normal(size=128) + progress * source.normal(size=128) * 1.5 + tremble
    logits = source.normal(size=10) + progress * source.normal(size=10) * 2
    classes = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return z.astype(np.float32), classes.astype(np.float32)


def store(folder, seeds, steps=6, generator=None, **metadata):
    """A finished trajectory file of invented latents.

    Args:
        folder: of the setting.
        seeds: N seeds.
        steps: of each.
        generator: the sha256 of the weights that made them.
        metadata: what else it says.
    """
    file = folder / "trajectories" / f"{label(seeds)}.safetensors"
    file.parent.mkdir(parents=True)
    z, classes = (np.stack(part) for part in zip(*(random_trajectory(steps, seed) for seed in seeds), strict=True))
    made = {"seeds": seeds, "steps": steps, "status": ["ok"] * len(seeds), "last_step": [steps] * len(seeds)}
    made |= {"latent": {"classes": "softmax"}, "truncation": 1.0, "made_from": {"generator": {"sha256": generator}}}
    sketches = z[:, :, :8]  # what changes with the latents
    write_trajectories(file, seeds, z, classes, sketches, {**made, **metadata})
    return file
