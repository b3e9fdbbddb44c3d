"""The disconnectivity tree drawn: arrivals below, and where the passes between them join them. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.style import context

from approach.pictures.plots import INK, QUIET, STYLE, save

PICTURE = 0.86  # inches of an arrival's side
SADDLE = 0.6
DPI = 200


def tree_plot(
    found: Mapping[str, np.ndarray],
    said: Mapping,
    order: Sequence[int],
    joins: Sequence,
    path: Path,
    *,
    title: str,
) -> None:
    """Draw the tree with a picture of each arrival and of each saddle that joins two branches.

    Args:
        found: the arrays of passes.safetensors.
        said: its metadata: pairs, labels, loss.
        order: the arrivals from left to right.
        joins: as `roads.tree.tree` gives them.
        path: the picture.
        title: in large type.
    """
    count = len(order)
    ends = {}
    for number, (a, b) in enumerate(said["pairs"]):
        for arrival, place in ((a, 0), (b, -1)):
            ends[arrival] = (float(found["losses"][number][place]), found["images"][number][place])
    with context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(max(6.5, 1.25 * count + 1.6), 7.2))
        FigureCanvasAgg(figure)
        axis = figure.add_axes((0.09, 0.24, 0.88, 0.62))
        highest = max(join.height for join in joins)
        lowest = min(loss for loss, _ in ends.values())
        axis.set_ylim(lowest - 0.04 * (highest - lowest), highest + 0.16 * (highest - lowest))
        axis.set_xlim(-0.6, count - 0.4)
        at = {arrival: (float(place), ends[arrival][0]) for place, arrival in enumerate(order)}
        for number, join in enumerate(joins):
            (left, low), (right, lower) = at[join.left], at[join.right]
            for x, y in ((left, low), (right, lower)):
                axis.plot((x, x), (y, join.height), color=INK, linewidth=1.3, solid_capstyle="round")
            axis.plot((left, right), (join.height,) * 2, color=INK, linewidth=1.3, solid_capstyle="round")
            at[count + number] = ((left + right) / 2, join.height)
            _saddle(axis, found, join, (left + right) / 2)
        for place, arrival in enumerate(order):
            _arrival(axis, place, *ends[arrival], said["labels"][arrival])
        axis.set_xticks([])
        axis.set_ylabel(f"{said['loss']} loss")
        axis.spines["bottom"].set_visible(False)
        figure.text(0.02, 0.95, title, fontsize=15, color=INK)
        figure.text(
            0.02,
            0.915,
            "Two arrivals are joined at the height of the lowest way between them, over any passes that were found",
            fontsize=8.5,
            color=QUIET,
        )
        save(figure, path, DPI)


def _arrival(axis: Axes, place: int, loss: float, image: np.ndarray, label: str) -> None:
    axis.plot(place, loss, "o", color=INK, markersize=4.5, clip_on=False)
    box = OffsetImage(image, zoom=PICTURE * 72 / image.shape[0], interpolation="bicubic")
    where = axis.get_xaxis_transform()
    axis.add_artist(
        AnnotationBbox(
            box, (place, -0.02), xycoords=where, box_alignment=(0.5, 1), frameon=False, annotation_clip=False
        )
    )
    said = f"{label}\n{loss:.3g}"
    axis.annotate(
        said,
        (place, -0.02),
        xycoords=where,
        xytext=(0, -PICTURE * 72 - 6),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=QUIET,
        annotation_clip=False,
    )


def _saddle(axis: Axes, found: Mapping[str, np.ndarray], join, x: float) -> None:
    losses = found["losses"][join.over]
    image = found["images"][join.over][int(losses[1:-1].argmax()) + 1]
    box = OffsetImage(image, zoom=SADDLE * 72 / image.shape[0], interpolation="bicubic")
    axis.add_artist(
        AnnotationBbox(box, (x, join.height), box_alignment=(0.5, 0), pad=0.1, bboxprops={"edgecolor": INK})
    )
    axis.annotate(
        f"{join.height:.3g}",
        (x, join.height),
        xytext=(0, -3),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=INK,
    )
