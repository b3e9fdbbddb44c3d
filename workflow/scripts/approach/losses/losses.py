"""What an inversion descends: per-image distances of images [N, 3, S, S] in [-1, 1] to one target, and weighted mixes.

Every term is a mean over the image, so that its size does not depend on the resolution; 0 at the target. Padding is
masked out in one place: there the images take on the target's pixels, which stops value and gradient alike, whatever
the term's receptive field; the mean is then taken over the part that is seen. All that can be computed of the target
alone is computed once, when the loss is built.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.errors import UserError
from approach.losses.perceptual import Perceptual
from approach.own import is_own, load_own
from approach.target import Target

KINDS = ("l1", "l2", "pyramid", "ssim", "lpips", "discriminator")

# MS-SSIM's five scales, finest first (Wang et al. 2003), for an 11 px Gaussian window of sigma 1.5
_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SSIM_WINDOW = 11
_SSIM_K = (0.01, 0.03)
_SSIM_FLOOR = 0.05

Term = Callable[[Tensor], Tensor]


class LossValues(NamedTuple):
    """total [N], the weighted sum; terms: the unweighted [N] of each kind."""

    total: Tensor
    terms: dict[str, Tensor]


class Loss:
    """A weighted mix of terms against one target; made by `build_loss`."""

    def __init__(
        self, name: str, weights: dict[str, float], terms: dict[str, Term], target: Tensor, mask: Tensor, seen: float
    ):
        self.name, self.weights = name, weights
        self._terms, self._target, self._mask, self._seen = terms, target, mask, seen

    def __call__(self, images: Tensor) -> LossValues:
        """The loss of each image [N, 3, S, S] in [-1, 1]; no image's value depends on another's."""
        if images.shape[1:] != self._target.shape[1:]:
            raise ValueError(f"images {tuple(images.shape)} do not fit the target {tuple(self._target.shape)}")
        images = images.to(self._target.dtype)
        if self._seen < 1:
            images = torch.where(self._mask, images, self._target)
        terms = {kind: term(images) / self._seen for kind, term in self._terms.items()}
        return LossValues(sum(self.weights[kind] * value for kind, value in terms.items()), terms)


def build_loss(
    loss: Mapping[str, Any],
    target: Target,
    *,
    perceptual: Perceptual | None = None,
    discriminator: Any = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Loss:
    """Make the loss that a configuration describes.

    Args:
        loss: `{"name": "l1-lpips", "terms": {"l1": 1.0, "lpips": 10.0}}`, the weight of each term. Terms: l1 (mean
            absolute difference), l2 (mean squared difference), pyramid (L1 of a Laplacian pyramid), ssim (1 - MS-SSIM),
            lpips (learned distance), discriminator (distance of the discriminator's features), or module:name of one's
            own: name(target [1, 3, S, S]) gives the term, images [N, 3, S, S] -> [N].
        target: what to approach.
        perceptual: the LPIPS network; needed by lpips.
        discriminator: the generator's own, `discriminator.features(images) -> list of [N, ...] maps`; needed by
            discriminator.
        device: of the computation.
        dtype: of the computation, float64 or float32.

    Raises:
        UserError: a term is unknown or lacks its network, or there is none at all.
    """
    pixels = target.pixels.to(device=device, dtype=dtype)[None]
    mask = target.mask.to(device=device, dtype=torch.bool)[None]
    seen = float(target.mask.to(dtype).mean())
    makers: dict[str, Callable[[], Term]] = {
        "l1": lambda: _l1_term(pixels),
        "l2": lambda: _l2_term(pixels),
        "pyramid": lambda: _pyramid_term(pixels),
        "ssim": lambda: _ssim_term(pixels),
        "lpips": lambda: _lpips_term(pixels, perceptual),
        "discriminator": lambda: _discriminator_term(pixels, discriminator),
    }
    weights = {}
    for kind, weight in loss["terms"].items():
        if kind not in makers and not is_own(kind):
            raise UserError(f"loss {loss['name']}: unknown term {kind}; known are {', '.join(KINDS)}")
        weights[kind] = float(weight)
    if not weights:
        raise UserError(f"loss {loss['name']}: has no terms; known are {', '.join(KINDS)}")
    with torch.no_grad():
        terms = {kind: load_own(kind)(pixels) if is_own(kind) else makers[kind]() for kind in weights}
    return Loss(loss["name"], weights, terms, pixels, mask, seen)


def _mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)


def _l1_term(target: Tensor) -> Term:
    def term(images: Tensor) -> Tensor:
        return _mean((images - target).abs())

    return term


def _l2_term(target: Tensor) -> Term:
    def term(images: Tensor) -> Tensor:
        return _mean((images - target) ** 2)

    return term


def _pyramid_term(target: Tensor) -> Term:
    """Laplacian-pyramid L1: the mean absolute value of every band and of what remains, summed.

    The pyramid is linear, so that of the difference is the difference of the two. GLO (Bojanowski et al. 2018) weighs
    band j by 4^j over a sum of pixels, which is each band's mean. Bands are taken while 16 px or more are left. The
    blur is a matrix from either side: on a CPU several times faster than a convolution of three channels, and free of
    the padding's backward pass, which has no deterministic form on CUDA.
    """
    blurs = []
    side = target.shape[-1]
    while side >= 16:
        blurs.append(_blur_matrix(side).to(target))
        side //= 2

    def term(images: Tensor) -> Tensor:
        level, total = images - target, 0
        for blur in blurs:
            blurred = blur @ level @ blur.T
            total = total + _mean((level - blurred).abs())
            level = F.avg_pool2d(blurred, 2)
        return total + _mean(level.abs())

    return term


def _blur_matrix(side: int) -> Tensor:
    """[side, side]: the binomial blur 1 4 6 4 1 along one axis, the border's pixel repeated beyond it."""
    rows = torch.arange(side)
    blur = torch.zeros(side, side, dtype=torch.float64)
    for offset, tap in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        blur[rows, (rows + offset).clamp(0, side - 1)] += tap / 16
    return blur


def _ssim_term(target: Tensor) -> Term:
    """1 - MS-SSIM, with as many of the five scales as the image has room for (64 px: 3, 128: 4, 256 and up: 5).

    Each scale is Wang et al.'s (2004) over the part that the whole window covers, as piq computes it; importing piq
    would import torchvision too, which takes longer than the study's generator does. The target's share is computed
    once. The scales are multiplied as piq does not: it cuts a negative structure term off at 0, where its gradient is
    NaN, and a start that is anti-correlated with the target at one scale could not move. Below 0.05 a hyperbola with
    the same tangent takes over, positive and rising; above, the value is piq.multi_scale_ssim's. The window is a matrix
    from either side, as the pyramid's blur.
    """
    target = (target + 1) / 2
    side = min(target.shape[-2:])
    levels = max(1, sum((_SSIM_WINDOW - 1) * 2**level < side for level in range(len(_SSIM_WEIGHTS))))
    weights = target.new_tensor(_SSIM_WEIGHTS[:levels])
    weights = weights / weights.sum()

    references = []
    for level in range(levels):
        target = F.avg_pool2d(target, 2) if level else target
        window = _window_matrix(target.shape[-1], min(_SSIM_WINDOW, side - 1 + side % 2)).to(target)
        mean, square = (window @ values @ window.T for values in (target, target**2))
        references.append((target, window, mean, mean**2, square - mean**2))

    def term(images: Tensor) -> Tensor:
        images = (images + 1) / 2
        product = 1
        for level, (reference, weight) in enumerate(zip(references, weights, strict=True)):
            if level:
                images = F.avg_pool2d(images, 2)
            similarity, structure = _ssim(images, *reference)
            value = similarity if level == levels - 1 else structure
            below = _SSIM_FLOOR**2 / (2 * _SSIM_FLOOR - value.clamp_max(_SSIM_FLOOR))
            product = product * torch.where(value > _SSIM_FLOOR, value, below) ** weight
        return 1 - product.mean(1)

    return term


def _ssim(
    images: Tensor, target: Tensor, window: Tensor, mean_target: Tensor, square_target: Tensor, variance_target: Tensor
) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast and structure part, [N, 3], of images in [0, 1].

    Args:
        images: [N, 3, S, S].
        target: [1, 3, S, S].
        window: _window_matrix(S, ...).
        mean_target: the target's mean under the window.
        square_target: the square of that.
        variance_target: its variance.
    """
    mean, square_mean, product_mean = window @ torch.stack([images, images**2, images * target]) @ window.T
    square, both = mean**2, mean * mean_target
    variance, covariance = square_mean - square, product_mean - both
    floor_mean, floor_variance = _SSIM_K[0] ** 2, _SSIM_K[1] ** 2
    structure = (2.0 * covariance + floor_variance) / (variance + variance_target + floor_variance)
    similarity = (2.0 * both + floor_mean) / (square + square_target + floor_mean) * structure
    return similarity.mean(dim=(-1, -2)), structure.mean(dim=(-1, -2))


def _window_matrix(side: int, size: int) -> Tensor:
    """[side - size + 1, side]: the mean under a Gaussian window of sigma 1.5, wherever it lies within, on one axis."""
    window = (-((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) ** 2) / (2 * 1.5**2)).exp()
    window = window / window.sum()
    count = side - size + 1
    matrix = torch.zeros(count, side, dtype=torch.float64)
    for offset, tap in enumerate(window):
        matrix[torch.arange(count), torch.arange(count) + offset] = tap
    return matrix


def _lpips_term(target: Tensor, perceptual: Perceptual | None) -> Term:
    if perceptual is None:
        raise UserError("loss lpips: needs a perceptual network; set perceptual.net and perceptual.weights")
    features = perceptual.features(target)

    def term(images: Tensor) -> Tensor:
        return perceptual.distance(images, features)

    return term


def _discriminator_term(target: Tensor, discriminator: Any) -> Term:
    """The mean absolute difference of every map, relative to that map's mean size at the target; averaged over maps."""
    if discriminator is None:
        raise UserError("loss discriminator: only the embedded generators bring one; choose generator=study or study64")
    features = discriminator.features(target)
    scales = [1 / feature.abs().mean().clamp_min(1e-6) for feature in features]

    def term(images: Tensor) -> Tensor:
        maps = discriminator.features(images)
        values = [_mean((m - f).abs()) * s for m, f, s in zip(maps, features, scales, strict=True)]
        return sum(values) / len(values)

    return term
