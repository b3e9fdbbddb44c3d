"""Frozen networks that are only looked through: their convolutions keep no input, and their kernels lie ready."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .packed import FixedConv


class LeanConv(nn.Module):
    """A frozen nn.Conv2d (square, no dilation, no groups) with a gradient to its input only, channels last."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        (size, _), (stride, _), (padding, _) = conv.kernel_size, conv.stride, conv.padding
        kernel = conv.weight.detach()
        bias = None if conv.bias is None else conv.bias.detach()
        self.there = FixedConv(kernel, bias, stride=stride, padding=padding)
        if stride == 1:
            self.back = FixedConv(kernel.flip(2, 3).transpose(0, 1), padding=size - 1 - padding)
        else:
            self.back = FixedConv(kernel, stride=stride, padding=padding, transposed=True)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, H', W']."""
        return _LeanConvFunction.apply(self, x)


class _LeanConvFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, conv, x):
        ctx.conv, ctx.height = conv, x.shape[2]
        return conv.there(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        conv = ctx.conv.there
        size = conv.kernel.shape[-1]
        extra = ctx.height - ((gradient.shape[2] - 1) * conv.stride - 2 * conv.padding + size)
        return None, ctx.conv.back(gradient, extra)


def make_lean(network: nn.Module) -> None:
    """Put a LeanConv in the place of every nn.Conv2d, at any depth."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(network, name, LeanConv(child))
        else:
            make_lean(child)
