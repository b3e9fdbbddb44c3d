"""Convolutions with frozen kernels; on the CPU the kernels lie in oneDNN's own layout, arranged once and not each call.

A convolution of PyTorch rearranges its kernel at every call, because it might have changed. Ours cannot change; at
batch 1 the rearranging cost more than the product in the first layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_KEPT_SHAPES = 2  # layouts kept per kernel: a batch's full parts, and its last part
_SMALL_PRODUCT = 2**22  # multiplications: below, a convolution's own set-up costs as much as its work


class FixedConv(nn.Module):
    """A frozen convolution (or transposed convolution) with stride; no autograd, channels last in and out.

    kernel is [out, in, h, w] (transposed: [in, out, h, w]). The layout depends on the input's shape, and is made at
    the first call with a shape.
    """

    def __init__(
        self, kernel: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int, transposed: bool = False
    ):
        super().__init__()
        self.stride, self.padding, self.transposed = stride, padding, transposed
        self.register_buffer("kernel", kernel.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self._is_product = kernel.shape[2:] == (1, 1) and stride == 1 and not padding
        self._layouts: dict[tuple[int, ...], Tensor] = {}

    def forward(self, x: Tensor, extra: int = 0) -> Tensor:
        """Convolve [N, in, H, W]; a transposed convolution's result is `extra` pixels larger, as output_padding."""
        if not _can_pack(x):
            if self.transposed:
                return F.conv_transpose2d(x, self.kernel, self.bias, self.stride, self.padding, extra)
            return F.conv2d(x, self.kernel, self.bias, self.stride, self.padding)
        if self._is_product and x.numel() * len(self.kernel) <= _SMALL_PRODUCT and x.dtype is torch.float32:
            return self._product(x)
        layout = self._layouts.get(tuple(x.shape))
        if layout is None:
            layout = self._arrange(x.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        ops, padding, stride = torch.ops.mkldnn, [self.padding] * 2, [self.stride] * 2
        if self.transposed:
            return ops._convolution_transpose_pointwise.default(
                x, layout, self.bias, padding, [extra] * 2, stride, [1, 1], 1, "none", [], ""
            )
        return ops._convolution_pointwise.default(x, layout, self.bias, padding, stride, [1, 1], 1, "none", [], "")

    def _product(self, x: Tensor) -> Tensor:
        kernel = self.kernel.flatten(1).T
        # no view, since what is given a custom function's result may write into it
        out = torch.empty(len(x), kernel.shape[1], *x.shape[2:], dtype=x.dtype, memory_format=torch.channels_last)
        pixels, results = (part.permute(0, 2, 3, 1).flatten(0, 2) for part in (x, out))
        if self.bias is None:
            torch.mm(pixels, kernel, out=results)
        else:
            torch.addmm(self.bias, pixels, kernel, out=results)
        return out

    def _arrange(self, shape: torch.Size) -> Tensor:
        padding, stride, size = [self.padding] * 2, [self.stride] * 2, list(shape)
        if self.transposed:
            layout = torch.ops.mkldnn._reorder_convolution_transpose_weight(
                self.kernel.contiguous(), padding, [0, 0], stride, [1, 1], 1, size
            )
        else:
            layout = torch.ops.mkldnn._reorder_convolution_weight(
                self.kernel.contiguous(), padding, stride, [1, 1], 1, size
            )
        if len(self._layouts) >= _KEPT_SHAPES:
            del self._layouts[next(iter(self._layouts))]
        self._layouts[tuple(shape)] = layout
        return layout


def _can_pack(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()
        # oneDNN lays out bfloat16 kernels on some processors only; PyTorch's own convolutions compute on all
        and (x.dtype is torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
        and hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise")
    )


class FrozenConv(nn.Module):
    """A convolution of odd size, stride 1, same padding, and its gradient to the input."""

    def __init__(self, kernel: Tensor, bias: Tensor | None = None):
        super().__init__()
        padding = kernel.shape[-1] // 2
        self.convolution = FixedConv(kernel, bias, padding=padding)
        self.transposed = FixedConv(kernel.flip(2, 3).transpose(0, 1), padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, H, W]; no autograd."""
        return self.convolution(x)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient of the input, [N, in, H, W], from that of the output."""
        return self.transposed(gradient)


class FrozenUpConv(nn.Module):
    """Nearest up-sampling by two and a 3 x 3 convolution in one: 4 instead of 9 products an output pixel.

    Of the 3 x 3 neighbours in the up-sampled picture, rows (and columns) fall in pairs on one source pixel;
    adding their kernel rows beforehand leaves a transposed convolution of size 4, stride 2.
    """

    def __init__(self, kernel: Tensor, dtype: torch.dtype):
        super().__init__()
        padded = F.pad(kernel.flip(2, 3), (1, 1, 1, 1))
        pairs = padded[:, :, 1:] + padded[:, :, :-1]
        pairs = (pairs[..., 1:] + pairs[..., :-1]).transpose(0, 1).to(dtype)
        self.transposed = FixedConv(pairs, stride=2, padding=1, transposed=True)
        self.convolution = FixedConv(pairs, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, 2H, 2W]; no autograd."""
        return self.transposed(x)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient of the input, [N, in, H, W], from that of the output."""
        return self.convolution(gradient)


class UpThenConv(nn.Module):
    """Nearest up-sampling by two, then a 3 x 3 convolution: where a kernel of 4 x 4 costs more than it saves."""

    def __init__(self, kernel: Tensor):
        super().__init__()
        self.conv = FrozenConv(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, 2H, 2W]; no autograd."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient of the input, [N, in, H, W], from that of the output."""
        return pool_sum(self.conv.input_gradient(gradient))


def pool_sum(x: Tensor) -> Tensor:
    """The sums of 2 x 2 pixels: the backward pass of nearest up-sampling. [N, C, 2H, 2W] to [N, C, H, W]."""
    return F.avg_pool2d(x, 2, divisor_override=1)


class LeanConv(nn.Module):
    """A frozen nn.Conv2d (square, no dilation, no groups) with a gradient to its input only, channels last."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        (size, _), (stride, _), (padding, _) = conv.kernel_size, conv.stride, conv.padding
        kernel = conv.weight.detach()
        bias = None if conv.bias is None else conv.bias.detach()
        self.convolution = FixedConv(kernel, bias, stride=stride, padding=padding)
        if stride == 1:
            self.transposed = FixedConv(kernel.flip(2, 3).transpose(0, 1), padding=size - 1 - padding)
        else:
            self.transposed = FixedConv(kernel, stride=stride, padding=padding, transposed=True)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, H', W']."""
        return _LeanConvFunction.apply(self, x)


class _LeanConvFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, conv, x):
        ctx.conv, ctx.height = conv, x.shape[2]
        return conv.convolution(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        conv = ctx.conv.convolution
        size = conv.kernel.shape[-1]
        extra = ctx.height - ((gradient.shape[2] - 1) * conv.stride - 2 * conv.padding + size)
        return None, ctx.conv.transposed(gradient, extra)


class LeanMaxPool(nn.Module):
    """An nn.MaxPool2d (square, no padding, no dilation) whose gradient has a fixed order of additions on any device.

    On a GPU PyTorch adds the gradients of overlapping windows up in whatever order they come.
    """

    def __init__(self, pool: nn.MaxPool2d):
        super().__init__()
        self.size, self.stride, self.ceil_mode = pool.kernel_size, pool.stride, pool.ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H', W']."""
        if x.device.type == "cpu":  # PyTorch's own gradient is in order there, and faster
            return F.max_pool2d(x, self.size, self.stride, ceil_mode=self.ceil_mode)
        return ordered_max_pool(x, self.size, self.stride, ceil_mode=self.ceil_mode)


def ordered_max_pool(x: Tensor, size: int, stride: int, *, ceil_mode: bool) -> Tensor:
    """F.max_pool2d [N, C, H, W] with a gradient that adds windows up in the order of their places."""
    return _MaxPoolFunction.apply(x, size, stride, ceil_mode)


class _MaxPoolFunction(torch.autograd.Function):
    """Keeps one byte a result: which of the window's places was the largest."""

    @staticmethod
    def forward(ctx, x, size, stride, ceil_mode):
        pooled, index = F.max_pool2d(x, size, stride, ceil_mode=ceil_mode, return_indices=True)
        height, width = pooled.shape[2:]
        row = index // x.shape[3] - stride * torch.arange(height, device=x.device)[:, None]
        column = index % x.shape[3] - stride * torch.arange(width, device=x.device)
        ctx.save_for_backward((row * size + column).to(torch.uint8))
        ctx.size, ctx.stride, ctx.shape = size, stride, x.shape
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (places,) = ctx.saved_tensors
        size, stride, (n, channels, height, width) = ctx.size, ctx.stride, ctx.shape
        rows, columns = (stride * (count - 1) + 1 for count in gradient.shape[2:])  # from first to last window
        # with ceil_mode the last windows reach beyond the image
        outer = max(height, rows + size - 1), max(width, columns + size - 1)
        out = gradient.new_zeros((n, *outer, channels)).permute(0, 3, 1, 2)
        for place in range(size * size):
            top, left = divmod(place, size)
            out[:, :, top : top + rows : stride, left : left + columns : stride] += gradient * (places == place)
        return out[:, :, :height, :width], None, None, None


def make_lean(network: nn.Module) -> None:
    """Put a LeanConv in the place of every nn.Conv2d, and a LeanMaxPool in that of nn.MaxPool2d, at any depth."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(network, name, LeanConv(child))
        elif isinstance(child, nn.MaxPool2d):
            setattr(network, name, LeanMaxPool(child))
        else:
            make_lean(child)
