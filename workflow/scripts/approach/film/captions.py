"""Captions in real type: a strip below each picture, drawn by Pillow and piped to ffmpeg frame by frame.

Drawn here and not by ffmpeg's drawtext or libass: those are missing from some builds, drawtext knows no values that
change with the frame, and subtitles are timed in hundredths of a second; a strip belongs to its frame exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import floor, log10
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from approach.files import read_table
from approach.lettering import GROUND, INK, QUIET, WARNING, shorten, width, write

FIELDS = ("step", "loss", "class")


def strip_height(size: int, fields: Sequence[str]) -> int:
    """The height in pixels (an even number) of the captions below pictures of `size` pixels."""
    type_size = _type_size(size)
    height = round(type_size * (1.1 + 1.5 * _lines(fields)))
    return height + height % 2


def channel_captions(
    channel: dict, positions: Sequence[float], table: dict[str, Sequence], fields: Sequence[str]
) -> list[dict]:
    """What is written below one channel in each frame. The step named is the one nearest to the frame.

    Args:
        channel: an entry of film.json.
        positions: the fractional step of each frame (`film_timing`).
        table: the columns `loss` and `top_class` of the seed's part of losses.csv, in order of steps; in a ring also
            `label` and `place`, which change from step to step.
        fields: any of step, loss, class.

    Returns:
        {left: [lines], right: [lines], failed: bool} of each frame.
    """
    losses = np.asarray(table["loss"], float)
    decimals = _decimals(losses)
    captions = []
    for position in positions:
        step = int(position + 0.5)
        failed = channel.get("status") == "failed" and step >= channel["last_step"]
        # A failed inversion shows its last finite state to the end, and so does its caption.
        shown = min(step, channel["last_step"]) if failed else step
        label, place = channel["label"], f"step {step}"
        if "place" in table:
            label, place = table["label"][shown], table["place"][shown]
        left = [f"{label} · stopped at step {channel['last_step']}" if failed else label]
        right = [place] if "step" in fields else []
        if "loss" in fields:
            right.append(f"loss {losses[shown]:.{decimals}f}")
        if "class" in fields:
            left.append(str(table["top_class"][shown]))
        captions.append({"left": left, "right": right, "failed": failed})
    return captions


def channel_losses(channel: dict, tables: Mapping[str, str | Path]) -> pd.DataFrame:
    """A channel's rows of its setting's losses.csv, in order of steps.

    Args:
        channel: an entry of film.json.
        tables: setting -> its losses.csv.
    """
    table = read_table(tables[channel["setting"]], "seed", "step", "loss")
    return table[table["seed"] == channel["seed"]].sort_values("step")


def film_strips(
    choice: dict,
    timing: dict,
    shown: Sequence[int],
    fields: Sequence[str],
    look: dict,
    tables: Mapping[str, str | Path],
    colour: tuple[int, int, int] = GROUND,
) -> Iterator[np.ndarray] | None:
    """The strips of a film, or nothing where no `fields` are wanted.

    Args:
        choice: film.json.
        timing: timing.json.
        shown: the film's channels, 0 to 2.
        fields: any of step, loss, class.
        look: `size` and `gap` as `encode.encode_film` has them.
        tables: setting -> its losses.csv, for the channels shown.
        colour: of the ground.
    """
    if not fields:
        return None
    texts = []
    for number in shown:
        channel = choice["channels"][number]
        table = channel_losses(channel, tables).to_dict("list")
        texts.append(channel_captions(channel, timing["positions"][number], table, fields))
    return strips(texts, look["size"], look["gap"], fields, colour)


def strips(
    channels: Sequence[Sequence[dict]],
    size: int,
    gap: int,
    fields: Sequence[str],
    colour: tuple[int, int, int] = GROUND,
) -> Iterator[np.ndarray]:
    """The strips of a film, one uint8 [h, W, 3] a frame.

    Args:
        channels: the captions of each channel (`channel_captions`), side by side.
        size: pixels of a picture's side.
        gap: pixels between pictures.
        fields: any of step, loss, class.
        colour: of the ground.
    """
    height = strip_height(size, fields)
    ground = np.empty((height, gap, 3), np.uint8)
    ground[:] = colour
    for frame in zip(*channels, strict=True):
        parts = []
        for caption in frame:
            parts += [
                ground,
                _label(tuple(caption["left"]), tuple(caption["right"]), caption["failed"], size, height, colour),
            ]
        yield np.concatenate(parts[1:], axis=1)


@lru_cache(maxsize=64)
def _label(
    left: tuple[str, ...], right: tuple[str, ...], failed: bool, size: int, height: int, ground: tuple[int, int, int]
) -> np.ndarray:
    """One channel's strip; the last few are kept, because a held frame keeps its caption."""
    image = Image.new("RGB", (size, height), ground)
    draw = ImageDraw.Draw(image)
    type_size, inset = _type_size(size), round(size / 64)
    for line in range(max(len(left), len(right))):
        baseline = round(type_size * (1.55 + 1.5 * line))
        room = size - 2 * inset
        if line < len(right):
            write(draw, (size - inset, baseline), right[line], type_size, colour=QUIET, anchor="rs")
            room -= width(right[line], type_size) + type_size
        if line < len(left):
            colour = (WARNING if failed else INK) if line == 0 else QUIET
            write(draw, (inset, baseline), shorten(left[line], type_size, room), type_size, colour=colour, anchor="ls")
    return np.asarray(image)


def _lines(fields: Sequence[str]) -> int:
    return max(1 + ("class" in fields), ("step" in fields) + ("loss" in fields))


def _type_size(size: int) -> int:
    return max(9, round(size / 30))


def _decimals(values: np.ndarray) -> int:
    """Decimals that give the smallest value three figures, the same in every frame so that nothing jumps."""
    seen = np.abs(values[np.isfinite(values) & (values != 0)])
    return min(8, max(0, 2 - floor(log10(seen.min())))) if seen.size else 3
