"""What a run will cost, said before the first job, and what there is to see, said after the last. No torch."""

import csv
import math
import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from approach.batch_labels import checkpoint_of
from approach.biggan.config import read_config
from approach.going_on import before_of
from approach.job import duration
from approach.planning.plan import Plan, Setting, image_threads
from approach.sources import is_url
from approach.stages import units_of
from approach.trajectories import read_metadata

DOWNLOAD_MB = {"biggan-deep-128": 211, "biggan-deep-256": 234, "biggan-deep-512": 235}
# From bench/inversion.py's and bench/run.py's rows in float32, see docs/performance.md.
PASSES = 2  # a backward pass to the latents alone costs about a forward one
NETWORK_SHARE = 1.3  # time of an inversion whose loss looks through a network, over one without
EFFICIENCY = 0.6  # of a matrix product's speed that the convolutions of an inversion reach
FORWARD = 0.85  # of it that images reach which are only shown
MAPS = 1.2e-3  # core-seconds beside the products for 10^6 numbers of an image's maps, from demos of 64 and 128 px
MAPS_PASSES = 2.5  # how often a step of an inversion goes over the maps
STEP = 0.012  # core-seconds of a step beside its products, however many seeds it has
LOOKS = 5  # times that the machine's speed is measured
UNSURE = 1.5  # a guess from one machine's figures may be too short by this factor on another
# Core-seconds on a core that multiplies REFERENCE 10^9 numbers a second; what computes images comes on top.
REFERENCE = 95
TINY = 0.4  # a job that reads, writes and imports no heavy package
JOBS = {
    **{"invert": 2.0, "invert_start": 2.0, "render": 1.7, "survey": 1.7, "stills": 1.3},
    **{"passes": 2.5, "encode": 1.2, "exhibition": 1.5, "line_up": 1.5, "panorama": 2.3, "itinerary": 0.9},
    **{"gather_losses": 0.8, "page": 0.6},
}
MEGAPIXEL = {"encode": 0.01, "exhibition": 0.016}
BEGIN_AND_END, BETWEEN = 2.3, 0.08  # Snakemake's own seconds: once, and for each job
CHAIN = (
    "invert_start",
    "invert",
    "stills",
    "trajectory_table",
    "choose",
    "timing",
    "render",
    "encode",
    "page",
    "checksums",
)

RANKED = ("stills", "trajectory_table")  # on that way only where a film's members are chosen by rank

Range = tuple[float, float]


class Job(NamedTuple):
    """A job that Snakemake is going to run: its rule, and how many cores it takes."""

    rule: str
    cores: int = 1


def block_sizes(architecture: dict) -> Iterator[tuple[int, int, int, int, int]]:
    """Of each block: pixels of a map that it takes and of one that it gives; channels it takes, has within, gives."""
    width, side = architecture["channel_width"], 4
    for up, wide_in, wide_out in architecture["layers"]:
        grown = side * (2 if up else 1)
        yield side**2, grown**2, wide_in * width, wide_in * width // 4, wide_out * width
        side = grown


def gigaflops(architecture: dict) -> float:
    """Count the work of a generator.

    Args:
        architecture: the published configuration.

    Returns:
        Multiplications and additions of one image's forward pass, in 10^9.
    """
    total = sum(
        taken * inside * middle + given * (18 * middle**2 + middle * outside)
        for taken, given, inside, middle, outside in block_sizes(architecture)
    )
    return 2 * (total + architecture["output_dim"] ** 2 * architecture["channel_width"] * 27) / 1e9


def map_millions(architecture: dict) -> float:
    """Count what the layers of a generator write: in a small one, writing takes as long as the multiplications.

    Args:
        architecture: the published configuration.

    Returns:
        Numbers in all maps of one image's forward pass, in 10^6.
    """
    total = sum(
        taken * (inside + middle) + given * (3 * middle + outside)
        for taken, given, inside, middle, outside in block_sizes(architecture)
    )
    return (total + architecture["output_dim"] ** 2 * (architecture["channel_width"] + 3)) / 1e6


@cache
def machine_gigaflops() -> tuple[float, ...]:
    """Measure what a core of this machine does in a float32 matrix product, several times: other work disturbs.

    Returns:
        10^9 multiplications and additions a second of one core, where all work; one figure a look.
    """
    matrix = np.ones((1024, 1024), dtype=np.float32)
    looks = []
    matrix @ matrix  # the first product also starts the threads
    for _ in range(LOOKS):
        began = time.perf_counter()
        matrix @ matrix
        looks.append(2 * 1024**3 / (time.perf_counter() - began) / 1e9 / (os.cpu_count() or 1))
    return tuple(looks)


def fast_looks() -> Range:
    """The fastest and the second fastest of the looks at this machine."""
    first, *others = sorted(machine_gigaflops(), reverse=True)
    return first, (others or [first])[0]


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


def past_seconds(plan: Plan) -> dict[str, list[float]]:
    """What this experiment's past jobs took: rule -> seconds of each that has a benchmark."""
    found: dict[str, list[float]] = {}
    for file in sorted((Path("benchmarks") / plan.name).rglob("*.tsv")):
        rule = re.sub(r"-\d$", "", file.stem).replace("-", "_")
        if file.parent.name in ("invert", "exhibition"):
            rule = "line_up" if rule.startswith("line_up") else file.parent.name
        if rule != "invert" and (seconds := benchmark_seconds(file)) is not None:
            found.setdefault(rule, []).append(seconds)
    return found


def past_steps(plan: Plan) -> list[float]:
    """Seconds of an image forward and backward in this experiment's past inversions."""
    measured = []
    for setting in plan.settings.values():
        for batch, seeds in setting.batches.items():
            seconds = benchmark_seconds(Path("benchmarks") / plan.name / setting.id / "invert" / f"{batch}.tsv")
            if seconds is not None:
                measured.append(seconds / setting_units(setting) / max(1, len(seeds)))
    return measured


def run_seconds(plan: Plan, jobs: Sequence[Job], units: float, cores: int) -> tuple[Range, Range, str]:
    """Estimate how long a run takes.

    Jobs share the cores, so their core-seconds are divided by them; but a run is never shorter than one job of each
    stage on the way from the inversions to the page. Snakemake's own seconds come on top.

    Args:
        plan: the run's.
        jobs: what Snakemake is going to run.
        units: images forward and backward that the inversions take.
        cores: that Snakemake may use.

    Returns:
        Seconds of the whole run, from and to; of its inversions alone; and what they are taken from.
    """
    past, steps = past_seconds(plan), past_steps(plan)
    rules = Counter(job.rule for job in jobs)
    taken = {job.rule: min(job.cores, cores) for job in jobs}
    known = {rule: past[rule] for rule in rules if rule in past}
    ranked = any(film["vary"] == "rank" for film in plan.films.values())
    guesses = None
    if (units and not steps) or set(rules).difference(known, ["invert", "invert_start", "all", "fetch"]):
        guesses = guessed_core_seconds(plan)
    ends = []
    for end in (0, 1):
        each = {}
        for rule in rules:
            if rule == "invert" and steps:
                each[rule] = taken[rule] * quartiles(steps)[end] * units / rules[rule]
            elif rule == "invert_start" and steps:
                each[rule] = taken[rule] * quartiles(steps)[end] * start_units(plan)
            elif rule in known:
                each[rule] = taken[rule] * quartiles(known[rule])[end]
            elif rule not in ("all", "fetch"):
                each[rule] = guesses[end].get(rule, guesses[end]["other"])
        whole = sum(each[rule] * rules[rule] for rule in each)
        chain = sum(each[rule] / taken[rule] for rule in CHAIN if rule in each and (ranked or rule not in RANKED))
        itself = BEGIN_AND_END + BETWEEN * len(jobs) / cores
        ends.append((itself + max(whole / cores, chain), each.get("invert", 0.0) * rules["invert"] / cores))
    (low, low_inverting), (high, high_inverting) = ends
    source = "a guess from this machine's CPU" if guesses else "as its past jobs took"
    return (low, high), (low_inverting, high_inverting), source


def quartiles(seconds: Sequence[float]) -> Range:
    """Between which times half of the jobs lie."""
    return float(np.quantile(seconds, 0.25)), float(np.quantile(seconds, 0.75))


def guessed_core_seconds(plan: Plan) -> tuple[dict[str, float], dict[str, float]]:
    """Guess what a job of each rule takes of this machine's CPU, from and to.

    The first is at the fastest speed measured; the second at the second fastest, since a look is short, and three of
    five are disturbed where an installation has just ended; and UNSURE times as long.
    """
    architecture, base = asdict(read_config(plan.base["generator"]["config"])), plan.base
    work, written, video = gigaflops(architecture), map_millions(architecture), plan.base["video"]
    frames = video["fps"] * (video["seconds"] * (1 + video["loop"]) + 2 * video["hold"])
    trajectories = len(plan.settings) * len(plan.seeds)
    shown = min(3, trajectories / max(1, len(plan.films)))  # by a film that no other has shown
    images = {
        # frames at even change follow from all three trajectories: films share few of them
        "render": frames * (3 if video["time"] == "perceived" else shown),
        "survey": base["panorama"]["grid"] ** 2 / 1.5,
        "stills": base["montage"]["moments"] * len(plan.seeds),
        "passes": 3 * PASSES * base["passes"]["points"] * base["passes"]["steps"],
    }
    megapixels = {
        "encode": 6 * frames * video["size"] ** 2 / 1e6,
        "exhibition": 1.5 * frames * video["height"] ** 2 * 16 / 9 / 1e6,
    }
    batches = sum(len(setting.batches) for setting in plan.settings.values())
    units = sum(map(setting_units, plan.settings.values())) / len(plan.settings)
    guesses = []
    for speed, unsure in zip(fast_looks(), (1.0, UNSURE), strict=True):
        slower = REFERENCE / speed
        seconds = {rule: slower * own for rule, own in JOBS.items()} | {"other": slower * TINY}
        for rule, count in images.items():
            seconds[rule] += count * (work / (speed * FORWARD) + slower * written * MAPS)
        for rule, count in megapixels.items():
            seconds[rule] += slower * count * MEGAPIXEL[rule]
        together = trajectories / max(1, batches)
        step = step_core_seconds(architecture, uses_network(base), together, speed)
        seconds["invert"] += units * step
        seconds["invert_start"] += start_units(plan) / together * step
        guesses.append({rule: unsure * each for rule, each in seconds.items()})
    return guesses[0], guesses[1]


def step_core_seconds(architecture: dict, network: bool, seeds: float, speed: float) -> float:
    """Core-seconds of one step of an inversion in float32.

    Args:
        architecture: the published configuration.
        network: whether the loss looks through one: LPIPS, or the discriminator.
        seeds: inverted together.
        speed: a core's, as `machine_gigaflops` measures it.
    """
    work = gigaflops(architecture) * PASSES * (NETWORK_SHARE if network else 1)
    beside = map_millions(architecture) * MAPS_PASSES * MAPS * REFERENCE
    return seeds * (work / EFFICIENCY + beside) / speed + STEP * REFERENCE / speed


def duration_range(seconds: Range) -> str:
    """Seconds from and to, in words: "40 to 90 min", "50 s to 3 min", or "40 min" where both read the same."""
    low, high = (duration(value) for value in seconds)
    if low == high:
        return low
    (number, unit), (_, other) = low.split(" ", 1), high.split(" ", 1)
    return f"{number if unit == other else low} to {high}"


def uses_network(config: dict) -> bool:
    """Whether the setting's loss has a term that looks through a network."""
    return not {"lpips", "discriminator"}.isdisjoint(config["loss"]["terms"])


def setting_units(setting: Setting) -> float:
    """Images forward and backward that a seed of a setting takes; its random starts are looked at forward only."""
    starts = setting.config["start"]["best_of"]
    return units_of(setting.config["search"], setting.config["steps"]) + (starts / 3 if starts > 1 else 0)


def start_units(plan: Plan) -> float:
    """Images forward and backward that a job takes that inverts the picture of a start, on average."""
    each = [units_of(config["search"], config["steps"]) for config in plan.starts.values()]
    batches = sum(len(setting.batches) for setting in plan.settings.values())
    seeds = len(plan.settings) * len(plan.seeds) / max(1, batches)
    return seeds * sum(each) / max(1, len(each))


def counted_units(plan: Plan, files: Collection[str]) -> float:
    """Images forward and backward that some of a plan's batch files take."""
    return sum(
        len(seeds) * setting_units(setting) * share_left(Path(file), setting)
        for setting in plan.settings.values()
        for file, seeds in zip(plan.batch_files(setting.id), setting.batches.values(), strict=True)
        if file in files
    )


def share_left(file: Path, setting: Setting) -> float:
    """What is left of a batch that goes on after its last step, as a share of all its steps; 1 of any other."""
    before = before_of(checkpoint_of(file))
    return 1 - read_metadata(before.trajectories)["steps"] / setting.config["steps"] if before.complete else 1.0


def counted_seeds(plan: Plan, files: Collection[str]) -> int:
    """Count the wanted trajectories in some of a plan's batch files."""
    return sum(
        len(seeds)
        for setting in plan.settings.values()
        for file, seeds in zip(plan.batch_files(setting.id), setting.batches.values(), strict=True)
        if file in files
    )


def summary_lines(plan: Plan, to_make: Collection[str], jobs: Sequence[Job], cores: int) -> list[str]:
    """Say what is about to happen: trajectories, time, disk; films that cannot be; settings left on disk.

    Args:
        plan: the run's.
        to_make: the batch files that Snakemake is going to make.
        jobs: what Snakemake is going to run.
        cores: that it may use.
    """
    settings, seeds, steps = len(plan.settings), len(plan.seeds), plan.base["steps"]
    architecture = asdict(read_config(plan.base["generator"]["config"]))
    missing = counted_seeds(plan, to_make)
    finished = [file for file in to_make if Path(file).is_file()]
    again = counted_seeds(plan, [file for file in finished if not before_of(checkpoint_of(Path(file))).complete])
    bytes_each = 4 * (steps + 1) * (architecture["z_dim"] + architecture["num_classes"])
    videos = [plan.video(film) for film in plan.films]
    frames = sum(3 * video["seconds"] * video["fps"] for video in videos)
    disk = settings * seeds * bytes_each + frames * architecture["output_dim"] ** 2 * 3
    lines = [
        f"{plan.name}: {counted(settings, 'setting')} x {counted(seeds, 'seed')} = "
        f"{counted(settings * seeds, 'trajectory', 'trajectories')} of {counted(steps, 'step')}, "
        f"{missing} of them to invert; {counted(len(plan.films), 'film')}"
    ]
    if jobs:
        whole, inverting, source = run_seconds(plan, jobs, counted_units(plan, to_make), cores)
        part = f", the inversions {duration_range(inverting)} of it" if missing else ""
        lines.append(
            f"the whole run: about {duration_range(whole)} on {counted(cores, 'core')}{part} ({source}); "
            f"{disk / 1e6:.0f} MB on disk"
        )
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
    if plan.base["generator"]["name"] in ("study", "study64"):
        lines += towards_biggan(plan)
    return lines


def towards_biggan(plan: Plan) -> list[str]:
    """The command for BigGAN-deep and the same picture (the painting, for the embedded target), with its cost."""
    picture = plan.base["target"]["picture"]
    own = is_url(picture) or not picture.endswith("resources/study/target.png")
    words = ["experiment=wanderer", *([f"target={picture}"] if own else [])]
    file = plan.root / "resources/biggan/biggan-deep-256.json"
    architecture = asdict(read_config(file))
    cores = min(image_threads(file), os.cpu_count() or 1)
    low, high = (500 * step_core_seconds(architecture, True, 3, speed) / cores for speed in fast_looks())
    size = DOWNLOAD_MB["biggan-deep-256"] + 5
    return [
        "the same with BigGAN-deep-256" + ("" if own else " and the painting") + ":",
        f"  snakemake --cores all --config {shlex.join(words)}",
        f"  (downloads {size} MB once; three inversions take about {duration_range((low, UNSURE * high))} on this "
        "CPU, minutes on a GPU)",
    ]
