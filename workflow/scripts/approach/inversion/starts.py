"""Starts: the latents at which inversions begin, a pure function of seed, start configuration and generator."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from approach.biggan.sampling import truncated_normal
from approach.classes import class_index
from approach.trajectories import TrajectoryFile


class Latents(NamedTuple):
    """A batch of points in latent space."""

    z: Tensor  # [N, z_dim]
    logits: Tensor  # [N, C]

    def to(self, *where) -> "Latents":
        """The same latents on another device, or of another type, as Tensor.to has it."""
        return Latents(self.z.to(*where), self.logits.to(*where))


def start(seed: int, order: int, config: dict, truncation: float, z_dim: int, names: list[str]) -> Latents:
    """One random start of a seed.

    Args:
        seed: whose start it is.
        order: which of the seed's random starts (0 unless best_of asks for more).
        config: the configuration's `start`.
        truncation: the generator's.
        z_dim: the length of z.
        names: of the generator's classes.

    Returns:
        z [z_dim] within +-2 * truncation, logits [C], float32 on the CPU.
    """
    random = torch.Generator().manual_seed(seed * 1_000_003 + order)
    z = truncated_normal((z_dim,), truncation, random)
    logits = torch.randn(len(names), generator=random) * config["logit_std"]
    if config["classes"]:
        chosen = class_index(config["classes"][seed % len(config["classes"])], names)
        odds = config["class_probability"] * (len(names) - 1) / (1 - config["class_probability"])
        logits = torch.zeros(len(names))
        logits[chosen] = config["temperature"] * math.log(odds)
    return Latents(z, logits)


def sample_starts(
    seeds: list[int],
    config: dict,
    truncation: float,
    z_dim: int,
    names: list[str],
    distance: Callable[[Latents], Tensor] | None = None,
    chunk: int = 16,
) -> tuple[Latents, Tensor]:
    """The starts of seeds: each seed's first random one, or the nearest of its first best_of.

    A seed's start does not depend on the other seeds. "Best of many random starts" is DGP's (Pan et al. 2020).

    Args:
        seeds: N seeds.
        config: the configuration's `start`.
        truncation: the generator's.
        z_dim: the length of z.
        names: of the generator's classes.
        distance: of n latents from the target, [n]; needed where best_of is more than 1.
        chunk: how many latents distance is asked for at a time.

    Returns:
        z [N, z_dim] and logits [N, C], and which of its seed's random starts each is, [N].

    Raises:
        UserError: a class name that the generator does not know.
    """
    found, places = [], []
    for seed in seeds:
        best, place, nearest = None, 0, math.inf
        count = config["best_of"]
        for first in range(0, count, chunk):
            orders = range(first, min(first + chunk, count))
            drawn = [start(seed, order, config, truncation, z_dim, names) for order in orders]
            if count == 1:
                best = drawn[0]
                break
            far = distance(Latents(*(torch.stack(part) for part in zip(*drawn, strict=True))))
            index = int(far.argmin())
            if best is None or float(far[index]) < nearest:
                best, place, nearest = drawn[index], first + index, float(far[index])
        found.append(best)
        places.append(place)
    return Latents(*(torch.stack(part) for part in zip(*found, strict=True))), torch.tensor(places)


class Begin(NamedTuple):
    """Stored latents at which inversions start: those of one seed and step, or of each seed's own arrival."""

    said: str  # what start.from says
    file: Path
    seed: int | None  # None: each seed's own
    step: int  # -1: the arrival


def stored_latents(begin: Begin, seeds: list[int], temperature: float) -> tuple[Latents, bool]:
    """The latents that a trajectory file holds, for a batch of seeds.

    z is what was stored. A class vector is stored as shares, and the logits that give them (up to a constant, which the
    softmax does not see) are found from them: the shares come out the same but for float32's rounding.

    Args:
        begin: which latents.
        seeds: N seeds.
        temperature: of the softmax that turns logits into class probabilities.

    Returns:
        z [N, z_dim] and logits [N, C] in float32, or in the place of the logits class embeddings [N, E]; and whether
        it is these.

    Raises:
        UserError: the file does not hold what is asked for.
    """
    file = TrajectoryFile(begin.file)
    found = [file.trajectory(seed if begin.seed is None else begin.seed) for seed in seeds]
    z, classes = (
        torch.stack([torch.from_numpy(part[begin.step].copy()) for part in parts])
        for parts in zip(*((one.z, one.classes) for one in found), strict=True)
    )
    if found[0].embedded:
        return Latents(z, classes), True
    shares = classes.double().clamp_min(torch.finfo(torch.float32).tiny)
    logits = temperature * (shares / shares.amax(dim=1, keepdim=True)).log()
    return Latents(z, logits.float()), False
