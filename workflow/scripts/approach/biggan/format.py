"""The published weights of BigGAN-deep: their names and shapes, read and checked against a configuration."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from approach.biggan.config import GeneratorConfig
from approach.errors import UserError

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class BlockPlace:
    """Where a residual block stands: its name in the weights, whether it up-samples, its widths in channels."""

    name: str
    up: bool
    wide_in: int
    middle: int
    wide_out: int


def block_places(config: GeneratorConfig) -> list[BlockPlace]:
    """The residual blocks in order; the self-attention takes one number in the weights' names."""
    places = []
    for index, (up, wide_in, wide_out) in enumerate(config.layers):
        number = index + (index >= config.attention_layer_position)
        channels = wide_in * config.channel_width
        places.append(
            BlockPlace(f"generator.layers.{number}", up, channels, channels // 4, wide_out * config.channel_width)
        )
    return places


def attention_name(config: GeneratorConfig) -> str:
    """The name of the self-attention in the weights."""
    return f"generator.layers.{config.attention_layer_position}"


def normalised_shapes(config: GeneratorConfig) -> dict[str, Shape]:
    """Shapes of the weights that the package normalises by their spectral norm (convolutions and linear maps)."""
    conditioning = 2 * config.z_dim
    shapes: dict[str, Shape] = {"generator.gen_z": (16 * 16 * config.channel_width, conditioning)}
    for place in block_places(config):
        for number, width in enumerate((place.wide_in, *[place.middle] * 3)):
            shapes[f"{place.name}.bn_{number}.scale"] = (width, conditioning)
            shapes[f"{place.name}.bn_{number}.offset"] = (width, conditioning)
        shapes[f"{place.name}.conv_0"] = (place.middle, place.wide_in, 1, 1)
        shapes[f"{place.name}.conv_1"] = (place.middle, place.middle, 3, 3)
        shapes[f"{place.name}.conv_2"] = (place.middle, place.middle, 3, 3)
        shapes[f"{place.name}.conv_3"] = (place.wide_out, place.middle, 1, 1)
    channels = config.channel_width * config.layers[config.attention_layer_position][1]
    name = attention_name(config)
    shapes[f"{name}.snconv1x1_theta"] = (channels // 8, channels, 1, 1)
    shapes[f"{name}.snconv1x1_phi"] = (channels // 8, channels, 1, 1)
    shapes[f"{name}.snconv1x1_g"] = (channels // 2, channels, 1, 1)
    shapes[f"{name}.snconv1x1_o_conv"] = (channels, channels // 2, 1, 1)
    shapes["generator.conv_to_rgb"] = (config.channel_width, config.channel_width, 3, 3)
    return shapes


def plain_shapes(config: GeneratorConfig) -> dict[str, Shape]:
    """Shapes of all other tensors: embedding, biases, batch-norm statistics."""
    shapes: dict[str, Shape] = {"embeddings.weight": (config.z_dim, config.num_classes)}
    for name, shape in normalised_shapes(config).items():
        if name.endswith((".gen_z", ".conv_to_rgb")) or ".conv_" in name:
            shapes[f"{name}.bias"] = shape[:1]
        if name.endswith(".scale"):
            norm = name.removesuffix(".scale")
            shapes[f"{norm}.running_means"] = shapes[f"{norm}.running_vars"] = (config.n_stats, shape[0])
    shapes[f"{attention_name(config)}.gamma"] = (1,)
    channels = config.channel_width
    shapes["generator.bn.running_means"] = shapes["generator.bn.running_vars"] = (config.n_stats, channels)
    shapes["generator.bn.weight"] = shapes["generator.bn.bias"] = (channels,)
    return shapes


def read_weights(path: str | Path, config: GeneratorConfig) -> dict[str, Tensor]:
    """Read BigGAN weights under the package's names, checked against the configuration.

    Accepts the published pytorch_model.bin (read with weights_only=True) and safetensors. A normalised weight
    is either weight_orig with weight_u and weight_v, or a ready weight. Half-precision tensors are cast to float32.
    Unknown tensors are named in the log and left out. UserError where the file is missing, corrupt, holds
    a tensor that is not finite, or does not fit the configuration.
    """
    path = Path(path)
    tensors = _load_tensors(path)
    wanted = _wanted_shapes(tensors, config)
    wrong = [f"{name} is missing" for name in wanted if name not in tensors]
    wrong += [
        f"{name} has shape {list(tensors[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(
            f"{path}: not the weights of this {config.output_dim} px configuration: {wrong[0]}{more}; "
            "give weights and config.json of the same generator"
        )
    if unknown := sorted(set(tensors) - set(wanted)):
        logger.warning("%s: %d unknown tensors ignored: %s", path, len(unknown), ", ".join(unknown))
    weights = {name: _at_least_float32(tensors[name]) for name in wanted}
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UserError(f"{path}: corrupt weights, {broken[0]} holds values that are not finite; fetch the file again")
    return weights


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the generator's weights ({error.strerror or error}); "
            "check the path or fetch them again"
        ) from error
    except Exception as error:  # a damaged pickle raises anything
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path}: corrupt or no weights file ({reason}); fetch the file again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise UserError(f"{path}: holds no table of tensors; give a published pytorch_model.bin or a safetensors file")
    return tensors


def _wanted_shapes(tensors: dict[str, Tensor], config: GeneratorConfig) -> dict[str, Shape]:
    wanted = plain_shapes(config)
    for name, shape in normalised_shapes(config).items():
        ready = f"{name}.weight" in tensors and f"{name}.weight_v" not in tensors
        if ready:  # a ready weight, also as torch before 1.1 wrote it beside weight_orig and weight_u
            wanted[f"{name}.weight"] = shape
        else:
            columns = torch.Size(shape[1:]).numel()
            wanted |= {f"{name}.weight_orig": shape, f"{name}.weight_u": shape[:1], f"{name}.weight_v": (columns,)}
    return wanted


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.to(torch.float32)
