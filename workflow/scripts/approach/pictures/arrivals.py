"""Arrivals: where the trajectories ended, by closeness and by strangeness, as a table and as a gallery."""

import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from approach.lettering import GROUND, INK, QUIET, WARNING, fit, shorten, write
from approach.wording import command_lines, setting_words

COLUMNS = 6
MOST = 18  # pictures in each half of the gallery
CAPTION_LINES = 4
WITH_VALUE = {"--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile"}  # of Snakemake's options


def closeness_metric(trajectories: pd.DataFrame) -> str:
    """The metric that closeness is taken by: lpips where it was taken, then l2, then the first there is."""
    taken = [name.removeprefix("final_") for name in trajectories if name.startswith("final_")]
    taken = [name for name in taken if name not in ("loss", "class")]
    return next((name for name in ("lpips", "l2") if name in taken), taken[0])


def arrivals_table(trajectories: pd.DataFrame) -> pd.DataFrame:
    """All arrivals, the closest first; failed inversions last.

    Args:
        trajectories: as trajectories.csv.

    Returns:
        The table with `by_closeness` and `by_strangeness` (places from 1; empty where the inversion failed) and
        `trajectory`, the name by which a film of chosen trajectories (`vary: trajectory`) calls it.
    """
    by = f"final_{closeness_metric(trajectories)}"
    table = trajectories.copy()
    alive = table["status"] != "failed"
    table.insert(0, "by_closeness", table[by].where(alive).rank(method="first").astype("Int64"))
    strange = table["strangeness"].where(alive).rank(method="first", ascending=False)
    table.insert(1, "by_strangeness", strange.astype("Int64"))
    table.insert(2, "trajectory", table["setting"] + "/" + table["seed"].astype(str))
    return table.drop(columns="trajectories", errors="ignore").sort_values("by_closeness", ignore_index=True)


def film_line(trajectories: Sequence[str], name: str = "mine") -> str:
    """The line under `films:` that makes a film of three trajectories ("setting/seed")."""
    quoted = ", ".join(f'"{trajectory}"' for trajectory in trajectories)
    return f"{name}: {{vary: trajectory, of: [{quoted}]}}"


def film_command(command: str, experiment: str, trajectories: Sequence[str], film: str = "mine") -> str:
    """The command that makes a film of three trajectories of an experiment, and nothing else: for pasting into a shell.

    The film travels as one more override in `hydra=...`; Hydra wants quotes around a trajectory's name. What is asked
    for goes first, since after --config it would be taken for a key.

    Args:
        command: the command that made the experiment, as experiment.yaml tells it.
        experiment: its name.
        trajectories: "setting/seed" each.
        film: its name under films:.
    """
    quoted = ", ".join(f'"{trajectory}"' for trajectory in trajectories)
    override = f"films.{film}={{vary: trajectory, of: [{quoted}]}}"
    program, *words = _without_targets(shlex.split(command))
    given = [place for place, word in enumerate(words) if word.startswith("hydra=")]
    flags = [place for place, word in enumerate(words) if word in ("--config", "-C")]
    if given:
        words[given[-1]] += f" {override}"
    elif flags:
        words.insert(flags[-1] + 1, f"hydra={override}")
    else:
        words += ["--config", f"hydra={override}"]
    return command_lines([program, f"results/{experiment}/films/{film}/triptych.mp4", *words])


def _without_targets(words: list[str]) -> list[str]:
    """A command without the files and rules that it asked for: Snakemake takes targets in one place only."""
    if _plain(words[1:]):
        return words
    from snakemake.cli import parse_args  # noqa: PLC0415 - takes a second

    try:
        targets = parse_args(words[1:])[1].targets
    except (Exception, SystemExit):  # a profile that is not here, an option of another version
        return words
    return [word for word in words if word not in targets]


def _plain(words: Sequence[str]) -> bool:
    """Whether all words of a command are known to be no targets: so Snakemake's parser need not be asked."""
    left = iter(words)
    for word in left:
        if word in ("--config", "-C"):
            return all("=" in pair for pair in left)
        if word not in WITH_VALUE or next(left, None) is None:
            return False
    return True


def arrivals_sheet(
    table: pd.DataFrame, pictures: dict[str, np.ndarray], target: np.ndarray, *, title: str, tile: int = 192
) -> Image.Image:
    """The gallery: the closest arrivals above, the strangest below, each with its seed, setting and metrics.

    Args:
        table: as `arrivals_table` returns it.
        pictures: trajectory ("setting/seed") -> uint8 [H, W, 3].
        target: uint8 [H, W, 3].
        title: in large type.
        tile: pixels of a picture's side.
    """
    by = closeness_metric(table)
    halves = [
        (f"closest to the target, by {by}", "by_closeness"),
        ("strangest: unlike the other arrivals, and unlike one another", "by_strangeness"),
    ]
    margin, gap, size = 56, 20, 15
    pitch = tile + gap
    across = min(COLUMNS, max(3, len(table)))
    rows = -(-min(MOST, len(table)) // across)
    pitch_y = tile + round((CAPTION_LINES + 0.9) * 1.4 * size) + gap // 2
    half_height = round(6.6 * size) + rows * pitch_y
    width = 2 * margin + across * pitch - gap + pitch + gap
    image = Image.new("RGB", (width, 2 * margin + 40 + 2 * half_height), GROUND)
    draw = ImageDraw.Draw(image)
    write(draw, (margin, margin), shorten(title, 30, width - 2 * margin), 30)
    aim = Image.fromarray(target).resize((tile, tile), Image.Resampling.LANCZOS)
    for half, (head, order) in enumerate(halves):
        top = margin + 62 + half * half_height
        write(draw, (margin, top), head, 18)
        chosen = table.sort_values(order).head(MOST)
        alive = chosen[chosen["status"] != "failed"]
        if len(alive) >= 3:
            line = film_line(alive["trajectory"].head(3), "closest" if half == 0 else "strangest")
            write(draw, (margin, top + 28), *fit(f"films:  {line}", 13, width - 2 * margin), colour=QUIET)
        top += 62
        for place, row in enumerate(chosen.to_dict("records")):
            x, y = margin + place % across * pitch, top + place // across * pitch_y
            small = Image.fromarray(pictures[row["trajectory"]]).resize((tile, tile), Image.Resampling.LANCZOS)
            image.paste(small, (x, y))
            for number, text in enumerate(caption(row)):
                colour = WARNING if row["status"] == "failed" and number == 0 else INK if number == 0 else QUIET
                where = (x, y + tile + round((0.5 + 1.4 * number) * size))
                write(draw, where, *fit(text, size - 2 * (number > 0), tile), colour=colour)
        x = width - margin - tile
        image.paste(aim, (x, top))
        write(draw, (x, top + tile + round(0.5 * size)), "target", size, colour=INK)
    return image


def caption(row: dict) -> list[str]:
    """What is said about an arrival: its seed, its setting, how near and how strange it is, the other metrics."""
    metrics = {
        name.removeprefix("final_"): f"{name.removeprefix('final_')} {value:.3g}"
        for name, value in row.items()
        if name.startswith("final_") and name != "final_loss" and value == value
    }
    by = next((name for name in ("lpips", "l2") if name in metrics), None)
    places = [metrics.pop(by)] if by else []
    places += [f"strangeness {row['strangeness']:.3g}"] if row["strangeness"] == row["strangeness"] else []
    failed = f", stopped at step {row['last_step']}" if row["status"] == "failed" else ""
    return [
        f"start {row['seed']}{failed}",
        setting_words(row["setting"]),
        " · ".join(places),
        " · ".join(metrics.values()),
    ]
