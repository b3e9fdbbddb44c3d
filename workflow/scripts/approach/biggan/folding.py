"""Folding BigGAN's weights for one truncation: what does not depend on the latents is computed once, in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from approach.biggan.config import GeneratorConfig
from approach.biggan.format import attention_name, block_places


def statistics_row(rows: Tensor, truncation: float) -> Tensor:
    """The batch-norm statistics [channels] at a truncation, from rows [n_stats, channels] spaced evenly over 0..1.

    Linear interpolation between the two rows beside the truncation. The package's own code weighs the two rows
    in reverse, and takes a neighbouring row where truncation / 0.02 misses an integer by rounding
    (0.14, 0.28, 0.56, 0.58, 0.94); both agree on an exact row and half-way between two.
    """
    position = truncation * (len(rows) - 1)
    if abs(position - round(position)) < 1e-6:
        return rows[round(position)]
    lower = int(position)
    return torch.lerp(rows[lower], rows[lower + 1], position - lower)


def ready_weight(weights: dict[str, Tensor], name: str) -> Tensor:
    """A weight divided by its spectral norm u'Wv, as the package does in eval mode; float64."""
    if f"{name}.weight" in weights:
        return weights[f"{name}.weight"].double()
    weight, u, v = (weights[f"{name}.weight_{part}"].double() for part in ("orig", "u", "v"))
    return weight / torch.dot(u, weight.flatten(1) @ v)


@dataclass
class FoldedBlock:
    """One residual block: four kernels, and the last convolution's bias."""

    up: bool
    kernels: list[Tensor]
    bias: Tensor


@dataclass
class FoldedGenerator:
    """All weights of one truncation, float64.

    affine [rows, 256] and affine_bias [rows] map the conditioning to the 4 x 4 seed (height, width, channels)
    followed by scale and shift of every conditional batch norm, in order.
    """

    embedding: Tensor
    affine: Tensor
    affine_bias: Tensor
    widths: list[int]
    blocks: list[FoldedBlock]
    attention: dict[str, Tensor]
    last_scale: Tensor
    last_shift: Tensor
    to_rgb: Tensor
    to_rgb_bias: Tensor


def fold(weights: dict[str, Tensor], config: GeneratorConfig, truncation: float) -> FoldedGenerator:
    """Fold checked weights (read_weights) at a truncation in (0, 1]; float64 throughout.

    Batch norm becomes scale * x + shift. A convolution's bias that a batch norm follows joins that norm's shift;
    only a block's last bias stays. gamma joins the attention's last kernel; the picture keeps three channels.
    """

    def statistics(name: str) -> tuple[Tensor, Tensor]:
        mean = statistics_row(weights[f"{name}.running_means"].double(), truncation)
        variance = statistics_row(weights[f"{name}.running_vars"].double(), truncation)
        return mean, torch.rsqrt(variance + config.eps)

    rows = [ready_weight(weights, "generator.gen_z")]
    biases = [weights["generator.gen_z.bias"].double()]
    widths, blocks = [rows[0].shape[0]], []
    for place in block_places(config):
        before = torch.zeros((), dtype=torch.float64)  # the bias that the previous convolution leaves to this norm
        kernels = []
        for number in range(4):
            mean, inverse_deviation = statistics(f"{place.name}.bn_{number}")
            centre = before - mean
            scale = ready_weight(weights, f"{place.name}.bn_{number}.scale") * inverse_deviation[:, None]
            rows += [scale, ready_weight(weights, f"{place.name}.bn_{number}.offset") + scale * centre[:, None]]
            biases += [inverse_deviation, inverse_deviation * centre]
            widths += [len(mean)] * 2
            before = weights[f"{place.name}.conv_{number}.bias"].double()
            kernels.append(ready_weight(weights, f"{place.name}.conv_{number}"))
        blocks.append(FoldedBlock(place.up, kernels, before))

    name = attention_name(config)
    attention = {part: ready_weight(weights, f"{name}.snconv1x1_{part}") for part in ("theta", "phi", "g", "o_conv")}
    attention["o_conv"] = attention["o_conv"] * weights[f"{name}.gamma"].double()

    mean, inverse_deviation = statistics("generator.bn")
    last_scale = weights["generator.bn.weight"].double() * inverse_deviation
    return FoldedGenerator(
        embedding=weights["embeddings.weight"].double(),
        affine=torch.cat(rows),
        affine_bias=torch.cat(biases),
        widths=widths,
        blocks=blocks,
        attention=attention,
        last_scale=last_scale,
        last_shift=weights["generator.bn.bias"].double() - last_scale * mean,
        to_rgb=ready_weight(weights, "generator.conv_to_rgb")[:3],
        to_rgb_bias=weights["generator.conv_to_rgb.bias"].double()[:3],
    )
