"""What a run will cost, said before the first job, and what there is to see, said after the last. No torch."""

import json
import shlex
import time
from pathlib import Path

import numpy as np

from approach.job import duration
from approach.planning.downloads import uses_lpips
from approach.planning.plan import Plan
from approach.sources import is_url

DOWNLOAD_MB = {"biggan-deep-128": 211, "biggan-deep-256": 234, "biggan-deep-512": 235}
# Set by bench/inversion.py's float32 rows, see docs/performance.md.
PASSES = 2  # a backward pass to the latents alone costs about a forward one
LPIPS_SHARE = 1.3  # a walk with LPIPS against one without
EFFICIENCY = 0.5  # of a matrix product's speed that convolutions reach
OVERHEAD = 0.015  # seconds of a seed's step whatever the generator


def gigaflops(architecture: dict) -> float:
    """Multiplications and additions of one forward pass, in 10^9, counted from the published configuration."""
    width, side, total = architecture["channel_width"], 4, 0.0
    for up, wide_in, wide_out in architecture["layers"]:
        inside, outside = wide_in * width, wide_out * width
        middle, grown = inside // 4, side * (2 if up else 1)
        total += side**2 * inside * middle + grown**2 * (18 * middle**2 + middle * outside)
        side = grown
    return 2 * (total + side**2 * width * 27) / 1e9


def machine_gigaflops() -> float:
    """What this machine's CPU does in a float32 matrix product: the best of some looks, for other work disturbs."""
    matrix = np.ones((1024, 1024), dtype=np.float32)
    best, end = float("inf"), time.perf_counter() + 0.2
    while time.perf_counter() < end:
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best / 1e9


def seconds_per_step(plan: Plan) -> tuple[float, str]:
    """Seconds for one step of one seed, and where that figure is from: this experiment's past walks, or a guess."""
    measured = []
    for setting in plan.settings.values():
        for batch, seeds in setting.batches.items():
            file = Path("benchmarks") / plan.name / setting.id / "invert" / f"{batch}.tsv"
            seconds = benchmark_seconds(file)
            if seconds is not None:
                measured.append(seconds / (plan.base["steps"] + 1) / max(1, len(seeds)))
    if measured:
        return float(np.median(measured)), "from this experiment's past walks"
    architecture = json.loads(Path(plan.base["generator"]["config"]).read_text(encoding="utf-8"))
    return guessed_seconds(architecture, uses_lpips(plan.base)), "a guess from this machine's CPU"


def benchmark_seconds(file: Path) -> float | None:
    """The seconds that one of Snakemake's benchmark files tells; None where it is missing, empty or damaged."""
    try:
        return float(file.read_text(encoding="utf-8").splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):  # a full disk or a kill leaves half a file, or none
        return None


def guessed_seconds(architecture: dict, lpips: bool) -> float:
    """Seconds for one step of one seed in float32 on this machine's CPU."""
    work = gigaflops(architecture) * PASSES * (LPIPS_SHARE if lpips else 1)
    return work / (machine_gigaflops() * EFFICIENCY) + OVERHEAD


def missing_walks(plan: Plan) -> int:
    """Trajectories that are not on disk yet."""
    folder = Path("results") / plan.name
    return sum(
        len(seeds)
        for setting in plan.settings.values()
        for batch, seeds in setting.batches.items()
        if not (folder / setting.id / "trajectories" / f"{batch}.safetensors").is_file()
    )


def summary_lines(plan: Plan) -> list[str]:
    """What is about to happen: trajectories, time, disk; films that cannot be; settings left on disk."""
    settings, seeds, steps = len(plan.settings), len(plan.seeds), plan.base["steps"]
    architecture = json.loads(Path(plan.base["generator"]["config"]).read_text(encoding="utf-8"))
    missing = missing_walks(plan)
    per_walk = 4 * (steps + 1) * (architecture["z_dim"] + architecture["num_classes"])
    pixels = 3 * plan.base["video"]["seconds"] * plan.base["video"]["fps"] * architecture["output_dim"] ** 2
    disk = settings * seeds * per_walk + len(plan.films) * pixels * 3
    lines = [
        f"{plan.name}: {settings} setting{'s' * (settings > 1)} x {seeds} seeds = {settings * seeds} trajectories "
        f"of {steps} steps, {missing} of them to walk; {len(plan.films)} films"
    ]
    if missing:
        each, source = seconds_per_step(plan)
        lines.append(f"about {duration(missing * steps * each)} of walking ({source}), {disk / 1e6:.0f} MB on disk")
    for file in plan.downloads:
        if not (Path("resources/downloads") / file).exists():
            lines.append(f"to download: {file}")
    left = left_over(plan)
    if left:
        lines.append(f"not part of this run, left on disk: {', '.join(left[:5])}{', ...' if len(left) > 5 else ''}")
    return [*lines, *plan.notes]


def left_over(plan: Plan) -> list[str]:
    """Settings under results/ that are no longer in the sweep."""
    folder = Path("results") / plan.name
    found = sorted(path.name for path in folder.glob("loss~*") if path.is_dir()) if folder.is_dir() else []
    return [name for name in found if name not in plan.settings]


def closing_lines(plan: Plan) -> list[str]:
    """Where film and page are, where this run made them; after the embedded generator also the way to BigGAN-deep."""
    triptychs = [file for file in plan.per_film("triptych.mp4") if Path(file).is_file()]
    lines = [f"film: {file}" for file in triptychs[:4]]
    if len(triptychs) > 4:
        lines.append(f"      and {len(triptychs) - 4} more in {plan.results}/films/")
    page = Path(plan.results) / "page" / "index.html"
    if page.is_file():
        lines.append(f"page: {page}")
    if plan.base["generator"]["name"] == "study":
        lines += towards_biggan(plan)
    return lines


def towards_biggan(plan: Plan) -> list[str]:
    """The command for BigGAN-deep and the same picture (the painting, for the embedded target), with its cost."""
    picture = plan.base["target"]["picture"]
    own = is_url(picture) or not picture.endswith("resources/study/target.png")
    words = ["experiment=wanderer", *([f"target={picture}"] if own else [])]
    architecture = json.loads((plan.root / "resources/biggan/biggan-deep-256.json").read_text(encoding="utf-8"))
    seconds = 3 * 500 * guessed_seconds(architecture, lpips=True)
    size = DOWNLOAD_MB["biggan-deep-256"] + 5
    return [
        "the same with BigGAN-deep-256" + ("" if own else " and the painting") + ":",
        f"  snakemake --cores all --config {shlex.join(words)}",
        f"  (downloads {size} MB once; three walks take about {duration(seconds)} on this CPU, minutes on a GPU)",
    ]
