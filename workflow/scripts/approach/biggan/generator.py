"""BigGAN-deep, frozen and folded for one truncation: what inversions and films need of it, made fast.

    config = read_config("config.json")
    generator = load_generator(read_weights("pytorch_model.bin", config), config, truncation=0.4)
    images = generator(generator.conditioning(z, torch.softmax(logits, 1)))

The file format is in format, the folding in folding, the layers in layers, convolutions and pointwise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from approach.biggan.config import GeneratorConfig
from approach.biggan.folding import FoldedGenerator, fold
from approach.biggan.layers import Attention, Block, Picture
from approach.biggan.pointwise import EAGER, compiled
from approach.biggan.precision import PRECISIONS, outer_dtype
from approach.errors import UserError


def load_generator(
    weights: dict[str, Tensor],
    config: GeneratorConfig,
    *,
    truncation: float,
    device: str | torch.device = "cpu",
    precision: str = "float32",
) -> "Generator":
    """Fold weights (read_weights) for a truncation in (0, 1] into a Generator on a device.

    precision: float64, float32, tf32 (float32 with TF32 products on NVIDIA GPUs, float32 elsewhere) or bf16 (layers
    in bfloat16; conditioning, its linear map, and the picture in float32). UserError for anything else.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision}: unknown, choose one of {', '.join(PRECISIONS)}")
    if not 0 < truncation <= 1:
        raise UserError(f"truncation={truncation}: must lie above 0 and not beyond 1")
    return Generator(fold(weights, config, truncation), config, truncation, precision).to(device)


class Generator(nn.Module):
    """The frozen generator at one truncation. Pure: no randomness, no state but its weights."""

    def __init__(self, folded: FoldedGenerator, config: GeneratorConfig, truncation: float, precision: str):
        super().__init__()
        self.config, self.truncation, self.precision = config, truncation, precision
        self.image_size = config.output_dim
        self.widths = folded.widths
        self.dtype, outer = PRECISIONS[precision], outer_dtype(precision)
        self.register_buffer("embedding", folded.embedding.to(outer))
        self.register_buffer("affine", folded.affine.to(outer))
        self.register_buffer("affine_bias", folded.affine_bias.to(outer))
        self.blocks = nn.ModuleList()
        size = 4
        for block in folded.blocks:
            self.blocks.append(Block(block, self.dtype, size))
            size *= 1 + block.up
        self.attention = Attention(folded.attention, self.dtype)
        self.picture = Picture(
            folded.to_rgb, folded.to_rgb_bias, folded.last_scale, folded.last_shift, (self.dtype, outer)
        )

    @property
    def compiled(self) -> bool:
        """Whether the norms run as compiled kernels."""
        return self.picture.pointwise.compiled

    def set_compiled(self, on: bool) -> "Generator":
        """Run the norms compiled, or not; precision.missing_compiler says whether the machine can. Returns self."""
        for layer in (*self.blocks, self.picture):
            layer.pointwise = compiled() if on else EAGER
        return self

    def conditioning(self, z: Tensor, classes: Tensor) -> Tensor:
        """What the layers see of latents: z [N, 128] beside the embedded class probabilities [N, C]; [N, 256].

        Classes as wide as the embedding are one already (planning refuses it of generators with as many classes).
        """
        outer = self.embedding.dtype
        if classes.shape[1] == self.config.class_embed_dim != self.config.num_classes:
            return torch.cat([z.to(outer), classes.to(outer)], dim=1)
        return torch.cat([z.to(outer), F.linear(classes.to(outer), self.embedding)], dim=1)

    def forward(self, conditioning: Tensor) -> Tensor:
        """Images [N, 3, S, S] in [-1, 1] from conditioning [N, 256]; float32 (float64 in float64 precision)."""
        linear = F.linear(conditioning.to(self.affine.dtype), self.affine, self.affine_bias)
        x, *norms = linear.split(self.widths, dim=1)
        x = x.to(self.dtype).contiguous()
        x = x.unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)  # the seed is written height, width, channels
        norms = [norm.unsqueeze(1) for norm in norms]
        for index, block in enumerate(self.blocks):
            if index == self.config.attention_layer_position:
                x = self.attention(x)
            x = block(x, norms[8 * index : 8 * index + 8])
        return self.picture(x)
