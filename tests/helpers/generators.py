"""Generators small enough for tests, and how a test asks one for pictures."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from approach.biggan.config import read_config
from approach.biggan.stand_in import seeded_state

# Two residual blocks up, 32 px, five classes: large enough to have every kind of layer.
TINY = {
    "attention_layer_position": 2,
    "channel_width": 4,
    "class_embed_dim": 128,
    "eps": 1e-4,
    "n_stats": 51,
    "num_classes": 5,
    "output_dim": 32,
    "z_dim": 128,
    "layers": [[True, 16, 8], [True, 8, 4], [False, 4, 2], [True, 2, 1]],
}


# Blocks with and without up-sampling, in every order.
VARIED = {
    "output_dim": 32,
    "z_dim": 128,
    "class_embed_dim": 128,
    "channel_width": 16,
    "num_classes": 20,
    "layers": [[False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4], [True, 4, 2], [False, 2, 1]],
    "attention_layer_position": 4,
    "eps": 1e-4,
    "n_stats": 51,
}


def write_tiny(folder: Path) -> str:
    """Write the tiny generator in the published form into a folder; the words that put it in the study's place."""
    (folder / "config.json").write_text(json.dumps(TINY))
    state = seeded_state(read_config(folder / "config.json"), seed=1)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "generator.safetensors")
    (folder / "classes.json").write_text(json.dumps(["alp", "valley", "shore", "lamp", "tree"]))
    files = {"config": "config.json", "weights": "generator.safetensors", "class_names": "classes.json"}
    return " ".join(f"generator.{key}={folder / name}" for key, name in files.items())


def write_config(tmp_path, **changes):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(VARIED | changes))
    return path


def latents(config, n=2, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(n, config.z_dim, generator=random, dtype=dtype)
    logits = 3 * torch.randn(n, config.num_classes, generator=random, dtype=dtype)
    return z.requires_grad_(), logits.requires_grad_()


def pictures_and_gradients(make, config, dtype=torch.float64, **options):
    z, logits = latents(config, dtype=dtype, **options)
    images = make(z, torch.softmax(logits, 1))
    waves = torch.linspace(-1, 1, images[0].numel(), dtype=torch.float64).mul(20).sin().view_as(images[0])
    ((images - waves.to(images.dtype)) ** 2).mean((1, 2, 3)).sum().backward()
    return images.detach().double(), z.grad.double(), logits.grad.double()


def ours(generator):
    return lambda z, classes: generator(generator.conditioning(z, classes))


class StandIn(torch.nn.Module):
    """Something with the generator's interface: the image is a smooth function of the conditioning."""

    def __init__(self, size=64):
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.size = size
        self.embedding = torch.nn.Parameter(torch.randn(128, 10, generator=source))
        self.paint = torch.nn.Parameter(torch.randn(256, 3 * 64, generator=source) / 16)
        self.made = 0

    def conditioning(self, z, classes):
        return torch.cat([z, classes @ self.embedding.T], dim=1)

    def forward(self, conditioning):
        self.made += len(conditioning)
        coarse = (conditioning @ self.paint).view(-1, 3, 8, 8)
        return F.interpolate(coarse, size=(self.size, self.size), mode="bicubic").tanh()


class Smooth(StandIn):
    """The stand-in with a buffer, as the generator has them."""

    def __init__(self, size=64):
        super().__init__(size)
        self.register_buffer("anything", torch.zeros(1))
