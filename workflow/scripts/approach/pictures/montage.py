"""Contact sheets: pictures in rows and columns on a dark ground, with real type."""

from collections.abc import Mapping, Sequence
from math import ceil, log, sqrt

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from approach.lettering import GROUND, INK, QUIET, SMALLEST, WARNING, fit, shorten, width, write
from approach.wording import value_words

SLOT = (34, 34, 37)
MOST_PIXELS = 20_000_000
SMALLEST_TILE = 16
CAPTIONED_TILE = 48
BEST_SHAPE = 1.4
MOST_OF_STAGE = 8  # dropped members that are shown, the nearest
DROPPED = ("seeds", "steps", "losses", "images")  # what is known of dropped members


def setting_sheet(
    trajectories: Sequence[dict],
    shown: Sequence[int],
    target: np.ndarray,
    *,
    title: str,
    subtitle: str = "",
    tile: int = 128,
) -> Image.Image:
    """The contact sheet of a setting: seeds by steps, the target last.

    Args:
        trajectories: {seed, images: one uint8 [H, W, 3] per step shown, losses: one number per step shown, status,
            last_step} each.
        shown: the steps of the pictures.
        target: uint8 [H, W, 3].
        title: in large type.
        subtitle: below it.
        tile: pixels of a picture's side.
    """
    rows = []
    for trajectory in trajectories:
        failed = trajectory["status"] == "failed"
        tiles = [
            {"image": image, "caption": f"{loss:#.3g}" if np.isfinite(loss) else "not finite"}
            for image, loss in zip(trajectory["images"], trajectory["losses"], strict=True)
        ]
        note = f"stopped at {trajectory['last_step']}" if failed else ""
        rows.append({"label": [f"start {trajectory['seed']}", note], "failed": failed, "tiles": tiles})
    heads = [[f"step {step}"] for step in shown]
    return sheet(rows, heads, target, title=title, subtitle=subtitle, tile=tile)


def pool_sheet(dropped: Mapping[str, np.ndarray], target: np.ndarray, *, title: str, tile: int = 128) -> Image.Image:
    """The contact sheet of the seeds' pools: of each seed the members that were dropped, stage by stage.

    Args:
        dropped: seeds, steps, losses [D] and images [D, H, W, 3] uint8, seed by seed, stage by stage, nearest first; as
            many of each seed at each step.
        target: uint8 [H, W, 3].
        title: in large type.
        tile: pixels of a picture's side.
    """
    table = pd.DataFrame({name: dropped[name] for name in ("seeds", "steps", "losses")})
    table = table.groupby(["seeds", "steps"], sort=False).head(MOST_OF_STAGE)
    rows = []
    for seed, members in table.groupby("seeds", sort=False):
        tiles = [
            {"image": dropped["images"][place], "caption": f"{loss:#.3g}" if np.isfinite(loss) else "not finite"}
            for place, loss in members["losses"].items()
        ]
        rows.append({"label": [f"start {seed}"], "tiles": tiles})
    steps = table.loc[table["seeds"] == table["seeds"].iloc[0], "steps"]
    heads = [["" if again else f"step {step}"] for step, again in zip(steps, steps.duplicated(), strict=True)]
    subtitle = "members of each start's pool that were dropped before a step, with their loss there"
    return sheet(rows, heads, target, title=title, subtitle=subtitle, tile=tile)


def below(one: Image.Image, other: Image.Image) -> Image.Image:
    """One sheet above another, on the same ground."""
    whole = Image.new("RGB", (max(one.width, other.width), one.height + other.height), GROUND)
    whole.paste(one, (0, 0))
    whole.paste(other, (0, one.height))
    return whole


def experiment_sheet(
    settings: Sequence[dict],
    seeds: Sequence[int],
    target: np.ndarray,
    *,
    title: str,
    subtitle: str = "",
    tile: int = 128,
) -> Image.Image:
    """The contact sheet of an experiment: settings by seeds, arrivals only, the target last.

    Where there are many more seeds than settings, the seeds go down the sheet and the settings across.

    Args:
        settings: {label: [lines], arrivals: {seed: {image: uint8 [H, W, 3] or None, caption, failed}}} each.
        seeds: in the order of the sheet.
        target: uint8 [H, W, 3].
        title: in large type.
        subtitle: below it.
        tile: pixels of a picture's side.
    """
    missing = {"image": None, "caption": "not made"}
    grid = [[setting["arrivals"].get(seed, missing) for seed in seeds] for setting in settings]
    names, numbers = [setting["label"] for setting in settings], [[f"start {seed}"] for seed in seeds]
    if len(seeds) > 8 and len(seeds) > 2 * len(settings):
        grid, names, numbers = list(zip(*grid, strict=True)), numbers, names
    rows = [{"label": name, "failed": False, "tiles": tiles} for name, tiles in zip(names, grid, strict=True)]
    return sheet(rows, numbers, target, title=title, subtitle=subtitle, tile=tile)


def setting_entries(
    table: pd.DataFrame, settings: Sequence[str], pictures: Mapping[str, np.ndarray], metric: str
) -> list[dict]:
    """What `experiment_sheet` shows of each setting: losses of different kinds cannot be compared, a metric can.

    Args:
        table: the rows of trajectories.csv.
        settings: in the order of the sheet.
        pictures: trajectory ("setting/seed") -> the arrival, uint8 [H, W, 3].
        metric: whose value is written under each arrival.
    """
    entries = []
    for setting in settings:
        arrivals = {
            row["seed"]: {
                "image": pictures[f"{setting}/{row['seed']}"],
                "caption": f"{row[f'final_{metric}']:.3g}",
                "failed": row["status"] == "failed",
            }
            for row in table[table["setting"] == setting].to_dict("records")
        }
        entries.append(
            {"label": [value_words(*part.split("~", 1)) for part in setting.split("+")], "arrivals": arrivals}
        )
    return entries


def sheet(
    rows: Sequence[dict],
    heads: Sequence[list[str]],
    target: np.ndarray,
    *,
    title: str,
    subtitle: str = "",
    tile: int = 128,
) -> Image.Image:
    """Rows of pictures under column heads, each row ending with the target.

    Many rows are broken into blocks side by side; a sheet larger than MOST_PIXELS gets smaller tiles.

    Args:
        rows: {label: [lines], failed, tiles: [{image: uint8 [H, W, 3] or None, caption, failed}]}.
        heads: the lines above each column.
        target: uint8 [H, W, 3].
        title: in large type.
        subtitle: below it.
        tile: pixels of a picture's side.
    """
    layout = _layout(rows, heads, tile)
    while layout["width"] * layout["height"] > MOST_PIXELS and tile > SMALLEST_TILE:
        tile = max(SMALLEST_TILE, min(tile - 1, int(tile * sqrt(MOST_PIXELS / layout["width"] / layout["height"]))))
        layout = _layout(rows, heads, tile)
    image = Image.new("RGB", (layout["width"], layout["height"]), GROUND)
    draw = ImageDraw.Draw(image)
    margin, size = layout["margin"], layout["type"]
    room = layout["width"] - 2 * margin
    write(draw, (margin, margin), shorten(title, layout["title"], room), layout["title"])
    if subtitle:
        below = margin + round(1.45 * layout["title"])
        small = max(size, layout["title"] // 2)
        write(draw, (margin, below), shorten(subtitle, small, room), small, colour=QUIET)
    last = _tile_image(target, tile)
    for block, begin in enumerate(range(0, len(rows), layout["block_rows"])):
        left = margin + block * (layout["block_width"] + margin)
        _heads(draw, left, heads, layout)
        for line, row in enumerate(rows[begin : begin + layout["block_rows"]]):
            _row(image, draw, (left, layout["top"] + line * layout["pitch_y"]), row, last, layout)
    return image


def _layout(rows: Sequence[dict], heads: Sequence[list[str]], tile: int) -> dict:
    """All lengths of a sheet in pixels, for tiles of one size, in as many blocks as give it the best shape."""
    size = max(SMALLEST, min(20, round(tile / 9)))
    captioned = tile >= CAPTIONED_TILE and any(one.get("caption") for row in rows for one in row["tiles"])
    gap = max(2, round(tile / 16))
    labels = round(max(width(line, size) for row in rows for line in row["label"]) + size)
    block_width = labels + len(heads) * (tile + gap) + 2 * gap + tile
    pitch_y = tile + gap + (round(1.5 * size) if captioned else 0)
    margin = max(24, min(64, tile // 2))
    head_lines = max(len(head) for head in heads)
    found = {}
    for blocks in range(1, min(12, len(rows)) + 1):
        block_rows = ceil(len(rows) / blocks)
        blocks_used = ceil(len(rows) / block_rows)
        whole = 2 * margin + blocks_used * block_width + (blocks_used - 1) * margin
        # The larger the sheet, the further off it is looked at.
        title = max(18, 2 * size, whole // 64)
        top = margin + round(1.45 * title + 0.8 * title + 2.4 * size + 1.4 * size * head_lines)
        shape = {
            "block_rows": block_rows,
            "width": whole,
            "height": top + block_rows * pitch_y - gap + margin,
            "title": title,
            "top": top,
        }
        if not found or _unshapely(shape) < _unshapely(found):
            found = shape
    return found | {
        "tile": tile,
        "gap": gap,
        "type": size,
        "labels": labels,
        "block_width": block_width,
        "pitch_x": tile + gap,
        "pitch_y": pitch_y,
        "margin": margin,
        "captioned": captioned,
    }


def _unshapely(layout: dict) -> float:
    return abs(log(layout["width"] / layout["height"] / BEST_SHAPE))


def _heads(draw: ImageDraw.ImageDraw, left: int, heads: Sequence[list[str]], layout: dict) -> None:
    """Column heads, standing on the first row of pictures."""
    size, tile = layout["type"], layout["tile"]
    for column, head in enumerate([*heads, ["target"]]):
        x = left + layout["labels"] + column * layout["pitch_x"] + (2 * layout["gap"] if column == len(heads) else 0)
        for line, text in enumerate(reversed(head)):
            y = layout["top"] - round(0.6 * size) - round(1.4 * size * line)
            write(draw, (x, y), *fit(text, size, tile + layout["gap"] // 2), colour=QUIET, anchor="ls")


def _row(
    image: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], row: dict, last: Image.Image, layout: dict
) -> None:
    """A label, the row's pictures with their captions, and the target."""
    (left, top), size, tile = corner, layout["type"], layout["tile"]
    for line, text in enumerate(row["label"]):
        colour = INK if line == 0 else WARNING if row.get("failed") else QUIET
        write(draw, (left, top + round(1.45 * size * line)), text, size, colour=colour)
    x = left + layout["labels"]
    for one in row["tiles"]:
        if one["image"] is None:
            draw.rectangle((x, top, x + tile - 1, top + tile - 1), fill=SLOT)
        else:
            image.paste(_tile_image(one["image"], tile), (x, top))
        if layout["captioned"]:
            colour = WARNING if one.get("failed") else QUIET
            text = shorten(one.get("caption", ""), size - 1, tile)
            write(draw, (x, top + tile + round(0.3 * size)), text, size - 1, colour=colour)
        x += layout["pitch_x"]
    image.paste(last, (x + 2 * layout["gap"], top))


def _tile_image(picture: np.ndarray, tile: int) -> Image.Image:
    return Image.fromarray(picture).resize((tile, tile), Image.Resampling.LANCZOS)
