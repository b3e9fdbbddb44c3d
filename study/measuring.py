"""Figures and pictures of the finished generator, by the code and from the files that the pipeline loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from approach.biggan.config import read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import Generator, load_generator
from approach.torchvision_guard import import_torchvision
from study.painter import normal


def load(folder: Path, truncation: float = 1.0) -> Generator:
    """The embedded generator at a truncation."""
    config = read_config(folder / "config.json")
    return load_generator(read_weights(folder / "generator.safetensors", config), config, truncation=truncation)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Class vectors [N, C] of labels [N]."""
    return F.one_hot(labels, classes).float()


@torch.no_grad()
def sample(generator: Generator, labels: Tensor, seed: int, batch: int = 50) -> Tensor:
    """Samples of the labels' classes at the generator's truncation, [N, 3, S, S] in [-1, 1]."""
    z = normal(torch.Generator().manual_seed(seed), len(labels), generator.config.z_dim, generator.truncation)
    classes = one_hot(labels, generator.config.num_classes)
    pairs = zip(z.split(batch), classes.split(batch), strict=True)
    return torch.cat([generator(generator.conditioning(a, b)) for a, b in pairs])


def even_labels(count: int, classes: int) -> Tensor:
    """The classes in turn, [count]."""
    return torch.arange(count) % classes


def drawn(shards: list[Path], count: int) -> tuple[Tensor, Tensor]:
    """The first `count` pictures of shards, classes in turn: images [N, 3, S, S] in [-1, 1] and labels [N]."""
    pictures = np.concatenate([np.load(path)["pictures"] for path in shards], axis=1)
    images = torch.from_numpy(pictures).transpose(0, 1).flatten(0, 1)[:count].float() / 127.5 - 1
    return images, even_labels(len(images), pictures.shape[0])


def standardised(images: Tensor) -> Tensor:
    """Images in [-1, 1] as torchvision's networks want them: by the means and deviations of ImageNet's colours."""
    mean, deviation = (images.new_tensor(x).view(1, 3, 1, 1) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return ((images + 1) / 2 - mean) / deviation


class SqueezeFeatures(nn.Module):
    """SqueezeNet 1.1's last map, averaged over its places: [N, 3, S, S] in [-1, 1] to [N, 512]."""

    def __init__(self, weights: Path):
        super().__init__()
        import_torchvision()
        from torchvision.models import squeezenet1_1  # noqa: PLC0415  (after the guard)

        self.network = squeezenet1_1(weights=None).features
        state = torch.load(weights, weights_only=True)
        self.network.load_state_dict({name.removeprefix("features."): tensor for name, tensor in state.items()})
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features of images, in batches."""
        return torch.cat([self.network(standardised(part)).mean((2, 3)) for part in images.split(100)])


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features [N, D] taken as normal distributions (Heusel et al. 2017)."""
    a, b = a.double(), b.double()
    first, second = torch.cov(a.t()), torch.cov(b.t())
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.t()
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross).item()


def blur(images: Tensor, sigma: float) -> Tensor:
    """Images blurred by a Gaussian of sigma px."""
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).repeat(3, 1, 1, 1)

    def blurred(part: Tensor) -> Tensor:
        part = F.conv2d(F.pad(part, (reach, reach, 0, 0), mode="replicate"), kernel, groups=3)
        return F.conv2d(F.pad(part, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3), groups=3)

    return torch.cat([blurred(part) for part in images.split(100)])  # three channels are padded to sixteen inside


def classifier(classes: int) -> nn.Module:
    """A small network that tells classes of pictures."""
    layers: list[nn.Module] = []
    for inputs, outputs in [(3, 16), (16, 32), (32, 64), (64, 96)]:
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96 * 4, classes))


def fit(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, seed: int = 0) -> nn.Module:
    """Train a classifier with Adam, mirrored pictures too."""
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    dice = torch.Generator().manual_seed(seed)
    steps = epochs * (len(images) // 64)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        index = torch.randint(len(images), (64,), generator=dice)
        batch = images[index].flip(3) if step % 2 else images[index]
        loss = F.cross_entropy(model(batch), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images that a classifier names rightly."""
    answers = torch.cat([model(part).argmax(1) for part in images.split(200)])
    return (answers == labels).double().mean().item()


@torch.no_grad()
def class_features(model: nn.Module, images: Tensor) -> Tensor:
    """What a classifier sees before it decides, [N, 384]."""
    return torch.cat([model[:-1](part) for part in images.split(200)])


def colour_classifier(classes: int) -> nn.Module:
    """A classifier that sees nothing but an image's mean colour."""
    mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(mean, nn.Linear(3, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes))


@torch.no_grad()
def pair_distances(images: Tensor, labels: Tensor, perceptual: nn.Module, per_class: int) -> Tensor:
    """LPIPS between images of the same class, `per_class` pairs of each, [classes, per_class]."""
    distances = []
    for label in labels.unique():
        mine = images[labels == label][: 2 * per_class]
        distances.append(perceptual.distance(mine[:per_class], mine[per_class : 2 * per_class]))
    return torch.stack(distances)
