"""Contact sheets of the generator: classes by seeds, and strips between latents and between classes."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from study.measuring import load, one_hot
from study.painter import normal


def save_grid(rows: list[Tensor], path: Path, gap: int = 2) -> None:
    """Rows of images [N, 3, S, S] in [-1, 1] as a picture, a white line between them."""
    padded = [torch.nn.functional.pad(row.float(), (0, gap, 0, gap), value=1.0) for row in rows]
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in padded], dim=1)[:, :-gap, :-gap]
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = ((sheet + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, quality=85, subsampling=0)


@torch.no_grad()
def sample_rows(folder: Path, truncation: float, per_class: int, seed: int = 5) -> list[Tensor]:
    """A row of samples for each class; the same z at every truncation, scaled."""
    generator = load(folder, truncation)
    classes = generator.config.num_classes
    z = normal(torch.Generator().manual_seed(seed), per_class, generator.config.z_dim, truncation)
    vectors = [one_hot(torch.full((per_class,), label), classes) for label in range(classes)]
    return [generator(generator.conditioning(z, vector)) for vector in vectors]


@torch.no_grad()
def strips(folder: Path, pairs: list[tuple[int, int]], frames: int = 10, truncation: float = 1.0) -> list[Tensor]:
    """Two strips for each pair of classes: between two latents of the first, and from the first class to the second."""
    generator = load(folder, truncation)
    classes = generator.config.num_classes
    t = torch.linspace(0, 1, frames).unsqueeze(1)
    rows = []
    for index, (first, second) in enumerate(pairs):
        z = normal(torch.Generator().manual_seed(100 + index), 2, generator.config.z_dim, truncation)
        a, b = (one_hot(torch.tensor([label]), classes).expand(frames, -1) for label in (first, second))
        rows.append(generator(generator.conditioning(torch.lerp(z[:1].expand(frames, -1), z[1:], t), a)))
        rows.append(generator(generator.conditioning(z[:1].expand(frames, -1), torch.lerp(a, b, t))))
    return rows
