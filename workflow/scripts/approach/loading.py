"""What the scripts that show trajectories have in common: generator and LPIPS network as a rule's inputs give them."""

from collections.abc import Mapping

import torch

from approach.biggan.config import read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import Generator, load_generator
from approach.biggan.precision import keep_memory, make_deterministic, set_matrix_precision
from approach.losses.perceptual import Perceptual


def open_generator(files: Mapping[str, str], truncation: float, device: torch.device | str) -> Generator:
    """Open the generator from input files `architecture` and `weights`, in float32, which then holds for the process.

    Left to itself PyTorch computes convolutions on NVIDIA GPUs in TF32, ten bits exact. Of a small generator the
    process keeps the memory of one chunk of images for the next.

    Raises:
        UserError: a file is missing, or is no BigGAN's.
    """
    _compute_exactly(device)
    architecture = read_config(files["architecture"])
    if architecture.small:  # at 512 px a rendering would hold 5.5 GB instead of 3.2
        keep_memory()
    weights = read_weights(files["weights"], architecture)
    return load_generator(weights, architecture, truncation=truncation, device=device)


def open_perceptual(files: Mapping[str, str], net: str | None, device: torch.device | str) -> Perceptual | None:
    """Open the LPIPS network where the input files hold a `backbone` for it, in float32 as the generator.

    Raises:
        UserError: the file is missing, or is of another network.
    """
    if not (backbone := files.get("backbone")):
        return None
    _compute_exactly(device)
    return Perceptual(net, backbone, device=device)


def _compute_exactly(device: torch.device | str) -> None:
    make_deterministic(device)
    set_matrix_precision("float32", device)
