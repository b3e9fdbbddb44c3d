"""The census as a wall for print: one picture a place, its area the starts that lead there. No torch."""

import textwrap
from collections.abc import Sequence
from math import sqrt

import numpy as np
from PIL import Image, ImageDraw

from approach.lettering import GROUND, INK, QUIET, WARNING, write

WIDTH, HEIGHT = 4484, 2710  # of the pictures; with the margins 40 cm wide at 300 dots an inch
FULL = 0.93  # of the wall, about, is pictures
GAP = 6
MARGIN = 120
FRAME = 8


def pack(sides: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Where squares go in a strip of `width`: each as high up as it can, then as far left (a skyline).

    Args:
        sides: of the squares, in the order in which they are placed; none wider than the strip.
        width: of the strip.

    Returns:
        Left and top of each.
    """
    sky, places = [(0, width, 0)], []  # (left, right, top) of the free ground's upper edge
    for side in sides:
        best = None
        for left, _, _ in sky:
            if left + side > width:
                break
            top = max(low for begin, end, low in sky if begin < left + side and end > left)
            if best is None or top < best[1]:
                best = (left, top)
        left, top = best
        places.append(best)
        changed = [(left, left + side, top + side)]
        for begin, end, low in sky:
            changed += [(begin, min(end, left), low)] if begin < left else []
            changed += [(max(begin, left + side), end, low)] if end > left + side else []
        sky = sorted(changed)
    return places


def wall(
    pictures: Sequence[np.ndarray],
    sizes: Sequence[int],
    target: np.ndarray,
    *,
    nearest: int,
    title: str,
    words: list[str],
) -> Image.Image:
    """Draw the wall.

    Args:
        pictures: of the places, uint8 [H, W, 3], the largest first.
        sizes: how many arrivals each has.
        target: uint8 [H, W, 3].
        nearest: which place is nearest to the target.
        title: in large type.
        words: what the census found, a sentence or two each.
    """
    unit = sqrt(WIDTH * HEIGHT * FULL / sum(sizes))
    sides = [max(GAP, min(WIDTH, round(unit * sqrt(size)))) for size in sizes]
    places = pack([side + GAP for side in sides], WIDTH + GAP)
    high = max(top + side for (_, top), side in zip(places, sides, strict=True))
    lines = [line for said in words for line in textwrap.wrap(said, 150)]
    aim = 520
    below = max(aim + 60, 190 + 62 * len(lines)) + MARGIN
    image = Image.new("RGB", (WIDTH + 2 * MARGIN, high + 2 * MARGIN + below), GROUND)
    draw = ImageDraw.Draw(image)
    for number, ((left, top), side, picture) in enumerate(zip(places, sides, pictures, strict=True)):
        small = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
        image.paste(small, (MARGIN + left, MARGIN + top))
        if number == nearest:
            box = (MARGIN + left, MARGIN + top, MARGIN + left + side - 1, MARGIN + top + side - 1)
            draw.rectangle(box, outline=WARNING, width=FRAME)
    top = MARGIN + high + 60
    image.paste(Image.fromarray(target).resize((aim, aim), Image.Resampling.BICUBIC), (MARGIN + WIDTH - aim, top))
    write(draw, (MARGIN + WIDTH - aim, top + aim + 14), "what they were looking for", 40, colour=QUIET)
    write(draw, (MARGIN, top), title, 84)
    note = "A picture's area is the share of starts that arrive there; the framed place is the nearest to the target."
    write(draw, (MARGIN, top + 112), note, 44, colour=QUIET)
    for number, line in enumerate(lines):
        write(draw, (MARGIN, top + 190 + 62 * number), line, 44, colour=INK)
    return image
