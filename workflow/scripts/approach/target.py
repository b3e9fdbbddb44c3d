"""Any picture people have, made into the square that the inversions are measured against.

Upright (EXIF), in sRGB (embedded ICC profile), on white where it is transparent, 8 bits a channel, cropped or padded to
a square. The product is an RGBA picture whose alpha is 255 where the picture is seen and 0 in the padding. This module
plans as well as prepares: it imports torch only to read the product back.
"""

import io
import json
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, features
from PIL.PngImagePlugin import PngInfo

from approach.errors import UserError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MAX_PIXELS = 120_000_000  # larger pictures are refused by their header
MAX_DEEP_PIXELS = MAX_PIXELS // 6  # of pictures with more than 8 bits a channel, which take more memory
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP") + (("AVIF",) if features.check("avif") else ())
MADE_FROM = "made from"  # the entry in a prepared target that says what it was made from
PAPER = (255, 255, 255)  # what lies under a transparent picture
PAD_COLOUR = (128, 128, 128)  # of the padding: shown, never compared
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True)
class Target:
    """What an inversion is measured against: pixels [3, S, S] in [-1, 1], mask [1, S, S], 1 where seen; float32."""

    pixels: "torch.Tensor"
    mask: "torch.Tensor"


def check_picture(path: str | Path) -> None:
    """Look whether a file is a whole picture of a known format and bearable size: milliseconds, no torch.

    A JPEG is decoded at an eighth of its size, which reads all of its bytes; a PNG's checksums are verified; the rest
    is decoded.

    Raises:
        UserError: it is not.
    """
    with _opened(path) as picture:
        if picture.format == "PNG":
            picture.verify()
        else:
            if picture.format in ("JPEG", "MPO"):
                picture.draft(None, (max(1, picture.width // 8), max(1, picture.height // 8)))
            picture.load()


def prepare_target(
    picture: str | Path,
    size: int,
    *,
    fit: str = "crop",
    focus: Sequence[float] = (0.5, 0.5),
) -> Image.Image:
    """Make a picture file into an RGBA square; alpha 255 where the picture is seen, 0 in the padding.

    Args:
        picture: the file: JPEG, PNG, WebP, TIFF, GIF, BMP or AVIF, of any mode; of an animation the first frame.
            Transparent parts are laid on white and count as seen.
        size: side of the square, in px.
        fit: "crop": the largest square of the picture; "pad": the whole picture, with padding beside it.
        focus: for "crop": the point that shall be nearest to the square's centre, as fractions (x, y) of the upright
            picture's width and height, 0 to 1.

    Raises:
        UserError: the file is missing, is no readable picture, or is too large; or an argument is out of its range.
    """
    if fit not in ("crop", "pad"):
        raise UserError(f"target.fit={fit}: must be crop or pad")
    if len(focus) != 2 or not all(0 <= value <= 1 for value in focus):
        raise UserError(f"target.focus={list(focus)}: must be two fractions, x and y, from 0 to 1")
    with _opened(picture) as opened:
        image = _as_srgb(ImageOps.exif_transpose(opened))

    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        if side < size:
            logger.warning("%s: the crop is %d px and is enlarged to %d px", picture, side, size)
        left = min(max(focus[0] * width - side / 2, 0), width - side)
        top = min(max(focus[1] * height - side / 2, 0), height - side)
        return _resized(image, (size, size), (left, top, left + side, top + side)).convert("RGBA")

    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = Image.new("RGBA", (size, size), (*PAD_COLOUR, 0))
    square.paste(
        _resized(image, inner, (0, 0, width, height)).convert("RGBA"),
        ((size - inner[0]) // 2, (size - inner[1]) // 2),
    )
    return square


def write_target(path: str | Path, square: Image.Image, made_from: dict) -> None:
    """Write a prepared target, and into it what it was made from: {sha256 of the picture, fit, focus}.

    The picture's path is not: experiment.yaml tells it, and the same picture from elsewhere makes the same target.
    """
    path, text = Path(path), PngInfo()
    text.add_text(MADE_FROM, json.dumps(made_from, sort_keys=True))
    temporary = path.with_name(f".{path.name}.part")
    try:
        square.save(temporary, format="PNG", pnginfo=text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def made_from(path: str | Path) -> dict | None:
    """What a prepared target was made from, as write_target wrote it.

    Returns:
        {sha256, fit, focus}; None where the file is damaged or no prepared target.
    """
    try:
        with _opened(path) as square:
            said = json.loads(square.info[MADE_FROM])
            square.verify()  # the checksums of a PNG's parts
    except (UserError, ValueError, KeyError, TypeError):
        return None
    return said if isinstance(said, dict) else None


def read_target(path: str | Path) -> Target:
    """Read a prepared target back as tensors.

    Raises:
        UserError: the file is no such square RGBA picture.
    """
    import torch  # noqa: PLC0415  (planning imports this module and must not wait for torch)

    with _opened(path) as picture:
        if picture.mode != "RGBA" or picture.width != picture.height:
            raise UserError(f"{path}: not a prepared target (a square RGBA picture); delete it to have it made again")
        values = np.asarray(picture)
    seen = values[..., 3:] > 127
    if not seen.any():
        raise UserError(f"{path}: nothing of the target is seen, all of it is padding; delete it to have it made again")
    pixels = torch.from_numpy(values[..., :3].astype(np.float32) / 127.5 - 1)
    mask = torch.from_numpy(seen.astype(np.float32))
    return Target(pixels.permute(2, 0, 1).contiguous(), mask.permute(2, 0, 1).contiguous())


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open a picture of a known format and bearable size; whatever its decoder says becomes one UserError."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a picture")
    if not path.exists():
        raise UserError(f"{path}: no such picture; check the path")
    too_large = f"{path}: larger than {{:.0f}} million pixels{{}}; scale it down first"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns below our bound, and of metadata we do not read
            with Image.open(path, formats=FORMATS) as picture:
                deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
                most = MAX_DEEP_PIXELS if deep else MAX_PIXELS
                if picture.width * picture.height > most:
                    raise UserError(too_large.format(most / 1e6, " of more than 8 bits" if deep else ""))
                yield picture
    except Image.DecompressionBombError as error:
        raise UserError(too_large.format(MAX_PIXELS / 1e6, "")) from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a picture of a known format ({', '.join(FORMATS)}); convert it first") from error
    except _UNREADABLE as error:
        raise UserError(f"{path}: cannot be read to its end ({error}); get the file anew, or convert it") from error


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """Lanczos over the true footprint; a box reduction goes first where the picture is over three times too large."""
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _as_srgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency laid on white, sample depth scaled to 8 bits, colours through the ICC profile."""
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode in ("P", "PA", "RGBA", "RGBa", "LA", "La") or "transparency" in image.info:
        if image.mode not in ("LA", "RGBA"):
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("YCbCr", "HSV", "RGBX"):
        image = image.convert("RGB")
    image = _through_profile(image, profile)
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, PAPER), alpha)
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale a deep greyscale picture to 8 bits (Pillow's own conversion clips).

    16-bit samples span 0 to 65535. Wider integers and floats carry no range: floats up to 1 span 0 to 1, integers up
    to 65535 span that, anything else its own maximum.
    """
    samples = np.asarray(image).astype(np.float64)
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    white = max(samples.max(), 1.0 if image.mode == "F" else 65535.0)
    return Image.fromarray(np.round(samples * (255 / white)).astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """To RGB, through the embedded profile where there is a usable one (perceptual intent)."""
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip()
        except (OSError, ImageCms.PyCMSError) as error:
            logger.warning("the embedded colour profile is unreadable and ignored (%s)", error)
            return image.convert("RGB")
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if space != {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}.get(image.mode):
            logger.warning(
                "the embedded %s profile does not fit a picture of mode %s and is ignored", space, image.mode
            )
            return image.convert("RGB")
    else:
        return image.convert("RGB")
    try:
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError as error:
        logger.warning("the embedded colour profile cannot be used and is ignored (%s)", error)
        return image.convert("RGB")
