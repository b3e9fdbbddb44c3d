"""A poster of a film and a card for links: what was looked for, what was found, and the land between, for strangers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.style import context
from PIL import Image, ImageDraw

from approach.lettering import GROUND, shorten, write
from approach.lettering import QUIET as DIM
from approach.pictures.panorama import draw_map, draw_trajectories
from approach.pictures.plots import INK, QUIET, STYLE
from approach.wording import Work, values_words

A2 = (16.54, 23.39)  # inches; A3 is the same at 1 / sqrt(2)
SIZES = {"a2": 300.0, "a3": 300 / 2**0.5}  # dots an inch of the A2 figure: 300 an inch on either paper
MARGIN = 1.0
MOMENTS = 10
SERIF = "DejaVu Serif"
ABOUT = (
    "A neural network that makes pictures was asked for one picture that it has never seen, the small one on the "
    "right. Three times an algorithm set out towards it, and step by step made the network's picture more like it. "
    "Every step is a picture by the network: none of them was painted or photographed. Above is where the three "
    "searches arrived; below, row by row, how they came there. The network can show only what it has learnt: they come "
    "near, and stay apart."
)
LAND_TITLE = "The land between the arrivals"
LAND = (
    "The network can make more pictures than a map has room for. This one is a cut through them, laid through the "
    "arrivals 1, 2 and 3. The darker, the deeper, the more a picture is like the one that was looked for; the numbers "
    "say how unlike it is, and at 0 it would be the same. A coloured line is a search: it begins at a small ring and "
    "goes down to its arrival. Where it fades into fog, it runs far from what this map cuts through."
)


def arrival_labels(vary: str, channels: Sequence[Mapping]) -> list[str]:
    """What tells three arrivals apart. Starts do not: "start 0" beside "Arrival 1" would look like a mistake.

    Args:
        vary: what the film varies.
        channels: of film.json. One that ends before its arrival has that in its label, but the poster shows arrivals.
    """
    if vary == "rank":
        labels = [channel["label"].partition(", start ")[0] for channel in channels]
    elif vary in ("seed", "trajectory"):
        labels = [values_words(channel["values"]) for channel in channels]
    else:
        labels = [channel["label"] for channel in channels]
    return labels if len(set(labels)) > 1 else [""] * len(labels)


def poster(
    output: Mapping[str, Path],
    *,
    work: Work,
    labels: Sequence[str],
    moments: Sequence[np.ndarray],
    steps: Sequence[int],
    target: np.ndarray,
    found: Mapping[str, np.ndarray] | None,
    colours: str,
    note: str,
) -> None:
    """Draw the poster: as pictures at 300 dots an inch on A2 and A3, and as a PDF whose text is text.

    Args:
        output: a2, a3 (.png) and pdf.
        work: what the work is called.
        labels: of the three channels (`arrival_labels`).
        moments: each channel's pictures [M, H, W, 3] uint8, from start to arrival.
        steps: the M steps.
        target: uint8 [H, W, 3].
        found: the survey of the panorama, or None.
        colours: its palette.
        note: where all this comes from, in one line.
    """
    style = {**STYLE, "axes.grid": False, "pdf.fonttype": 42, "font.family": "DejaVu Sans"}
    with context(style):
        figure = Figure(figsize=A2)
        FigureCanvasAgg(figure)
        _draw(figure, work, labels, moments, steps, target, found, colours, note)
        tags = {"Title": work.title, "Author": work.artist or None}
        for size, dots in SIZES.items():
            described = {"Software": None, **{key: value for key, value in tags.items() if value}}
            described |= {"Copyright": work.rights} if work.rights else {}
            figure.savefig(output[size], dpi=dots, metadata=described, pil_kwargs={"dpi": (300, 300)})
        subject = {"Subject": work.rights} if work.rights else {}
        figure.savefig(output["pdf"], dpi=SIZES["a2"], metadata={**tags, **subject, "CreationDate": None})


def _draw(figure, work, labels, moments, steps, target, found, colours, note) -> None:
    width, height = A2
    inner = width - 2 * MARGIN

    def place(left: float, top: float, wide: float, high: float):
        axis = figure.add_axes((left / width, (height - top - high) / height, wide / width, high / height))
        axis.set_axis_off()
        return axis

    def show(picture: np.ndarray, left: float, top: float, side: float) -> None:
        # Mitchell's cubic, as in the films: nothing is invented, no bright lines around what is dark.
        place(left, top, side, side).imshow(picture, interpolation="mitchell", interpolation_stage="rgba")

    def say(text: str, left: float, top: float, size: float, colour: str = INK, **more: object) -> None:
        figure.text(left / width, 1 - top / height, text, fontsize=size, color=colour, va="top", **more)

    longest = max(1, len(work.title))
    say(work.title, MARGIN, 0.95, min(64, 1500 / longest), family=SERIF)
    say(work.byline or "Three-channel film by inversion of a neural network", MARGIN, 2.15, 22, QUIET, family=SERIF)
    gap, top = 0.3, 3.0
    side = (inner - 2 * gap) / 3
    for number, (label, pictures) in enumerate(zip(labels, moments, strict=True)):
        left = MARGIN + number * (side + gap)
        show(pictures[-1], left, top, side)
        say(f"Arrival {number + 1}", left, top + side + 0.1, 14)
        say(label, left + side, top + side + 0.1, 12, QUIET, ha="right")
    top += side + 0.75
    aim = 2.5
    say(fill(ABOUT, 84), MARGIN, top, 17, linespacing=1.55, family=SERIF)
    show(target, width - MARGIN - aim, top, aim)
    say("The picture that was looked for", width - MARGIN, top + aim + 0.08, 12, QUIET, ha="right")
    top += 3.2
    kept = np.unique(np.linspace(0, len(steps) - 1, MOMENTS).round().astype(int))
    small = (inner - 0.1 * (len(kept) - 1)) / len(kept)
    small = min(small, 1.5)
    for column, moment in enumerate(kept):
        left = MARGIN + column * (inner - small) / max(1, len(kept) - 1)
        say(f"step {steps[moment]}", left, top, 11, QUIET)
        for number, pictures in enumerate(moments):
            show(pictures[moment], left, top + 0.3 + number * (small + 0.1), small)
            if column == 0:
                say(str(number + 1), left - 0.35, top + 0.2 + number * (small + 0.1) + small / 2, 14)
    top += 0.3 + 3 * (small + 0.1) + 0.35
    if found is not None:
        wide = 9.3
        room = height - top - MARGIN - 0.5
        ratio = (found["y"][-1] - found["y"][0]) / (found["x"][-1] - found["x"][0])
        wide = min(wide, room / ratio)
        axis = place(MARGIN, top, wide, wide * ratio)
        draw_map(axis, found, colours)
        draw_trajectories(axis, found)
        axis.set_axis_off()
        say(LAND_TITLE, MARGIN + wide + 0.45, top, 20, family=SERIF)
        say(fill(LAND, 48), MARGIN + wide + 0.45, top + 0.5, 15, linespacing=1.55, family=SERIF)
    say(fill(note, 205), MARGIN, height - MARGIN + 0.05, 10, QUIET, linespacing=1.4)


def card(work: Work, arrivals: Sequence[np.ndarray]) -> Image.Image:
    """A card of 1200 x 630 px, as links show it: three arrivals, and what the work is called.

    Args:
        work: what the work is called.
        arrivals: three pictures, uint8 [H, W, 3].
    """
    image = Image.new("RGB", (1200, 630), GROUND)
    draw = ImageDraw.Draw(image)
    side, gap = 372, 21
    for number, picture in enumerate(arrivals):
        enlarged = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
        image.paste(enlarged, (gap + number * (side + gap), gap))
    write(draw, (gap + 4, 428), shorten(work.title, 62, 1150), 62)
    said = work.byline or "three inversions of a neural network towards one picture"
    write(draw, (gap + 6, 526), shorten(said, 30, 1150), 30, colour=DIM)
    return image
