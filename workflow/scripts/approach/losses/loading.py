"""A rule's loss, opened from its input files: the one way for the inversion and for what is drawn of its loss.

It stands apart from approach.loading, which every script with a picture in it uses: none of these asks for a loss.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from approach.biggan.precision import outer_dtype
from approach.losses.discriminator import load_discriminator
from approach.losses.losses import Loss, build_loss
from approach.losses.perceptual import Perceptual
from approach.target import read_target


def open_loss(
    loss: Mapping[str, Any],
    files: Mapping[str, str | Path | None],
    net: str | None,
    device: str | torch.device,
    precision: str = "float32",
    *,
    compiled: bool = False,
) -> Loss:
    """Build a loss with the networks that its input files hold.

    Args:
        loss: name and terms, as `build_loss` takes them.
        files: `target`; `backbone` where LPIPS is a term, `discriminator` and `discriminator_config` where that is.
        net: which LPIPS network the backbone is; None where there is none.
        device: where it is computed.
        precision: of the arithmetic, as the generator's; bf16 computes LPIPS's features in bfloat16, all else in
            float32.
        compiled: whether LPIPS's comparison of features runs compiled.

    Raises:
        UserError: a file is missing or is not what it should be, or a term has no network.
    """
    dtype = outer_dtype(precision)
    perceptual = discriminator = None
    if backbone := files.get("backbone"):
        features = torch.bfloat16 if precision == "bf16" else dtype
        perceptual = Perceptual(net, backbone, device=device, dtype=features).set_compiled(compiled)
    if weights := files.get("discriminator"):
        discriminator = load_discriminator(Path(weights), Path(files["discriminator_config"])).to(device, dtype)
    target = read_target(Path(files["target"]))
    return build_loss(loss, target, perceptual=perceptual, discriminator=discriminator, device=device, dtype=dtype)
