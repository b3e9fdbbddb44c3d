"""The itinerary: which categories a trajectory passes through, as streams and as a table. No torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.style import context

from approach.pictures.plots import INK, PAPER, QUIET, STYLE, mark_departures, save
from approach.pictures.readings import evenly
from approach.trajectories import Trajectory

MOST_POINTS = 240  # of a stream on the page
MOST = 8  # categories that get a colour and a name; the others flow together
WORTH_NAMING = 0.065  # a stream's share where its name is written
REST = "#dcd9d1"
NO_SHARES = "the class embedding moves freely here, and has no shares of classes"
# Muted, far apart in hue and lightness, and in an order that sets unlike ones side by side.
STREAMS = ("#3f6f8f", "#d9a441", "#8c4a5c", "#7fa99b", "#c9694a", "#5b5a86", "#b9c27a", "#a98a6d")
PALE = ("#d9a441", "#7fa99b", "#b9c27a", "#a98a6d", REST)  # where letters are dark


def chosen_categories(passed: Sequence[np.ndarray]) -> list[int]:
    """At most MOST categories that the trajectories dwelt in or arrived at, the largest first.

    A category counts by its mean share over all steps and its share at arrival, in the trajectory where that is
    largest.

    Args:
        passed: the class vectors of each trajectory, [S+1, C] probabilities.
    """
    weight = np.max([classes.mean(axis=0) + classes[-1] for classes in passed], axis=0)
    return [int(index) for index in np.argsort(-weight, kind="stable")[:MOST] if weight[index] > 0]


def class_shares(trajectory: Trajectory, count: int) -> np.ndarray:
    """A trajectory's class vectors, [S+1, count]; all 0 where the class embedding moves freely and has no shares."""
    return np.zeros((len(trajectory.z), count), np.float32) if trajectory.embedded else trajectory.classes


def itinerary_table(passed: Sequence[np.ndarray], labels: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """A row per channel and chosen category: channel, label, category, share at start, on average, at arrival.

    Args:
        passed: the class vectors of each channel, [S+1, C] probabilities.
        labels: what each channel is called.
        names: the C categories.
    """
    rows = []
    chosen = chosen_categories(passed)
    for channel, (classes, label) in enumerate(zip(passed, labels, strict=True), start=1):
        if not classes.any():
            continue
        for index in sorted(chosen, key=lambda index: -classes[-1, index]):
            shares = {"start": classes[0, index], "mean": classes[:, index].mean(), "arrival": classes[-1, index]}
            row = {"channel": channel, "label": label, "category": names[index]}
            rows.append(row | {key: round(float(share), 6) for key, share in shares.items()})
    return pd.DataFrame(rows, columns=["channel", "label", "category", "start", "mean", "arrival"])


def in_words(shares: Sequence[float], names: Sequence[str], most: int = 3) -> str:
    """The largest shares of one class vector: "lighthouse 43 %, shore 21 %, cliff 9 %"; NO_SHARES where it has none."""
    if not np.any(shares):
        return NO_SHARES
    order = np.argsort(-np.asarray(shares), kind="stable")[:most]
    return ", ".join(f"{names[index].split(',')[0]} {shares[index]:.0%}".replace("%", " %") for index in order)


def itinerary_streams(
    passed: Sequence[np.ndarray], names: Sequence[str], departures: Sequence[Sequence[int]] = ((), (), ())
) -> dict:
    """The streams as plain data for the page: names, colours and, of each channel, edges [streams + 1][points].

    Args:
        passed: the class vectors of each channel, [S+1, C] probabilities.
        names: the C categories.
        departures: of each channel, the steps at which it set out for another destination.
    """
    chosen = chosen_categories(passed)
    channels = []
    for classes, left_at in zip(passed, departures, strict=True):
        kept = evenly(len(classes), MOST_POINTS)
        edges = stacked(classes[kept], chosen)
        channels.append(
            {
                "steps": kept.tolist(),
                "edges": [[round(float(value), 4) for value in edge] for edge in edges],
                "arrival": [round(float(classes[-1, index]), 4) for index in chosen],
                "words": in_words(classes[-1], names),
                "departures": list(left_at),
            }
        )
    return {
        "names": [names[index].split(",")[0] for index in chosen],
        "colours": list(STREAMS[: len(chosen)]),
        "dark": [colour in PALE for colour in STREAMS[: len(chosen)]],
        "channels": channels,
    }


def itinerary_plot(
    passed: Sequence[np.ndarray],
    labels: Sequence[str],
    names: Sequence[str],
    path: Path,
    *,
    title: str,
    departures: Sequence[Sequence[int]] = ((), (), ()),
) -> None:
    """The class vectors of three trajectories over the steps, each as a stacked stream with names.

    Args:
        passed: the class vectors of each channel, [S+1, C] probabilities.
        labels: what each channel is called.
        names: the C categories.
        path: the picture.
        title: in large type.
        departures: of each channel, the steps at which it set out for another destination.
    """
    chosen = chosen_categories(passed)
    with context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(12, 1.35 + 2.35 * len(passed)), layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.25, h_pad=0.14, hspace=0.02)
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, color=INK)
        for place, (classes, label) in enumerate(zip(passed, labels, strict=True), start=1):
            axis = figure.add_subplot(len(passed), 1, place)
            _stream(axis, classes, chosen, names)
            mark_departures(axis, departures[place - 1], INK)
            axis.set_title(f"{place}  {label}", fontsize=10.5, color=INK, loc="left")
            begin, end = in_words(classes[0], names, 2), in_words(classes[-1], names)
            ends = f"from {begin}   to {end}" if classes.any() else NO_SHARES
            axis.set_title(ends, fontsize=8.5, color=QUIET, loc="right")
        axis.set_xlabel("step")
        save(figure, path)


def stacked(classes: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Edges of the streams, [len(chosen) + 2, S+1]: a stream lies between two; the last one is everything else."""
    shares = classes[:, list(chosen)].T.astype(float)
    rest = np.clip(1 - shares.sum(axis=0), 0, 1)
    return np.concatenate([np.zeros((1, len(classes))), np.cumsum(np.vstack([shares, rest]), axis=0)])


def _stream(axis: Axes, classes: np.ndarray, chosen: Sequence[int], names: Sequence[str]) -> None:
    steps = np.arange(len(classes))
    edges = stacked(classes, chosen)
    colours = [*STREAMS[: len(chosen)], REST]
    rest = f"{classes.shape[1] - len(chosen)} others" if classes.any() else ""
    texts = [*(names[index].split(",")[0] for index in chosen), rest]
    inner = slice(len(steps) // 25, max(len(steps) - len(steps) // 8, len(steps) // 25 + 1))
    for low, high, colour, text in zip(edges, edges[1:], colours, texts, strict=False):
        axis.fill_between(steps, low, high, color=colour, linewidth=0.4, edgecolor=PAPER)
        thick = (high - low)[inner]
        if thick.max() >= WORTH_NAMING:
            where = inner.start + int(thick.argmax())
            ink = INK if colour in PALE else "#ffffff"
            size = float(np.clip(6 + 14 * thick.max(), 7, 13))
            middle = (low[where] + high[where]) / 2
            axis.text(where, middle, text, fontsize=size, color=ink, ha="left", va="center")
    axis.set_xlim(0, max(1, steps[-1]))
    axis.set_ylim(0, 1)
    axis.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
