"""Fixed metrics, taken of every trajectory alike, whatever loss drove it."""

from collections.abc import Iterable

import torch
from torch import Tensor

from approach.losses.losses import build_loss
from approach.losses.perceptual import Perceptual
from approach.target import Target

METRICS = ("l2", "ssim", "lpips")


def measure(
    images: Tensor, target: Target, names: Iterable[str], perceptual: Perceptual | None = None
) -> dict[str, Tensor]:
    """Measure images [N, 3, S, S] in [-1, 1] against a target: name -> [N].

    All are distances, 0 at the target: l2 (mean squared difference), ssim (1 - MS-SSIM), lpips. Each is the loss
    of that name, so that padding is left out alike.

    Raises:
        UserError: lpips is asked for without its network.
        ValueError: a metric is unknown.
    """
    names = list(names)
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"unknown metric {unknown[0]}; known are {', '.join(METRICS)}")
    if not names:
        return {}
    terms = dict.fromkeys(names, 1.0)
    loss = build_loss(
        {"name": "metrics", "terms": terms}, target, perceptual=perceptual, device=images.device, dtype=images.dtype
    )
    with torch.no_grad():
        return loss(images).terms
