"""Plots of losses and metrics: from tables (pandas) to files, drawn by matplotlib without a display."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.style import context

from approach.wording import value_words

PAPER, INK, QUIET, RULE = "#fbfaf7", "#26262a", "#77767a", "#dddbd5"
# Matthew Petroff's ten colours: told apart by everyone, in print too.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
STYLE = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.labelsize": 9,
    "text.color": INK,
    "font.family": "DejaVu Sans",
    "savefig.facecolor": PAPER,
}
FEW_LINES = 6
MOST_FAINT_LINES = 200


def losses_plot(
    losses: pd.DataFrame, path: Path, *, axes: Sequence[str], title: str = "", departures: Sequence[int] = ()
) -> None:
    """All loss curves of an experiment, a panel per loss: their scales have nothing in common.

    Within a panel the further axes give the colour. A group of at most six curves is drawn curve by curve; a larger
    one faintly, under its median and the band that holds the middle 80 %. A curve that failed ends with a cross.

    Args:
        losses: rows of losses.parquet: loss_name, the columns named in `axes`, seed, step, loss.
        path: the picture.
        axes: the columns of what is swept.
        title: in large type.
        departures: the steps at which the trajectories set out for another destination.
    """
    further = [key for key in axes if key != "loss_name"]
    panels = list(losses.groupby("loss_name", sort=False))
    columns = 1 if len(panels) == 1 else 2 if len(panels) in (2, 4) else 3
    rows = ceil(len(panels) / columns)
    with context(STYLE):
        figure = _figure(6.6 if columns == 1 else 5.0 * columns, 3.6 * rows, title)
        for place, (name, part) in enumerate(panels, start=1):
            axis = figure.add_subplot(rows, columns, place)
            axis.set_title(value_words("loss", name))
            mark_departures(axis, departures)
            _curves(axis, part, further)
            axis.set_xlabel("step" if place > len(panels) - columns else "")
            axis.set_ylabel("loss" if place % columns == 1 % columns else "")
        save(figure, path)


def metrics_plot(trajectories: pd.DataFrame, path: Path, *, axes: Sequence[str], title: str = "") -> None:
    """How near each setting comes: a field per metric, losses down and rates across (further axes down as well).

    A cell gives the median over seeds and the middle 80 %; the nearest setting is framed; failed inversions are
    counted, not measured.

    Args:
        trajectories: a row per trajectory: the columns in `axes`, status and a final_<metric> each.
        path: the picture.
        axes: the columns of what is swept.
        title: in large type.
    """
    metrics = [name for name in trajectories if name.startswith("final_") and name != "final_loss"]
    across = "lr" if "lr" in axes else axes[-1]
    down = [key for key in axes if key != across]
    values = sorted(trajectories[across].unique())
    names = [name for name, _ in trajectories.groupby(down, sort=False)] if down else [()]
    with context({**STYLE, "axes.grid": False}):
        width = 1.9 + max(2.4, 1.15 * len(values))
        figure = _figure(width * len(metrics), 1.5 + 0.62 * len(names), title)
        for place, metric in enumerate(metrics, start=1):
            axis = figure.add_subplot(1, len(metrics), place)
            cells = [[_cell(trajectories, metric, down, name, across, value) for value in values] for name in names]
            _field(axis, cells)
            axis.set_title(metric.removeprefix("final_"))
            axis.set_xticks(range(len(values)), [f"{value}" for value in values])
            axis.set_yticks(range(len(names)), [_words(down, name) for name in names] if place == 1 else [])
            axis.set_xlabel(across)
        note = "Median arrival over seeds, below it the middle 80 %. Nearer is darker; the frame marks the nearest."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=7.5, color=QUIET)
        save(figure, path)


def mark_departures(axis: Axes, departures: Sequence[int], colour: str = QUIET) -> None:
    """A line at each step at which another destination was set out for, with its number at the foot."""
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
    place = axis.get_xaxis_transform()
    for number, step in enumerate(departures, start=2):
        axis.axvline(step, color=colour, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.text(step, 0.04, f" to {number}", transform=place, fontsize=7, color=colour, va="bottom", bbox=behind)


def _curves(axis: Axes, part: pd.DataFrame, further: Sequence[str]) -> None:
    """One panel: the curves of one loss, grouped by the further axes."""
    groups = [(_words(further, key), group) for key, group in part.groupby(list(further), sort=True)] if further else []
    groups = groups or [("", part)]
    finite = part["loss"][np.isfinite(part["loss"])]
    if len(finite) and finite.min() > 0:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if finite.max() < 100 * finite.min() else (1,)))
        axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(ticker.NullFormatter())
    labels = []
    for number, (name, group) in enumerate(groups):
        table = group.pivot_table(index="step", columns="seed", values="loss", dropna=False, sort=True)
        table = table.where(np.isfinite(table))
        colour = COLOURS[number % len(COLOURS)]
        alone = len(groups) == 1 and table.shape[1] <= FEW_LINES
        if table.shape[1] <= FEW_LINES:
            for place, seed in enumerate(table.columns):
                line = COLOURS[place] if alone else colour
                axis.plot(table.index, table[seed], color=line, linewidth=1.4, alpha=1 if alone else 0.8)
                if alone:
                    note = "" if np.isfinite(table[seed].iloc[-1]) else " (failed)"
                    labels.append((_end(table[seed]), f"start {seed}{note}", line))
        else:
            faint = table.iloc[:, :MOST_FAINT_LINES]
            axis.plot(faint.index, faint, color=colour, linewidth=0.5, alpha=max(0.06, min(0.3, 8 / table.shape[1])))
            low, middle, high = (table.quantile(share, axis=1) for share in (0.1, 0.5, 0.9))
            axis.fill_between(table.index, low, high, color=colour, alpha=0.22, linewidth=0)
            axis.plot(table.index, middle, color=colour, linewidth=1.8)
        if not alone:
            label = name if len(groups) > 1 else f"median of {table.shape[1]}"
            labels.append((_end(table.median(axis=1)), label, colour))
        for place in np.flatnonzero(table.iloc[-1].isna()):
            curve, mark = table.iloc[:, place].dropna(), COLOURS[place] if alone else colour
            if len(curve):
                axis.plot(curve.index[-1], curve.iloc[-1], "x", color=mark, markersize=6, markeredgewidth=1.6)
    axis.margins(x=0, y=0.06)
    _label_ends(axis, labels)


def _label_ends(axis: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Names at the right ends of curves, pushed apart where they would overlap."""
    axis.autoscale_view()
    to_axes = axis.transData + axis.transAxes.inverted()
    last = axis.get_xlim()[1]
    placed = sorted((to_axes.transform((last, end))[1], text, colour) for end, text, colour in labels if end == end)
    apart = 0.065
    heights = np.array([height for height, _, _ in placed])
    for _ in range(200):
        close = np.diff(heights) < apart
        if not close.any():
            break
        push = np.where(close, (apart - np.diff(heights)) / 2 + 1e-4, 0)
        heights[:-1] -= push
        heights[1:] += push
    for height, (_, text, colour) in zip(heights, placed, strict=True):
        axis.text(1.015, height, text, color=_darker(colour), transform=axis.transAxes, va="center", fontsize=8)


def _cell(
    trajectories: pd.DataFrame, metric: str, down: Sequence[str], name: tuple, across: str, value: object
) -> dict:
    """Median, spread and number of failed inversions of one setting."""
    part = trajectories[trajectories[across] == value]
    for key, wanted in zip(down, name, strict=True):
        part = part[part[key] == wanted]
    arrived = part.loc[part["status"] != "failed", metric].dropna()
    low, middle, high = arrived.quantile([0.1, 0.5, 0.9]) if len(arrived) else (np.nan,) * 3
    return {"low": low, "middle": middle, "high": high, "failed": int((part["status"] == "failed").sum())}


def _field(axis: Axes, cells: list[list[dict]]) -> None:
    """Coloured cells with their numbers."""
    middles = np.array([[cell["middle"] for cell in row] for row in cells], float)
    known = middles[np.isfinite(middles)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    shades = np.clip((middles - low) / (high - low if high > low else 1), 0, 1)
    colours = colormaps["YlGnBu_r"](0.12 + 0.78 * np.nan_to_num(shades))
    colours[~np.isfinite(middles)] = to_rgba(RULE)
    axis.imshow(colours, aspect="auto")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    for (row, column), middle in np.ndenumerate(middles):
        cell = cells[row][column]
        ink = "#ffffff" if np.isfinite(middle) and colours[row, column, :3] @ (0.3, 0.59, 0.11) < 0.55 else INK
        text = f"{middle:.3g}" if np.isfinite(middle) else "-"
        small = f"{cell['low']:.3g} to {cell['high']:.3g}" if np.isfinite(middle) else ""
        small += f"{', ' if small else ''}{cell['failed']} failed" if cell["failed"] else ""
        axis.text(column, row - 0.10, text, ha="center", va="center", color=ink, fontsize=10)
        axis.text(column, row + 0.24, small, ha="center", va="center", color=ink, fontsize=6.5)
    if known.size:
        row, column = np.unravel_index(np.nanargmin(middles), middles.shape)
        axis.add_patch(Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=INK, linewidth=1.4))


def _words(keys: Sequence[str], values: tuple) -> str:
    """Axes and their values, as a label."""
    return ", ".join(value_words(key, value) for key, value in zip(keys, values, strict=True))


def _end(curve: pd.Series) -> float:
    known = curve.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")


def _darker(colour: str) -> tuple[float, ...]:
    return tuple(0.72 * part for part in to_rgb(colour))


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height + (0.5 if title else 0)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.22, h_pad=0.2, wspace=0.02, hspace=0.06)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    return figure


def save(figure: Figure, path: Path, dpi: int = 160) -> None:
    """Write a figure; the same figure gives the same bytes. Level 3 packs in half the time of 6, a seventh larger."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
