"""The panorama: a surveyed plane (survey.py) drawn as a relief with contour lines, trajectories and profiles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import ticker
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LightSource, LinearSegmentedColormap, PowerNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.style import context
from PIL import Image
from scipy.interpolate import RectBivariateSpline

from approach.pictures.plots import INK, QUIET, RULE, STYLE, save
from approach.pictures.readings import PAIRS, fog_distance, ridge

# From the valleys up. Both keep the order of lightness, so that they are read alike in print and by every eye.
PALETTES = {
    "fog": ("#16242d", "#2c4654", "#557385", "#8fa6ae", "#c3ccc9", "#e3dccd", "#f4ecdc"),
    "dusk": ("#1b1a34", "#3b2f58", "#6b4372", "#a35b79", "#d18376", "#edb98c", "#fbe9cc"),
}
CHANNELS = ("#e8b04a", "#f0705a", "#7ad3da")
CHANNELS_ON_PAPER = ("#a8741a", "#b8433a", "#1f7f8c")
GAMMA = 0.6  # of the colours: what matters lies in the valleys
FOG = to_rgb("#f4f1ea")
FOG_MOST = 0.8
NIGHT = "#0d1419"
DPI = 300  # 40 cm wide in print
FINE = 15  # points of the drawn surface for one of the survey's


def panorama(
    found: Mapping[str, np.ndarray],
    path: Path,
    *,
    labels: Sequence[str],
    loss: str,
    title: str,
    colours: str,
    mixed: bool = False,
) -> None:
    """Draw the whole panorama: the map to scale, the profiles between arrivals, and what the plane cannot show.

    Args:
        found: as `survey.survey` returns it.
        path: the picture.
        labels: what the three channels are called.
        loss: the name of the loss that was surveyed.
        title: in large type.
        colours: a palette, one of PALETTES.
        mixed: whether the three inversions minimised other losses than the one that was surveyed.
    """
    width = 16.0
    x, y = found["x"], found["y"]
    map_width = 11.0
    map_height = map_width * (y[-1] - y[0]) / (x[-1] - x[0])
    height = map_height + 2.75
    with context(STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        left, bottom = 0.85, 1.45

        def place(x_inches: float, y_inches: float, wide: float, high: float) -> Axes:
            return figure.add_axes((x_inches / width, y_inches / height, wide / width, high / height))

        axis = place(left, bottom, map_width, map_height)
        image = draw_map(axis, found, colours)
        draw_trajectories(axis, found)
        axis.set_xlabel("distance in the conditioning, along the longest side between two arrivals")
        axis.set_ylabel("and at right angles to it, to the same scale")
        axis.tick_params(colors=QUIET, length=3)
        bar = figure.colorbar(image, cax=place(left + map_width + 0.14, bottom, 0.13, map_height))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=8, colors=QUIET)
        bar.set_ticks(_heights(bar.vmin, bar.vmax))
        bar.ax.set_title("loss", fontsize=8, color=QUIET, loc="left", pad=6)
        gap = 0.62
        each = (map_height - 2 * gap) / 3
        profile_left = left + map_width + 1.15
        for number in range(3):
            box = place(profile_left, bottom + (2 - number) * (each + gap), width - profile_left - 0.35, each)
            _profile(box, found, number)
        figure.text(left / width, 1 - 0.62 / height, title, fontsize=19, color=INK, va="baseline")
        names = "      ".join(
            f"{number}  {label}, which starts {found[f'trajectory_{number}'][0, 2]:.1f} off the plane"
            for number, label in enumerate(labels, start=1)
        )
        figure.text(left / width, 1 - 0.95 / height, names, fontsize=10.5, color=QUIET, va="baseline")
        figure.text(
            left / width,
            0.80 / height,
            _caption(found, loss, mixed),
            fontsize=8,
            color=QUIET,
            va="top",
            linespacing=1.5,
        )
        save(figure, path, DPI)


def _heights(low: float, high: float) -> np.ndarray:
    """Round numbers that are named beside the colours; one beyond them would be named at their end."""
    numbers = ticker.MaxNLocator(9).tick_values(low, high)
    return numbers[(numbers >= low) & (numbers <= high)]


def bare_map(found: Mapping[str, np.ndarray], path: Path, *, colours: str, pixels: int = 1440) -> None:
    """The relief with its contour lines alone, `pixels` wide, edge to edge: the page draws the trajectories itself."""
    x, y = found["x"], found["y"]
    with context(STYLE):
        figure = Figure(figsize=(pixels / 200, pixels / 200 * (y[-1] - y[0]) / (x[-1] - x[0])))
        FigureCanvasAgg(figure)
        axis = figure.add_axes((0, 0, 1, 1))
        draw_map(axis, found, colours)
        axis.set_axis_off()
        save(figure, path, 200)


def draw_map(axis: Axes, found: Mapping[str, np.ndarray], colours: str):
    """The relief: colour for height, light from the north-west for slope, contour lines for numbers."""
    x, y, surface = found["x"], found["y"], found["surface"]
    fine_x, fine_y = (np.linspace(side[0], side[-1], FINE * (len(side) - 1) + 1) for side in (x, y))
    height = RectBivariateSpline(y, x, surface, kx=3, ky=3)(fine_y, fine_x)
    low, high = float(surface.min()), float(np.quantile(surface, 0.985))
    high = high if high > low else low + 1.0
    palette = LinearSegmentedColormap.from_list(colours, PALETTES[colours])
    scale = PowerNorm(GAMMA, low, high, clip=True)
    shares = np.asarray(scale(height))
    # The slopes go on where the colours have reached their end.
    relief = (np.maximum(height - low, 0) / (high - low)) ** GAMMA * 0.22 * (x[-1] - x[0])
    light = LightSource(azdeg=315, altdeg=42)
    shade = light.hillshade(relief[::-1], dx=fine_x[1] - fine_x[0], dy=fine_y[1] - fine_y[0], vert_exag=1.0)[::-1]
    flat = np.sin(np.deg2rad(42))
    picture = palette(shares)[..., :3] * np.clip(1 + 0.55 * (shade - flat), 0.35, 1.15)[..., None]
    extent = (x[0], x[-1], y[0], y[-1])
    axis.add_artist(Filling(picture, Image.Resampling.BILINEAR, zorder=0))
    spacing = np.diff(ticker.MaxNLocator(30).tick_values(low, high)[:2])[0]
    # Every fifth line is strong and named, and those are round numbers.
    first, last = np.ceil(low / spacing), min(np.floor(height.max() / spacing), np.ceil(low / spacing) + 120)
    numbers = np.arange(first, last + 1)
    levels = numbers * spacing
    if len(levels):
        lines = axis.contour(
            fine_x,
            fine_y,
            height,
            levels=levels,
            colors=NIGHT,
            linewidths=np.where(numbers % 5 == 0, 0.9, 0.35),
            alpha=0.5,
            zorder=1,
        )
        axis.clabel(lines, levels[numbers % 5 == 0], fontsize=6.5, inline_spacing=4, fmt="%.4g", colors=NIGHT)
    axis.set_aspect("equal")
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim(y[0], y[-1])
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return axis.imshow(surface, cmap=palette, norm=scale, extent=extent, visible=False)


def draw_trajectories(axis: Axes, found: Mapping[str, np.ndarray]) -> None:
    """Each trajectory as a line that is crisp on the plane and dissolves with its distance from it, into fog."""
    gone = fog_distance(found["arrivals"])
    seen = [found[f"trajectory_{number}"] for number in (1, 2, 3)]
    _fog(axis, seen, gone)
    _passes(axis, found)
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    for number, (trajectory, colour) in enumerate(zip(seen, CHANNELS, strict=True), start=1):
        points = trajectory[:, :2]
        clear = np.exp(-2 * ((trajectory[1:, 2] + trajectory[:-1, 2]) / 2 / gone) ** 2)
        segments = np.stack([points[:-1], points[1:]], axis=1)
        for shade, strength, wide in ((NIGHT, clear, 4.4), (colour, np.minimum(1, 1.6 * clear), 2.4)):
            shades = np.column_stack([np.tile(to_rgb(shade), (len(clear), 1)), strength])
            axis.add_collection(LineCollection(segments, colors=shades, linewidths=wide, zorder=4))
        # In the fog only a pencil line is left.
        axis.plot(*points.T, color=NIGHT, linewidth=0.7, alpha=0.45, linestyle=(0, (1, 2.5)), zorder=3)
        x, y = points[-1]
        axis.plot(x, y, "o", color=colour, markersize=13, markeredgecolor=NIGHT, markeredgewidth=1.1, zorder=6)
        axis.text(x, y, str(number), ha="center", va="center_baseline", fontsize=9, color=NIGHT, zorder=7)
        x, y = points[0]
        if left < x < right and low < y < high:
            axis.plot(
                x, y, "o", markersize=5, markerfacecolor=FOG, markeredgecolor=NIGHT, markeredgewidth=0.8, zorder=5
            )


def _passes(axis: Axes, found: Mapping[str, np.ndarray]) -> None:
    """The bands between arrivals, as they are seen from the plane, each with a cross where it is highest."""
    for band, top in zip(found.get("pass_bands", ()), found.get("pass_tops", ()), strict=True):
        for colour, wide in ((NIGHT, 3.6), (FOG, 1.8)):
            axis.plot(*band[:, :2].T, color=colour, linewidth=wide, linestyle=(0, (3, 1.2)), zorder=4.5)
        axis.plot(*top[:2], "X", color=FOG, markersize=10, markeredgecolor=NIGHT, markeredgewidth=1.0, zorder=6)


def _fog(axis: Axes, seen: Sequence[np.ndarray], gone: float) -> None:
    """Fog over the trajectories ([S+1, 3] each), the wider and denser the further they are from the plane."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    x, y = np.linspace(left, right, 240), np.linspace(low, high, 160)
    thick = np.zeros((len(y), len(x)))
    for trajectory in seen:
        for at_x, at_y, away in trajectory[:: max(1, len(trajectory) // 150)]:
            far = away / gone
            reach = gone * (0.06 + 0.2 * min(far, 1.5))
            near_x, near_y = (np.exp(-(((side - at) / reach) ** 2) / 2) for side, at in ((x, at_x), (y, at_y)))
            thick = np.maximum(thick, FOG_MOST * (1 - np.exp(-2 * far**2)) * np.outer(near_y, near_x))
    picture = np.dstack([*(np.full_like(thick, part) for part in FOG), thick])
    axis.add_artist(Filling(picture, Image.Resampling.BICUBIC, zorder=2))


class Filling(Artist):
    """A picture (colours [H, W, 3 or 4] in 0..1, its first row at the bottom) that fills its axes.

    Pillow enlarges it, in a tenth of the time that imshow takes for the millions of pixels of a print.
    """

    def __init__(self, picture: np.ndarray, resample: Image.Resampling, zorder: float):
        super().__init__()
        self.picture = Image.fromarray(np.round(np.clip(picture[::-1], 0, 1) * 255).astype(np.uint8))
        self.resample = resample
        self.set_zorder(zorder)

    def draw(self, renderer: RendererBase) -> None:
        """Draw it on whole pixels; in a PDF, which counts in points, pictures have more of them."""
        finer = renderer.get_image_magnification()
        left, bottom, right, top = np.round(self.axes.bbox.extents * finer).astype(int)
        enlarged = self.picture.resize((right - left, top - bottom), self.resample).convert("RGBA")
        renderer.draw_image(renderer.new_gc(), left / finer, bottom / finer, np.asarray(enlarged)[::-1])


def _profile(axis: Axes, found: Mapping[str, np.ndarray], number: int) -> None:
    """The loss along the straight line between two arrivals."""
    a, b = PAIRS[number]
    along, profile = found["profile_x"][number], found["profiles"][number]
    whole = found["profiles"]
    bottom = whole.min() - 0.12 * np.ptp(whole) - 1e-9
    axis.fill_between(along, bottom, profile, color="#8fa6ae", alpha=0.28, linewidth=0)
    axis.plot(along, profile, color=INK, linewidth=1.5)
    if "pass_profiles" in found:
        # A band is longer than the straight line; it is drawn over the same width.
        axis.plot(
            np.linspace(0, along[-1], found["pass_profiles"].shape[1]),
            found["pass_profiles"][number],
            color=INK,
            linewidth=1.0,
            linestyle=(0, (3, 1.2)),
        )
    for place, channel in ((0, a), (-1, b)):
        axis.plot(along[place], profile[place], "o", color=CHANNELS_ON_PAPER[channel - 1], markersize=7, clip_on=False)
    axis.set_ylim(bottom, whole.max() + 0.18 * np.ptp(whole) + 1e-9)
    axis.set_xlim(along[0], max(along[-1], 1e-9))
    axis.margins(x=0)
    above = ridge(profile)
    share = above / max(profile[0], profile[-1], 1e-12)
    said = f"a ridge {above:.3g} high ({share:.0%})" if share >= 0.005 else "no ridge"
    if "pass_profiles" in found:
        said = f"ridge {above:.3g}, pass {ridge(found['pass_profiles'][number]):.3g}"
    axis.set_title(f"{a} to {b}:  {said}", fontsize=9.5, color=INK, loc="left")
    axis.yaxis.set_major_locator(ticker.MaxNLocator(4))
    axis.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axis.tick_params(length=0)
    axis.spines["left"].set_visible(False)
    axis.spines["bottom"].set_color(RULE)
    if number == 2:
        axis.set_xlabel("distance along the straight line", fontsize=8)


def _caption(found: Mapping[str, np.ndarray], loss: str, mixed: bool) -> str:
    height, width = found["surface"].shape
    passes = " Dashed: the passes, relaxed bands between arrivals, and where each is highest (cross)."
    what = f"{loss}, one metric for all three, which minimised different losses," if mixed else f"the {loss} loss"
    return "\n".join(
        (
            f"Height is {what} at {width} x {height} points of the plane that the arrivals define in the "
            "generator's 256-dimensional conditioning",
            "(z and the embedded class vector); both axes are to scale. Trajectories are seen at right angles to the "
            "plane; with their distance from it",
            f"they dissolve into fog (all but gone at {fog_distance(found['arrivals']):.3g}), and a dotted line is "
            "left. What the plane cannot show: the other 254 dimensions.",
            "A trajectory need not cross these ridges, it may pass them at a distance; and most points of the plane "
            f"are conditionings that no latent gives.{passes if 'pass_profiles' in found else ''}",
        )
    )
