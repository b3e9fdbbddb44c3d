"""What the scripts that show walks have in common: the generator as a rule's inputs give it."""

from collections.abc import Mapping

import torch

from approach.biggan.generator import Generator, load_generator, read_config, read_weights
from approach.losses.perceptual import Perceptual


def open_generator(files: Mapping[str, str], truncation: float, device: torch.device | str) -> Generator:
    """The generator in float32, from input files `architecture` and `weights`."""
    architecture = read_config(files["architecture"])
    weights = read_weights(files["weights"], architecture)
    return load_generator(weights, architecture, truncation=truncation, device=device)


def open_perceptual(files: Mapping[str, str], net: str | None, device: torch.device | str) -> Perceptual | None:
    """The LPIPS network where the input files hold a `backbone` for it."""
    backbone = files.get("backbone")
    return Perceptual(net, backbone, device=device) if backbone else None
