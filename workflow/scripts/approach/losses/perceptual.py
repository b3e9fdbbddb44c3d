"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric").

The `lpips` package's own networks and linear heads, frozen, with a backbone loaded from a file of ours (the package
would download it), features that can be kept (a target's are computed once), and a gradient that stays finite.
"""

import logging
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from approach.biggan.convolutions import make_lean
from approach.biggan.layers import image, rows
from approach.biggan.pointwise import EAGER, compiled
from approach.errors import UserError
from approach.torchvision_guard import import_torchvision

logger = logging.getLogger(__name__)

NETS = ("squeeze", "alex", "vgg")

Features = list[Tensor]


class Perceptual(nn.Module):
    """The LPIPS distance between images [N, 3, H, W] in [-1, 1].

    Args:
        net: squeeze, alex or vgg.
        weights: the backbone: torchvision's whole .pth of squeezenet1_1, alexnet or vgg16, or a state dict of its
            `features` alone (names with or without the prefix "features.").
        device: where the features are computed.
        dtype: of the features: float64, float32 or bfloat16; distances come back in float32 at least.

    Raises:
        UserError: the net is unknown, or the weights are missing, corrupt, or of another network.
    """

    def __init__(
        self,
        net: str,
        weights: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if net not in NETS:
            raise UserError(f"perceptual.net={net}: must be one of {', '.join(NETS)}")
        import_torchvision()
        import lpips  # noqa: PLC0415  (it imports torchvision: after the guard)

        # On the meta device the package's random backbone costs neither time nor the caller's random state.
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # the package's deprecated torchvision arguments
            model = lpips.LPIPS(net=net, pnet_rand=True, pretrained=False, verbose=False)
        heads = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
        model.load_state_dict(torch.load(heads, map_location="cpu", weights_only=True), strict=False, assign=True)
        load_backbone(model.net, Path(weights), net)
        self.net = net
        self._scale, self._backbone, self._heads = model.scaling_layer, model.net, model.lins
        self._dtype, self._pointwise = dtype, EAGER
        make_lean(self._backbone)
        self.requires_grad_(False).eval().to(device=device, dtype=dtype)

    def set_compiled(self, on: bool) -> "Perceptual":
        """Run the comparison of features compiled, or not, like Generator.set_compiled. Returns self."""
        self._pointwise = compiled() if on else EAGER
        return self

    def features(self, images: Tensor) -> Features:
        """The backbone's maps of images [N, 3, H, W], each scaled to unit length over its channels."""
        return [_unit(m if m.dtype == torch.float64 else m.float()) for m in self._raw(images)]

    def distance(self, a: Tensor, b: Tensor | Features) -> Tensor:
        """LPIPS of images `a` and of `b`, images or their features, pair by pair, [N]; N and N, or N and 1."""
        b = self.features(b) if isinstance(b, Tensor) else b
        return sum(
            _LayerDistance.apply(self._pointwise, m, unit, head.model[-1].weight)
            for m, unit, head in zip(self._raw(a), b, self._heads, strict=True)
        )

    def _raw(self, images: Tensor) -> Features:
        images = self._scale(images.to(self._dtype)).contiguous(memory_format=torch.channels_last)
        return list(self._backbone(images))

    def spatial(self, a: Tensor | Features, b: Tensor | Features, size: int) -> Tensor:
        """Where `a` and `b` differ: [N, 1, size, size], each layer's map enlarged bilinearly, then summed."""
        maps = self._maps(a, b)
        return sum(F.interpolate(m, size=(size, size), mode="bilinear", align_corners=False) for m in maps)

    def _maps(self, a: Tensor | Features, b: Tensor | Features) -> list[Tensor]:
        a = self.features(a) if isinstance(a, Tensor) else a
        b = self.features(b) if isinstance(b, Tensor) else b
        return [
            F.conv2d((x - y) ** 2, head.model[-1].weight.to(x.dtype))  # the head without its dropout
            for x, y, head in zip(a, b, self._heads, strict=True)
        ]


class _LayerDistance(torch.autograd.Function):
    """One layer's mean over pixels of the weighted squares of unit(features) - target, [N]; it keeps the features.

    features [N, C, H, W] are not yet of unit length, target [N or 1, C, H, W] is; weight [1, C, 1, 1].
    """

    @staticmethod
    def forward(ctx, pointwise, features, target, weight):
        """Mean over the pixels."""
        weight = weight.to(target.dtype).view(1, 1, -1)
        target = rows(target)
        ctx.pointwise = pointwise
        ctx.save_for_backward(features, target, weight)
        return pointwise.feature_distance(rows(features), target, weight).mean(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        """Gradient of the features."""
        features, target, weight = ctx.saved_tensors
        flat = rows(features)
        share = (gradient / flat.shape[1])[:, None, None]
        return None, image(ctx.pointwise.feature_distance_gradient(share, flat, target, weight), features), None, None


def _unit(features: Tensor) -> Tensor:
    """lpips.normalize_tensor, with a gradient that is 0 and not NaN where all channels are 0."""
    return features / (torch.sqrt((features**2).sum(1, keepdim=True).clamp_min(1e-24)) + 1e-10)


def load_backbone(backbone: nn.Module, path: Path, net: str) -> None:
    """Load the `features` part of a torchvision state dict into the slices that lpips cuts it into."""
    if not path.is_file():
        raise UserError(f"{path}: no such LPIPS weights; check perceptual.weights")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise ValueError("not a state dict")
    except Exception as error:  # a damaged pickle raises anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not readable as LPIPS weights ({reason}); get the file anew") from error

    found = {
        name.removeprefix("features."): value for name, value in state.items() if not name.startswith("classifier.")
    }
    mine = backbone.state_dict()
    wanted = {name.split(".", 1)[1]: name for name in mine}  # "slice2.3.squeeze.weight" -> "3.squeeze.weight"
    another = f"the file is of another network than perceptual.net={net}"
    if missing := [name for name in wanted if name not in found]:
        raise UserError(f"{path}: lacks {len(missing)} tensors ({', '.join(missing[:3])}, ...); {another}")
    for name, own in wanted.items():
        if found[name].shape != mine[own].shape:
            raise UserError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, not {tuple(mine[own].shape)}; {another}"
            )
    if unknown := sorted(found.keys() - wanted.keys()):
        logger.warning("%s: unknown tensors are ignored: %s", path, ", ".join(unknown))
    backbone.load_state_dict({own: found[name] for name, own in wanted.items()}, assign=True)
