"""What a run will cost, said before the first job, and what there is to see, said after the last. No torch."""

import csv
import math
import shlex
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np

from approach.biggan.config import read_config
from approach.job import duration
from approach.planning.downloads import uses_lpips
from approach.planning.plan import Plan, Setting
from approach.sources import is_url
from approach.stages import units_of

DOWNLOAD_MB = {"biggan-deep-128": 211, "biggan-deep-256": 234, "biggan-deep-512": 235}
# From bench/inversion.py's float32 rows, see docs/performance.md.
PASSES = 2  # a backward pass to the latents alone costs about a forward one
LPIPS_SHARE = 1.3  # time of an inversion with LPIPS, over one without
EFFICIENCY = 0.5  # of a matrix product's speed that convolutions reach
OVERHEAD = 0.015  # seconds of a seed's step, whatever the generator
LOOKS = 5  # times that the machine's speed is measured
UNSURE = 1.5  # a guess from one machine's figures may be too short by this factor on another

Range = tuple[float, float]


def gigaflops(architecture: dict) -> float:
    """Count the work of a generator.

    Args:
        architecture: the published configuration.

    Returns:
        Multiplications and additions of one image's forward pass, in 10^9.
    """
    width, side, total = architecture["channel_width"], 4, 0.0
    for up, wide_in, wide_out in architecture["layers"]:
        inside, outside = wide_in * width, wide_out * width
        middle, grown = inside // 4, side * (2 if up else 1)
        total += side**2 * inside * middle + grown**2 * (18 * middle**2 + middle * outside)
        side = grown
    return 2 * (total + side**2 * width * 27) / 1e9


def machine_gigaflops() -> list[float]:
    """Measure what this machine's CPU does in a float32 matrix product, several times: other work disturbs.

    Returns:
        10^9 multiplications and additions a second, one figure a look.
    """
    matrix = np.ones((1024, 1024), dtype=np.float32)
    looks = []
    matrix @ matrix  # the first product also starts the threads
    for _ in range(LOOKS):
        began = time.perf_counter()
        matrix @ matrix
        looks.append(2 * 1024**3 / (time.perf_counter() - began) / 1e9)
    return looks


def benchmark_seconds(file: Path) -> float | None:
    """Read how long a job took.

    Args:
        file: a benchmark that Snakemake wrote; a run that was killed may have left it empty or cut short.

    Returns:
        Seconds, or None where the file does not say.
    """
    try:
        with file.open(encoding="utf-8", newline="") as table:
            seconds = float(next(csv.DictReader(table, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, TypeError, ValueError, csv.Error):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def seconds_per_step(plan: Plan) -> tuple[Range, str]:
    """Estimate the time of one step of one seed.

    Returns:
        Seconds, from and to, and what they are taken from: this experiment's past inversions, or a guess.
    """
    measured = []
    for setting in plan.settings.values():
        for batch, seeds in setting.batches.items():
            seconds = benchmark_seconds(Path("benchmarks") / plan.name / setting.id / "invert" / f"{batch}.tsv")
            if seconds is not None:
                measured.append(seconds / setting_units(setting) / max(1, len(seeds)))
    if measured:
        return (float(np.quantile(measured, 0.25)), float(np.quantile(measured, 0.75))), "as its past inversions took"
    architecture = asdict(read_config(plan.base["generator"]["config"]))
    return guessed_seconds(architecture, uses_lpips(plan.base)), "a guess from this machine's CPU"


def guessed_seconds(architecture: dict, lpips: bool) -> Range:
    """Guess the time of one step of one seed in float32 on this machine's CPU.

    Returns:
        Seconds: at the fastest speed that was measured, and at the slowest with what the guess leaves out.
    """
    work = gigaflops(architecture) * PASSES * (LPIPS_SHARE if lpips else 1)
    speeds = machine_gigaflops()
    return (
        work / (max(speeds) * EFFICIENCY) + OVERHEAD,
        UNSURE * (work / (min(speeds) * EFFICIENCY) + OVERHEAD),
    )


def duration_range(seconds: Range) -> str:
    """Seconds from and to, in words: "40 to 90 min", "50 s to 3 min", or "40 min" where both read the same."""
    low, high = (duration(value) for value in seconds)
    if low == high:
        return low
    (number, unit), (_, other) = low.split(" ", 1), high.split(" ", 1)
    return f"{number if unit == other else low} to {high}"


def setting_units(setting: Setting) -> float:
    """Images forward and backward that a seed of a setting takes."""
    return units_of(setting.config["search"], setting.config["steps"])


def counted_units(plan: Plan, files: Collection[str]) -> float:
    """Images forward and backward that some of a plan's batch files take."""
    return sum(
        len(seeds) * setting_units(setting)
        for setting in plan.settings.values()
        for file, seeds in zip(plan.batch_files(setting.id), setting.batches.values(), strict=True)
        if file in files
    )


def counted_seeds(plan: Plan, files: Collection[str]) -> int:
    """Count the wanted trajectories in some of a plan's batch files."""
    return sum(
        len(seeds)
        for setting in plan.settings.values()
        for file, seeds in zip(plan.batch_files(setting.id), setting.batches.values(), strict=True)
        if file in files
    )


def summary_lines(plan: Plan, to_make: Collection[str]) -> list[str]:
    """Say what is about to happen: trajectories, time, disk; films that cannot be; settings left on disk.

    Args:
        plan: the run's.
        to_make: the batch files that Snakemake is going to make.
    """
    settings, seeds, steps = len(plan.settings), len(plan.seeds), plan.base["steps"]
    architecture = asdict(read_config(plan.base["generator"]["config"]))
    missing = counted_seeds(plan, to_make)
    again = counted_seeds(plan, [file for file in to_make if Path(file).is_file()])
    bytes_each = 4 * (steps + 1) * (architecture["z_dim"] + architecture["num_classes"])
    videos = [plan.video(film) for film in plan.films]
    frames = sum(3 * video["seconds"] * video["fps"] for video in videos)
    disk = settings * seeds * bytes_each + frames * architecture["output_dim"] ** 2 * 3
    lines = [
        f"{plan.name}: {counted(settings, 'setting')} x {counted(seeds, 'seed')} = "
        f"{counted(settings * seeds, 'trajectory', 'trajectories')} of {counted(steps, 'step')}, "
        f"{missing} of them to invert; {counted(len(plan.films), 'film')}"
    ]
    if missing:
        (low, high), source = seconds_per_step(plan)
        units = counted_units(plan, to_make)
        time_text = duration_range((units * low, units * high))
        lines.append(f"inversions: about {time_text} ({source}); {disk / 1e6:.0f} MB on disk")
    if again:
        lines.append(
            f"{again} of them are finished and are inverted again, since their code, packages or files are others now"
        )
    for file in plan.downloads:
        if not (Path("resources/downloads") / file).exists():
            lines.append(f"to download: {file}")
    left = left_over(plan)
    if left:
        lines.append(f"not part of this run, left on disk: {', '.join(left[:5])}{', ...' if len(left) > 5 else ''}")
    return [*lines, *plan.notes]


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun: "1 film", "2 films"."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def left_over(plan: Plan) -> list[str]:
    """Name the settings under results/ that are no longer in the sweep."""
    folder = Path("results") / plan.name
    found = sorted(path.name for path in folder.glob("loss~*") if path.is_dir()) if folder.is_dir() else []
    return [name for name in found if name not in plan.settings]


def closing_lines(plan: Plan) -> list[str]:
    """Say where the films and the page are, as far as they were made.

    After a whole run of the embedded generator the lines also say how to go on to BigGAN-deep.
    """
    triptychs = [file for file in plan.per_film("triptych.mp4") if Path(file).is_file()]
    lines = [f"film: {file}" for file in triptychs[:4]]
    if len(triptychs) > 4:
        lines.append(f"      and {len(triptychs) - 4} more in {plan.results}/films/")
    page = Path(plan.results) / "page" / "index.html"
    if not page.is_file():
        return lines
    lines.append(f"page: {page}")
    if plan.base["generator"]["name"] == "study":
        lines += towards_biggan(plan)
    return lines


def towards_biggan(plan: Plan) -> list[str]:
    """The command for BigGAN-deep and the same picture (the painting, for the embedded target), with its cost."""
    picture = plan.base["target"]["picture"]
    own = is_url(picture) or not picture.endswith("resources/study/target.png")
    words = ["experiment=wanderer", *([f"target={picture}"] if own else [])]
    architecture = asdict(read_config(plan.root / "resources/biggan/biggan-deep-256.json"))
    low, high = guessed_seconds(architecture, lpips=True)
    size = DOWNLOAD_MB["biggan-deep-256"] + 5
    return [
        "the same with BigGAN-deep-256" + ("" if own else " and the painting") + ":",
        f"  snakemake --cores all --config {shlex.join(words)}",
        f"  (downloads {size} MB once; three inversions take about {duration_range((1500 * low, 1500 * high))} on this "
        "CPU, minutes on a GPU)",
    ]
