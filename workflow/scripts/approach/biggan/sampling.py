"""How BigGAN's z is drawn."""

import math

import torch
from torch import Tensor

SQRT2 = math.sqrt(2)
TRUNCATED_NORMAL_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(2 / SQRT2))  # cut off at +-2


def truncated_normal(shape: tuple[int, ...], truncation: float, random: torch.Generator) -> Tensor:
    """Draw from the normal distribution cut off at +-2, times truncation, by the inverse of its distribution function.

    As BigGAN's own sampling (scipy's truncnorm(-2, 2), Brock et al. 2018, section 3.1).

    Returns:
        float32 of that shape, on the CPU, so that a seed means the same on every device.
    """
    edge = math.erf(2 / SQRT2)
    uniform = torch.rand(shape, generator=random, dtype=torch.float64)
    return (truncation * SQRT2 * torch.erfinv((2 * uniform - 1) * edge)).float()
