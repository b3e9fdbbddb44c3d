"""The generator's layers, with gradients to the data only.

The kernels are frozen, so no convolution keeps its input for a weight gradient that nobody takes (compare Samuel
et al., arXiv 2404.12406); what is kept is each norm's input, from which the ReLU's mask and the gradients of scale
and shift follow. Images are [N, C, H, W] in channels-last memory; norms are [N, 1, C].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel

from approach.biggan.convolutions import FixedConv, FrozenConv, FrozenUpConv, UpThenConv, pool_sum
from approach.biggan.folding import FoldedBlock
from approach.biggan.pointwise import EAGER


def rows(x: Tensor) -> Tensor:
    """[N, C, H, W] in channels-last memory seen as [N, pixels, C]."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def image(x: Tensor, like: Tensor) -> Tensor:
    """[N, pixels, C] seen as [N, C, H, W], H and W those of another image."""
    return x.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A residual block: four times norm, ReLU, convolution; the shortcut drops channels and up-samples with them.

    size is the input's height in pixels.
    """

    def __init__(self, folded: FoldedBlock, dtype: torch.dtype, size: int):
        super().__init__()
        self.up, self.pointwise = folded.up, EAGER
        first, second, third, last = folded.kernels
        # on AMX the small first layers are bound by reading kernels, and 16 values a pair are more than 9
        small = dtype is torch.bfloat16 and size < 16
        if not folded.up:
            middle: nn.Module = FrozenConv(second.to(dtype))
        elif small:
            middle = UpThenConv(second.to(dtype))
        else:
            middle = FrozenUpConv(second, dtype)
        self.convs = nn.ModuleList(
            [
                FrozenConv(first.to(dtype)),
                middle,
                FrozenConv(third.to(dtype)),
                FrozenConv(last.to(dtype), folded.bias.to(dtype)),
            ]
        )

    def forward(self, x: Tensor, norms: list[Tensor]) -> Tensor:
        """[N, in, H, W] to [N, out, H or 2H, ...]; norms are four pairs of scale and shift."""
        return _BlockFunction.apply(self, x, *norms)


class _BlockFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, block, x, *norms):
        inputs, norms = [x], [norm.contiguous() for norm in norms]
        for index, conv in enumerate(block.convs):
            inner = block.pointwise.activate(rows(inputs[-1]), *norms[2 * index : 2 * index + 2])
            inputs.append(conv(image(inner, inputs[-1])))
        out = inputs.pop()
        shortcut = x[:, : out.shape[1]]
        if block.up:
            out.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).add_(shortcut[:, :, :, None, :, None])
        else:
            out += shortcut
        ctx.block = block
        ctx.save_for_backward(x, *norms)
        ctx.inner = inputs[1:]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        block, (x, *norms) = ctx.block, ctx.saved_tensors
        inputs, ctx.inner = [x, *ctx.inner], None  # each is let go of as soon as it was used
        grad_norms: list[Tensor] = []
        inner = gradient
        for index in (3, 2, 1, 0):
            inner = rows(block.convs[index].input_gradient(inner))
            before = inputs.pop()
            inner, *pair = block.pointwise.activate_gradient(inner, rows(before), *norms[2 * index : 2 * index + 2])
            inner = image(inner, before)
            grad_norms = pair + grad_norms
        if block.up:
            gradient = pool_sum(gradient)
        inner[:, : gradient.shape[1]] += gradient
        return None, inner, *grad_norms


class Attention(nn.Module):
    """The self-attention: every pixel looks at the picture pooled by two; the products are not scaled."""

    def __init__(self, kernels: dict[str, Tensor], dtype: torch.dtype):
        super().__init__()
        parts = [kernels[part] for part in ("theta", "phi", "g")]
        self.widths = [len(part) for part in parts]
        self.inward = FrozenConv(torch.cat(parts).to(dtype))
        self.outward = FrozenConv(kernels["o_conv"].to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        queries, seen = _ConvFunction.apply(self.inward, x).split([self.widths[0], sum(self.widths[1:])], dim=1)
        query = rows(queries).unsqueeze(1)
        key, value = rows(_PoolFunction.apply(seen)).unsqueeze(1).split(self.widths[1:], dim=3)
        return x + _ConvFunction.apply(self.outward, image(self._attend(query, key, value).squeeze(1), x))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if query.device.type == "cpu":  # its fused kernel wants keys as wide as values; zeros change no product
            query, key = (F.pad(part, (0, self.widths[2] - self.widths[1])) for part in (query, key))
            return F.scaled_dot_product_attention(query, key, value, scale=1.0)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of CUDA add gradients up in no fixed order
            return F.scaled_dot_product_attention(query, key, value, scale=1.0)


class _ConvFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, conv, x):
        ctx.conv = conv
        return conv(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return None, ctx.conv.input_gradient(gradient)


class _PoolFunction(torch.autograd.Function):
    """Maximum of 2 x 2 pixels that keeps one byte a result: which of the four it was."""

    @staticmethod
    def forward(ctx, x):
        pooled, index = F.max_pool2d(x, 2, return_indices=True)
        index = index.to(torch.int32)  # y * width + x in the picture; the width is a power of two
        log_width = x.shape[3].bit_length() - 1
        ctx.save_for_backward(((index >> log_width & 1) * 2 + (index & 1)).to(torch.uint8))
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (index,) = ctx.saved_tensors
        n, c, height, width = gradient.shape
        out = gradient.new_empty((n, 2 * height, 2 * width, c)).permute(0, 3, 1, 2)
        for corner in range(4):
            out[:, :, corner // 2 :: 2, corner % 2 :: 2] = gradient * (index == corner)
        return out


class Picture(nn.Module):
    """The last norm (it knows no condition), ReLU, 3 x 3 convolution to three channels, tanh.

    The convolution is one product to 27 planes, which are then added up, shifted: three output channels leave a
    convolution's registers mostly empty, and the sum of 9 times C products is more exact in nine parts.
    """

    def __init__(self, kernel: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, precisions: tuple):
        super().__init__()
        dtype, outer = precisions
        self.pointwise = EAGER
        self.register_buffer("taps", kernel.permute(2, 3, 0, 1).flatten(0, 2).contiguous().to(dtype))  # [27, C]
        self.register_buffer("bias", bias.to(outer).view(1, 3, 1, 1))
        self.register_buffer("scale", scale.to(outer).view(1, 1, -1))
        self.register_buffer("shift", shift.to(outer).view(1, 1, -1))
        self.transposed = FixedConv(kernel.flip(2, 3).transpose(0, 1).to(dtype), padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the picture [N, 3, H, W] in [-1, 1], float32 (float64 in float64 precision)."""
        return _PictureFunction.apply(self, x)


def add_planes(canvas: Tensor, taps: Tensor, pixels: Tensor) -> None:
    """Add a 3 x 3 convolution to three channels, in place: one product to 27 planes, added up at their nine shifts.

    Args:
        canvas: [..., 3, H + 2, W + 2]; the result lies within its border.
        taps: [27, C], the kernel [3, 3, 3 channels, C] in rows.
        pixels: [..., H * W, C].
    """
    height, width = canvas.shape[-2] - 2, canvas.shape[-1] - 2
    planes = (taps @ pixels.mT).unflatten(-1, (height, width)).unflatten(-3, (9, 3))
    for tap in range(9):
        top, left = 2 - tap // 3, 2 - tap % 3
        canvas[..., top : top + height, left : left + width] += planes.select(-4, tap)


class _PictureFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, picture, x):
        n, _, height, width = x.shape
        active = picture.pointwise.activate(rows(x), picture.scale, picture.shift)
        canvas = picture.bias.expand(n, 3, height, width).contiguous()
        canvas = F.pad(canvas, (1, 1, 1, 1))
        if x.device.type == "cpu":  # image by image: the planes of one stay in the processor's cache
            for one, pixels in zip(canvas, active, strict=True):
                add_planes(one, picture.taps, pixels)
        else:
            add_planes(canvas, picture.taps, active)
        out = canvas[:, :, 1:-1, 1:-1].tanh()
        ctx.picture, ctx.dtype = picture, x.dtype
        ctx.save_for_backward(active, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        active, out = ctx.saved_tensors
        gradient = torch.ops.aten.tanh_backward(gradient, out).to(ctx.dtype)
        inner = ctx.picture.transposed(gradient.contiguous(memory_format=torch.channels_last))
        return None, image(ctx.picture.pointwise.mask_gradient(rows(inner), active, ctx.picture.scale), inner)
