"""The published JSON configuration of BigGAN-deep, and the names of its classes. No torch: tables read them, too."""

import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path

from approach.classes import imagenet_names, read_names
from approach.errors import UserError

logger = logging.getLogger(__name__)


# What a configuration may ask for, so that a damaged one allocates nothing: several times the published ones.
MOST = {
    **{"layers": 40, "output_dim": 4096, "z_dim": 1024, "class_embed_dim": 1024, "channel_width": 512},
    **{"num_classes": 100_000, "n_stats": 1024},
}


SMALL = 128 * 128 * 16  # numbers in the last map


@dataclass(frozen=True)
class GeneratorConfig:
    """The fields of the published JSON configuration.

    Each layer is (up-samples, input width, output width), widths in multiples of channel_width;
    attention_layer_position is the layer before which the self-attention stands.
    """

    output_dim: int
    z_dim: int
    class_embed_dim: int
    channel_width: int
    num_classes: int
    layers: tuple[tuple[bool, int, int], ...]
    attention_layer_position: int
    eps: float
    n_stats: int

    @property
    def small(self) -> bool:
        """Whether its work is between the products and its maps take little memory, as the embedded ones' are."""
        return self.output_dim**2 * self.channel_width <= SMALL


def read_config(path: str | Path) -> GeneratorConfig:
    """Read a published JSON configuration; UserError where it is no BigGAN-deep that can be built."""
    path = Path(path)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the generator's configuration ({error.strerror}); check the generator's config path"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path}: not a JSON file ({error}); give the config.json published with the weights"
        ) from error
    known = {field.name for field in fields(GeneratorConfig)}
    missing = sorted(known - set(raw)) if isinstance(raw, dict) else sorted(known)
    if missing:
        raise UserError(
            f"{path}: no BigGAN-deep configuration, it lacks {', '.join(missing)}; "
            "give the config.json published with the weights"
        )
    if unknown := sorted(set(raw) - known):
        logger.info("%s: unknown fields ignored: %s", path, ", ".join(unknown))
    try:
        layers = tuple((bool(up), int(wide_in), int(wide_out)) for up, wide_in, wide_out in raw["layers"])
        config = GeneratorConfig(**{key: raw[key] for key in known - {"layers"}}, layers=layers)
        _check_geometry(config)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: no BigGAN-deep can be built from it ({error}); give the config.json published with the weights"
        ) from error
    return config


def _check_geometry(config: GeneratorConfig) -> None:
    for name, most in MOST.items():
        value = len(config.layers) if name == "layers" else getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(f"{name} is {value}, must be a whole number from 1 to {most}")
    size = 4 * 2 ** sum(up for up, _, _ in config.layers)
    if size != config.output_dim:
        raise ValueError(f"the layers make {size} px, output_dim says {config.output_dim}")
    widths = [16, *(width for _, _, width in config.layers)]
    for index, (_, wide_in, wide_out) in enumerate(config.layers):
        if wide_in != widths[index] or wide_out not in (wide_in, wide_in / 2):
            raise ValueError(f"layer {index} does not fit its neighbours")
    if widths[-1] != 1 or config.channel_width < 3 or not 0 <= config.attention_layer_position < len(config.layers):
        raise ValueError("last layer, channel_width or attention_layer_position out of range")
    if config.class_embed_dim != config.z_dim or config.n_stats < 2:
        raise ValueError("class_embed_dim must equal z_dim, and n_stats be at least 2")


def class_names(path: str | Path | None, config: GeneratorConfig) -> list[str]:
    """Names of the generator's classes: from a JSON list, or (None) ImageNet's.

    Raises:
        UserError: there are not as many names as classes, or the list cannot be read.
    """
    names = imagenet_names() if path is None else read_names(path)
    if len(names) != config.num_classes:
        raise UserError(
            f"{path or 'ImageNet'}: {len(names)} class names for a generator of {config.num_classes} classes; "
            "give one name a class"
        )
    return names
