"""The files of an installation: three screens and a wide picture, a clip to line them up, and what a page says of them.

The rule of the square: a picture is as large as its screen allows (less the strip of the captions, where there are any)
and stands in its middle. What it leaves free is black or its own mirror image, or it is cropped until nothing is free.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from approach.film.captions import strip_height
from approach.film.probe import groups_of_pictures, read_film
from approach.lettering import write

SCREENS = {"left": (1,), "centre": (2,), "right": (3,), "wide": (1, 2, 3)}
BLACK = (0, 0, 0)
MOST_BITS = 25_000_000  # in any second: what the players of synchronised screens take at 1080 lines
USUAL_MBIT = 15  # at 1080 lines
LINE_UP_SECONDS = 10
COUNTER_BITS = 16


def screen_size(video: dict) -> tuple[int, int]:
    """Width and height of one screen in pixels, from `frame` and `height`."""
    across, down = map(int, video["frame"].split(":"))
    return video["height"] * across // down, video["height"]


def players_codec(video: dict) -> dict:
    """The codec of the players' files (`encode.options_of`): a screen of more lines has a higher rate."""
    rate = video["mbit"] or USUAL_MBIT * min(screen_size(video)) / 1080
    return {"preset": video["preset"], "mbit": rate, "gop": video["gop"]}


def most_bits(video: dict) -> float:
    """Bits that a second may have: in proportion for screens of more lines than 1080."""
    return MOST_BITS * max(1, min(screen_size(video)) / 1080)


def screen_look(screen: str, video: dict, captions: Sequence[str]) -> dict:
    """Where everything is on a screen, as `encode.encode_film` wants it: the square in the middle, on black.

    Args:
        screen: one of SCREENS.
        video: `frame` (width:height), `height` in pixels, and `fill`: black | crop | mirror.
        captions: the fields of the captions.
    """
    width, height = screen_size(video)
    size = min(width, height - height % 2)
    if captions:
        # The strip grows with the picture: the largest even side that leaves room for its own strip.
        size = next(side for side in range(size, 0, -2) if side + strip_height(side, captions) <= height)
    look = {"size": size, "gap": width - size, "ground": "0x000000", "canvas": (width * len(SCREENS[screen]), height)}
    fill = video.get("fill", "black")
    if fill == "black":
        return look
    room = (width, height - (strip_height(size, captions) if captions else 0))
    return {**look, "fill": fill, "cell": room}


def line_up_frames(screen: str, video: dict, count: int, fps: int) -> Iterator[np.ndarray]:
    """The clip that lines up projectors: grid, circle, borders, the screen's name, and a frame counter.

    The counter stands there in figures and, for machines, as `COUNTER_BITS` white and black squares below them, the
    lowest bit first; a white square flashes in the first frame of every second.

    Args:
        screen: one of SCREENS.
        video: `frame` and `height` of the screen.
        count: frames of the clip.
        fps: frames a second.

    Yields:
        uint8 [height, W, 3].
    """
    height = video["height"]
    parts = [
        _test_card(name, *screen_size(video))
        for name, channels in SCREENS.items()
        if channels[0] in SCREENS[screen] and len(channels) == 1
    ]
    base = Image.new("RGB", (sum(part.width for part in parts), height))
    for place, part in enumerate(parts):
        base.paste(part, (place * part.width, 0))
    width = parts[0].width
    cell = counter_side(width, height)
    for number in range(count):
        image = base.copy()
        draw = ImageDraw.Draw(image)
        for place in range(len(parts)):
            middle = place * width + width // 2
            text = f"{number // fps:02d}:{number % fps:02d}   {number:05d}"
            write(draw, (middle, round(height * 0.62)), text, round(min(width, height) / 18), anchor="mm")
            for bit in range(COUNTER_BITS):
                left, top = counter_cell(bit, middle, width, height)
                value = 255 * (number >> bit & 1)
                draw.rectangle((left, top, left + cell - 1, top + cell - 1), fill=(value,) * 3)
            if number % fps == 0:
                side = min(width, height) // 9
                draw.rectangle(
                    (middle - side // 2, round(height * 0.78), middle + side // 2, round(height * 0.78) + side),
                    fill="white",
                )
        yield np.asarray(image)


def counter_side(width: int, height: int) -> int:
    """The side of a square of the line-up clip's counter, in pixels."""
    return min(width, height) // 27


def counter_cell(bit: int, middle: int, width: int, height: int) -> tuple[int, int]:
    """The upper left corner, in pixels, of a bit of the line-up clip's counter; `middle`: of its screen."""
    cell = counter_side(width, height)
    return middle - COUNTER_BITS * cell // 2 + bit * cell, round(height * 0.68)


def _test_card(name: str, width: int, height: int) -> Image.Image:
    """What stands still in the line-up clip of one screen."""
    side = min(width, height)
    image = Image.new("RGB", (width, height), BLACK)
    draw = ImageDraw.Draw(image)
    fine = max(1, side // 540)
    for part in range(33):
        x, strong = round(part * (width - 1) / 32), part % 4 == 0
        draw.line((x, 0, x, height), fill=(86,) * 3 if strong else (40,) * 3, width=fine)
    for part in range(19):
        y, strong = round(part * (height - 1) / 18), part % 9 == 0
        draw.line((0, y, width, y), fill=(86,) * 3 if strong else (40,) * 3, width=fine)
    left, top = (width - side) // 2, (height - side) // 2
    draw.ellipse((left + 1, top + 1, left + side - 2, top + side - 2), outline=(150,) * 3, width=2 * fine)
    draw.rectangle((left, top, left + side - 1, top + side - 1), outline=(120, 160, 190), width=2 * fine)
    draw.rectangle((0, 0, width - 1, height - 1), outline=(255, 255, 255), width=2 * fine)
    draw.line((width / 2, height * 0.45, width / 2, height * 0.55), fill="white", width=fine)
    draw.line((width / 2 - side * 0.05, height / 2, width / 2 + side * 0.05, height / 2), fill="white", width=fine)
    write(draw, (width // 2, round(height * 0.33)), name.upper(), round(side / 8), anchor="mm")
    for place, shade in enumerate(np.linspace(0, 255, 11).round().astype(int)):
        step = side // 18
        left = width // 2 + (place - 5) * step - step // 2
        draw.rectangle(
            (left, round(height * 0.17), left + step - 1, round(height * 0.17) + step), fill=(int(shade),) * 3
        )
    return image


def describe(path: Path) -> dict:
    """Read a delivered file: everything that whoever installs it wants to know, as plain values.

    Its pictures were decoded and counted when it was encoded (`encode.deliver`) and are not decoded again.

    Returns:
        {file, frames, fps, seconds, width, height, codec, profile, pix_fmt, colours, audio, bytes, mbit (mean),
        sha256}, and of H.264 files group (frames between the pictures where decoding can begin), closed, busiest (bits
        in the fullest second).
    """
    found = read_film(path, decode=False)
    described = {
        "file": path.name,
        **{
            key: found[key]
            for key in ("frames", "seconds", "width", "height", "codec", "profile", "pix_fmt", "colours")
        },
        "fps": float(found["fps"]),
        "audio": found["audio"],
        "bytes": found["bytes"],
        "mbit": found["bit_rate"] / 1e6,
        "sha256": _sha256(path),
    }
    if path.suffix == ".mp4":
        groups = groups_of_pictures(path)
        lengths = set(np.diff(groups["starts"]).tolist()) or {found["frames"]}
        described |= {"group": max(lengths), "closed": groups["closed"], "busiest": groups["busiest"]}
    return described


def wrong(described: Sequence[dict], video: dict, fps: int) -> list[str]:
    """What keeps files (`describe`) from playing in step, in words; empty where nothing does."""
    said = []
    films = [one for one in described if not one["file"].startswith("line-up")]
    for key in ("frames", "fps"):
        if len({one[key] for one in films}) > 1:
            said.append(f"the files differ in {key}: " + ", ".join(f"{one['file']} {one[key]}" for one in films))
    for one in described:
        width, height = screen_size(video)
        width *= 3 if "wide" in one["file"] else 1
        kind = "yuv420p" if one["file"].endswith(".mp4") else "yuv422p10le"
        wanted = {"width": width, "height": height, "pix_fmt": kind, "audio": 0, "fps": float(fps)}
        if one["file"].endswith(".mp4"):
            wanted |= {"group": min(video.get("gop") or fps, one["frames"]), "closed": True}
            if one["busiest"] > (most := most_bits(video)):
                said.append(
                    f"{one['file']}: {one['busiest'] / 1e6:.1f} Mbit in its fullest second, over {most / 1e6:.0f}"
                )
        said += [
            f"{one['file']}: {key} is {one[key]}, not {value}" for key, value in wanted.items() if one[key] != value
        ]
    return said


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
