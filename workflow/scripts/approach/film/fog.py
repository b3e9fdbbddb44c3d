"""Fog where a picture still differs from the target, so that a channel clears as it arrives."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.losses.perceptual import Perceptual
from approach.target import Target

FOG = (0.83, 0.84, 0.83)  # in [0, 1]
SOFT = 8  # pixels: the fog knows nothing finer
OWN_LIGHT = 0.3  # of the fog: what shines through it of the blurred picture


@torch.inference_mode()
def fog(
    target: Target, ends: Tensor, strength: float, perceptual: Perceptual | None = None
) -> Callable[[Tensor], Tensor]:
    """A function that lays fog over the images of one trajectory.

    Fog begins where an image is further from the target than nine tenths of the arrival are, and is full somewhat
    beyond the start's mean distance. Distances are LPIPS's, or without a network those of the Laplacian pyramid.

    Args:
        target: the picture that the trajectory was inverted towards.
        ends: [2, 3, S, S], its start and arrival.
        strength: in [0, 1], the density of full fog.
        perceptual: the LPIPS network.

    Returns:
        Images [N, 3, S, S] in [-1, 1] to the same with fog.
    """
    pixels, mask = target.pixels[None].to(ends), target.mask[None].to(ends)
    features = perceptual.features(pixels) if perceptual else None

    def density(images: Tensor) -> Tensor:
        if perceptual:
            found = perceptual.spatial(images, features, images.shape[-1]).clamp_min(0).sqrt()
        else:
            found = pyramid_map(images, pixels)
        return _soft(found * mask)

    at_start, at_arrival = density(ends)
    start = at_start.mean()
    clear = torch.minimum(at_arrival.quantile(0.9), 0.9 * start)
    full = start + 0.4 * (start - clear)

    def lay(images: Tensor) -> Tensor:
        share = ((density(images) - clear) / (full - clear).clamp_min(1e-6)).clamp(0, 1)
        # Rising at once: most of a trajectory is close to its end, and its haze should be seen for as long.
        thick = strength * share * (2 - share) * mask
        colour = 2 * torch.tensor(FOG).to(images)[None, :, None, None] - 1
        fog = (1 - OWN_LIGHT) * colour + OWN_LIGHT * _soft(images)
        return torch.lerp(images, fog, thick)

    return lay


def pyramid_map(images: Tensor, target: Tensor) -> Tensor:
    """Where images [N, 3, S, S] differ from a target [1, 3, S, S], band by band: [N, 1, S, S].

    The mean over colours of the absolute value of every band of the difference's Laplacian pyramid, enlarged, summed.
    """
    size = images.shape[-2:]
    level, total = images - target, 0
    while min(level.shape[-2:]) >= 8:
        lower = F.avg_pool2d(level, 2)
        band = level - F.interpolate(lower, size=level.shape[-2:], mode="bilinear", align_corners=False)
        total = total + _enlarged(band.abs().mean(1, keepdim=True), size)
        level = lower
    return total + _enlarged(level.abs().mean(1, keepdim=True), size)


def _soft(images: Tensor) -> Tensor:
    """Blurred by the size of a fog bank."""
    size = images.shape[-2:]
    small = F.adaptive_avg_pool2d(images, [max(2, side // SOFT) for side in size])
    small = F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return _enlarged(small, size)


def _enlarged(images: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False)
