"""What the generator does value by value, forward and backward, as a few small functions that can be compiled.

All layers share them: x is [N, P, C] (P pixels, channels last), scale and shift are [N, 1, C]. Compiled, each is one
or two passes over memory, with the arithmetic in float32 whatever x is; without a compiler it is a handful of passes.
"""

import functools
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pointwise:
    """The functions of this module under their own names, as they are or compiled."""

    activate: Callable[..., Tensor]
    activate_gradient: Callable[..., tuple[Tensor, Tensor, Tensor]]
    mask_gradient: Callable[..., Tensor]
    feature_distance: Callable[..., Tensor]
    feature_distance_gradient: Callable[..., Tensor]
    compiled: bool


def activate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """relu(scale * x + shift) in x's type."""
    return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype)).relu_()


def _activate_fused(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.relu(torch.addcmul(shift, x.to(scale.dtype), scale)).to(x.dtype)


def activate_gradient(gradient: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, scale and shift from that of `activate`'s result; x is all that need be kept of the forward.

    The gradient of x may take the place of the given gradient.
    """
    narrow, outer = scale.to(x.dtype), scale.dtype
    spare = torch.addcmul(shift.to(x.dtype), x, narrow)
    torch.ops.aten.threshold_backward.grad_input(gradient, spare, 0, grad_input=gradient)
    grad_scale = torch.mul(gradient, x, out=spare).sum(1, keepdim=True, dtype=outer)
    grad_shift = gradient.sum(1, keepdim=True, dtype=outer)
    return gradient.mul_(narrow), grad_scale, grad_shift


def _activate_gradient_fused(
    gradient: Tensor, x: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    wide = x.to(scale.dtype)
    inner = torch.where(torch.addcmul(shift, wide, scale) > 0, gradient.to(scale.dtype), 0.0)
    return (inner * scale).to(x.dtype), (inner * wide).sum(1, keepdim=True), inner.sum(1, keepdim=True)


def mask_gradient(gradient: Tensor, active: Tensor, scale: Tensor) -> Tensor:
    """Gradient of x alone from that of `activate`'s result `active`; it takes the place of the given gradient."""
    torch.ops.aten.threshold_backward.grad_input(gradient, active, 0, grad_input=gradient)
    return gradient.mul_(scale.to(gradient.dtype))


def _mask_gradient_fused(gradient: Tensor, active: Tensor, scale: Tensor) -> Tensor:
    return gradient.copy_(torch.where(active > 0, gradient * scale, 0.0))


def feature_distance(features: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """LPIPS pixel by pixel: sum over channels of weight * (unit(features) - target)^2.

    features [N, P, C]; target [N or 1, P, C] of unit length; weight [1, 1, C]; result [N, P] in target's type.
    """
    wide = features.to(target.dtype)
    length = (wide * wide).sum(2, keepdim=True).clamp_min(_LEAST).sqrt() + _EPSILON
    return (weight * (wide / length - target).square()).sum(2)


def feature_distance_gradient(gradient: Tensor, features: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the features, [N, P, C], from the gradient [N, 1 or P, 1] of `feature_distance`."""
    wide = features.to(target.dtype)
    root = (wide * wide).sum(2, keepdim=True).clamp_min(_LEAST).sqrt()
    length = root + _EPSILON
    unit = wide / length
    grad_unit = (unit - target).mul_(2 * gradient * weight)
    along = (grad_unit * unit).sum(2, keepdim=True) * (root > _LEAST**0.5)
    return grad_unit.sub_(unit.mul_(along * (length / root))).div_(length).to(features.dtype)


_LEAST, _EPSILON = 1e-24, 1e-10  # a pixel whose features are all 0 has no direction, and no gradient that is NaN

EAGER = Pointwise(
    activate, activate_gradient, mask_gradient, feature_distance, feature_distance_gradient, compiled=False
)


@functools.cache
def compiled() -> Pointwise:
    """The functions compiled by torch.compile for any shape; compilation happens at a first call.

    A function is compiled anew for another type, for batch 1, and for more than 4096 pixels: PyTorch's limit of eight
    versions is raised, beyond which it would give up.
    """
    torch._dynamo.config.recompile_limit = 64
    return Pointwise(
        _compile(_activate_fused),
        _compile(_activate_gradient_fused),
        _compile(_mask_gradient_fused),
        _compile(feature_distance),
        _compile(feature_distance_gradient),
        compiled=True,
    )


def _compile(function: Callable) -> Callable:
    fast = torch.compile(function, dynamic=True, fullgraph=True)

    def call(*arguments):
        # as data alone: whether a tensor wants a gradient or is another's view would each mean a further version
        return fast(*(value.data for value in arguments))

    return call


def missing_compiler(device: torch.device) -> str | None:
    """What torch.compile lacks for a device on this machine, in words; None where it lacks nothing."""
    if device.type == "cpu":
        found = any(shutil.which(name) for name in ("g++", "clang++", "cl"))
        return None if found else "no C++ compiler (g++ or clang++) is installed"
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "triton is not installed"
    return f"not tried on {device.type} devices"
