"""Real type for pictures and captions, from fonts that the Python packages bring along."""

from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

INK = (232, 230, 225)
QUIET = (150, 149, 145)
WARNING = (224, 152, 96)
GROUND = (20, 20, 22)
SMALLEST = 11  # pixels; below it letters run together


@cache
def _aileron(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


@cache
def _dejavu(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # noqa: PLC0415 - slow, and wanted only for letters that Aileron lacks

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Aileron (Pillow's own face, figures of equal width) at `size` pixels; DejaVu Sans where `text` needs more."""
    plain = all(letter.isascii() or letter == "·" for letter in text)
    return _aileron(size) if plain else _dejavu(max(1, round(size * 0.92)))


def width(text: str, size: int) -> float:
    """The width of `text` in pixels."""
    return font(text, size).getlength(text)


def shorten(text: str, size: int, room: float) -> str:
    """`text`, cut with three dots where it is wider than `room` pixels; empty where not even the dots fit."""
    if width(text, size) <= room:
        return text
    # The cut is found by halving: a caption is shortened again in every frame.
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle].rstrip() + "...", size) <= room else (low, middle - 1)
    return text[:low].rstrip(" ,.") + "..." if low else ""


def fit(text: str, size: int, room: float) -> tuple[str, int]:
    """`text` and its type: the largest up to `size` that `room` pixels hold; cut where even SMALLEST is too wide."""
    size = next((one for one in range(size, SMALLEST, -1) if width(text, one) <= room), min(size, SMALLEST))
    return shorten(text, size, room), size


def write(
    draw: ImageDraw.ImageDraw,
    where: tuple[float, float],
    text: str,
    size: int,
    *,
    colour: tuple[int, int, int] = INK,
    anchor: str = "la",
) -> None:
    """Write one line of `text` at `where` (Pillow's anchors: `la` left and ascender, `rs` right and baseline...)."""
    draw.text(where, text, font=font(text, size), fill=colour, anchor=anchor)
