"""Seeded stand-in weights: the published format filled with drawn numbers, for tests and timings, not for pictures.

A generator of these weights costs what a trained one costs and has its value ranges; its images mean nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.biggan.config import GeneratorConfig
from approach.biggan.format import normalised_shapes, plain_shapes


def seeded_state(config: GeneratorConfig, seed: int = 0, *, power_iterations: int = 30) -> dict[str, Tensor]:
    """Weights [float32] of an architecture under the package's names, a pure function of config and seed.

    Every batch norm has n_stats distinct rows of statistics; the vectors of the spectral norm are converged by
    power iteration; no bias, gamma, or last norm is left at a value that would hide a mistake.
    """
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    state: dict[str, Tensor] = {}
    for name, shape in normalised_shapes(config).items():
        weight = normal(*shape)
        matrix = weight.flatten(1)
        v = F.normalize(normal(matrix.shape[1]), dim=0)
        for _ in range(power_iterations):
            u = F.normalize(matrix @ v, dim=0)
            v = F.normalize(u @ matrix, dim=0)
        state |= {f"{name}.weight_orig": weight, f"{name}.weight_u": u, f"{name}.weight_v": v}
    for name, shape in plain_shapes(config).items():
        if name.endswith("running_means"):
            state[name] = 0.1 * normal(*shape)
        elif name.endswith("running_vars"):
            state[name] = 0.5 + torch.rand(shape, generator=random)
        elif name in ("generator.bn.weight", f"generator.layers.{config.attention_layer_position}.gamma"):
            state[name] = 1 + 0.3 * normal(*shape)
        else:
            state[name] = 0.1 * normal(*shape)
    return state
