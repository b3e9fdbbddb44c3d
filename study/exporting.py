"""From a training checkpoint to the files that the pipeline loads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from approach.losses.discriminator import Discriminator
from study.networks import TrainableGenerator, batch_norms, iterate, standing_statistics
from study.painter import CLASSES

UNCOUNTED_BATCH = 32  # of all generators that were exported before they told how many images they had seen


def round_weights(network: nn.Module) -> None:
    """Round weights of convolutions and linear maps to float16, in place: statistics are of what is stored."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half().float()
    iterate(network, 100)


def fill_statistics(generator: TrainableGenerator, samples: int, taught_from: int | None = None) -> None:
    """Compute the rows of truncation statistics: row k is truncation k / (rows - 1).

    taught_from: the layer from which on the weights were taught with the last row fixed. There it is kept, and the
    other rows differ from it as the samples' statistics differ; before it all rows are kept.
    """
    rows = generator.config["n_stats"]
    found = [standing_statistics(generator, row / (rows - 1), samples) for row in range(rows)]
    kept = [] if taught_from is None else batch_norms(generator.generator.layers[:taught_from])
    for layer, each in zip(batch_norms(generator), zip(*found, strict=True), strict=True):
        if layer in kept:
            continue
        means, variances = (torch.stack(part) for part in zip(*each, strict=True))
        if taught_from is not None:
            scale = (layer.running_vars[-1] + layer.eps) / (variances[-1] + layer.eps)
            means = layer.running_means[-1] + scale.sqrt() * (means - means[-1])
            variances = (scale * (variances + layer.eps) - layer.eps).clamp(min=0)
        layer.running_means.copy_(means)
        layer.running_vars.copy_(variances)


def compact(network: nn.Module) -> dict[str, Tensor]:
    """The state dict with the weights of convolutions and linear maps in float16 and all else in float32."""
    weights = {name for name, parameter in network.named_parameters() if parameter.dim() > 1}
    return {
        name: (tensor.half() if name in weights else tensor).contiguous().clone()
        for name, tensor in network.state_dict().items()
    }


@dataclass(frozen=True)
class Exported:
    """An exported generator to go on from: configurations, state dicts in float32, and what it was trained for."""

    generator_config: dict
    discriminator_config: dict
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    steps: int
    images: int
    seconds: float


def read_export(folder: Path) -> Exported:
    """What `export` wrote into a folder."""
    configs = [json.loads((folder / name).read_text()) for name in ("config.json", "discriminator.json")]
    states = [
        {key: tensor.float() for key, tensor in load_file(folder / f"{name}.safetensors").items()}
        for name in ("generator", "discriminator")
    ]
    with safe_open(folder / "generator.safetensors", "pt") as file:
        trained = json.loads((file.metadata() or {}).get("trained", '{"steps": 0, "images": 0, "seconds": 0.0}'))
    images = trained.get("images", trained["steps"] * UNCOUNTED_BATCH)
    return Exported(*configs, *states, trained["steps"], images, trained["seconds"])


def write(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def export(
    generator: TrainableGenerator,
    discriminator: Discriminator,
    discriminator_config: dict,
    folder: Path,
    *,
    samples: int,
    taught_from: int | None = None,
    steps: int = 0,
    images: int = 0,
    seconds: float = 0.0,
) -> None:
    """Write config.json, classes.json, generator.safetensors, discriminator.json and discriminator.safetensors.

    samples: behind each row of truncation statistics. taught_from: see fill_statistics. steps, images, seconds: of
    training, for one that goes on from here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for network in (generator, discriminator):
        network.eval().to(memory_format=torch.contiguous_format)
        round_weights(network)
    fill_statistics(generator, samples, taught_from)
    trained = json.dumps({"steps": steps, "images": images, "seconds": seconds})
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        partial = folder / f"{name}.partial"
        save_file(compact(network), partial, {"trained": trained})
        partial.replace(folder / f"{name}.safetensors")
    write(folder / "config.json", json.dumps(generator.config, indent=2) + "\n")
    write(folder / "classes.json", json.dumps(CLASSES, indent=2) + "\n")
    write(folder / "discriminator.json", json.dumps(discriminator_config, indent=2) + "\n")
