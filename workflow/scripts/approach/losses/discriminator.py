"""The discriminator that the study's generator was trained against; its features are the `discriminator` loss.

A residual projection discriminator (Miyato and Koyama 2018) with spectral normalisation.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from approach.errors import UserError


class SpectralWeight(nn.Module):
    """A weight divided by its largest singular value, under the names of torch.nn.utils.spectral_norm.

    The power iteration is a step of its own (`iterate`), so that a forward pass changes nothing and can be compiled.
    """

    def __init__(self, *shape: int, bias: bool, eps: float = 1e-4):
        super().__init__()
        fan_in = torch.Size(shape[1:]).numel()
        self.eps = eps
        self.weight_orig = nn.Parameter(torch.empty(shape))
        nn.init.orthogonal_(self.weight_orig)
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.register_buffer("weight_u", F.normalize(torch.randn(shape[0]), dim=0, eps=eps))
        self.register_buffer("weight_v", F.normalize(torch.randn(fan_in), dim=0, eps=eps))

    @torch.no_grad()
    def iterate(self, steps: int = 1) -> None:
        """Bring u and v nearer to the first singular vectors."""
        matrix = self.weight_orig.flatten(1)
        for _ in range(steps):
            self.weight_v.copy_(F.normalize(matrix.t() @ self.weight_u, dim=0, eps=self.eps))
            self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0, eps=self.eps))

    def weight(self) -> Tensor:
        """The weight over u'Wv."""
        sigma = (self.weight_u[:, None] * self.weight_orig.flatten(1) * self.weight_v).sum()  # not cast by autocast
        return self.weight_orig / sigma


class Conv(SpectralWeight):
    """A square convolution that keeps the size of the map."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True, eps: float = 1e-4):
        super().__init__(outputs, inputs, kernel, kernel, bias=bias, eps=eps)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        return F.conv2d(x, self.weight(), self.bias, padding=self.padding)


class Linear(SpectralWeight):
    """A linear map."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, eps: float = 1e-4):
        super().__init__(outputs, inputs, bias=bias, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] to [N, outputs]."""
        return F.linear(x, self.weight(), self.bias)


class Block(nn.Module):
    """Two convolutions beside a shortcut, then half the size."""

    def __init__(self, inputs: int, outputs: int, *, first: bool = False):
        super().__init__()
        self.first = first
        self.conv_0 = Conv(inputs, outputs, 3)
        self.conv_1 = Conv(outputs, outputs, 3)
        self.shortcut = Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H/2, W/2]."""
        h = self.conv_0(x if self.first else F.relu(x))
        h = self.conv_1(F.relu(h))
        return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))


class Discriminator(nn.Module):
    """Says of an image of a class how real it looks.

    channels: the width after each halving. size: in px, to which larger images are reduced before; None: they are not.
    """

    def __init__(self, channels: list[int], num_classes: int, group: int = 4, size: int | None = None):
        super().__init__()
        self.group, self.size = group, size
        widths = [3, *channels]
        self.blocks = nn.ModuleList(
            Block(a, b, first=index == 0) for index, (a, b) in enumerate(zip(widths, channels, strict=False))
        )
        self.last = Conv(channels[-1] + 1, channels[-1], 3)
        self.score = Linear(channels[-1], 1)
        self.classes = Linear(num_classes, channels[-1], bias=False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The map after each halving of images [N, 3, S, S] in [-1, 1]; each depends on its own image only."""
        if self.size is not None and images.shape[2] > self.size:
            images = F.interpolate(images, size=(self.size, self.size), mode="area")
        maps, x = [], images
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Scores [N] of images [N, 3, S, S] for classes [N, C] (one-hot); N is a multiple of the group."""
        return self.judge(self.features(images)[-1], classes)

    def judge(self, x: Tensor, classes: Tensor) -> Tensor:
        """Scores [N] from the last map of features."""
        h = self.gather(x)
        return (self.score(h)[:, 0] + (self.classes(classes) * h).sum(1)).float()

    def gather(self, x: Tensor) -> Tensor:
        """What is judged of the last map of features, [N, channels]."""
        # How much the pictures of a group differ, as one more map (Karras et al. 2018), tells a collapse.
        groups = x.float().view(-1, self.group, *x.shape[1:])
        spread = (groups.var(1, correction=0) + 1e-6).sqrt().mean((1, 2, 3)).repeat_interleave(self.group)
        spread = spread.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:]).to(x.dtype)
        return F.relu(self.last(F.relu(torch.cat([x, spread], 1)))).sum((2, 3))


def _check_shape(channels: list[int], num_classes: int, group: int = 4, size: int | None = None) -> None:
    """Refuse a configuration that would allocate without bound.

    Raises:
        ValueError: a width or a number is out of range.
    """
    widths = channels if isinstance(channels, list) and 1 <= len(channels) <= 12 else [None]
    for name, values, most in (
        ("channels", widths, 4096),
        ("num_classes", [num_classes], 100_000),
        ("group", [group], 256),
        ("size", [] if size is None else [size], 4096),
    ):
        if not all(type(value) is int and 1 <= value <= most for value in values):
            raise ValueError(f"{name} must be whole numbers from 1 to {most}")


def load_discriminator(weights: Path, config: Path) -> Discriminator:
    """The frozen discriminator from safetensors and its JSON config {channels, num_classes, group, size}.

    float16 tensors are cast to float32. UserError when a file is unreadable, or a tensor is missing or misshapen.
    """
    try:
        shape = json.loads(Path(config).read_text())
        _check_shape(**shape)
        discriminator = Discriminator(**shape)
        state = {name: tensor.float() for name, tensor in load_file(weights).items()}
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise UserError(f"discriminator {weights} with {config} cannot be read: {error}") from error
    try:
        discriminator.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"discriminator {weights} does not fit {config}: {' '.join(str(error).split())}") from error
    return discriminator.eval().requires_grad_(False)
