"""Time the inversion against the packages as their users write it: `make bench`.

    python bench/inversion.py --quick
    python bench/inversion.py --losses l2 lpips --backbone squeezenet1_1-b8a52dc0.pth

All contestants of a table run in this process, in turns. Rows with fewer than three repeats are left out and named.
bfloat16 is timed where the device has units for it. --quick takes two or three minutes: study (generator=study64), l2,
and nothing compiled. LPIPS is timed where --backbone names torchvision's SqueezeNet 1.1.
"""

import argparse
import json
import logging
import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "bench")]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from approach.biggan.config import GeneratorConfig, read_config  # noqa: E402
from approach.biggan.format import read_weights  # noqa: E402
from approach.biggan.pointwise import missing_compiler  # noqa: E402
from approach.biggan.precision import has_bfloat16  # noqa: E402
from approach.biggan.stand_in import seeded_state  # noqa: E402
from contestants import Case, Ready, Task, get_ready, our_loss  # noqa: E402
from measuring import generator_flop, interleave, loss_flop, matrix_peak, peak_memory, spread, trim_memory  # noqa: E402

logger = logging.getLogger("bench")

STUDY = ROOT / "resources" / "study64"
BIG = ROOT / "resources" / "biggan"


def cases(size: str, device: str, *, quick: bool = False) -> list[Case]:
    """Who is timed at a size, the most telling first; quick leaves out what has to be compiled."""
    low = 1 if size == "512" else 4
    many = {"study": [16, 32], "128": [8, 16], "256": [4, 8], "512": [2, 4]}[size]
    if device == "cuda":
        many = [4 * batch for batch in many]
    found = [
        Case("plain", "float32", 1),
        Case("plain-unfrozen", "float32", 1),
        Case("ours", "float32", 1),
        Case("ours", "bf16", 1),
    ]
    if low > 1:
        found += [Case("plain", "float32", low), Case("ours", "float32", low), Case("ours", "bf16", low)]
    if not quick and not missing_compiler(torch.device(device)):
        found += [Case("ours", "bf16", batch, True) for batch in dict.fromkeys((1, low, *many))]
        found += [Case("ours", "float32", batch, True) for batch in dict.fromkeys((1, many[0]))]
    if device == "cuda":
        found.append(Case("ours", "tf32", many[0]))
    # emulated, it is several times slower than float32 and would take the time of everybody else
    return [case for case in found if case.precision != "bf16" or has_bfloat16(device)]


def read_generator(size: str) -> tuple[GeneratorConfig, dict[str, torch.Tensor]]:
    """The embedded generator at 64 px with its own weights, or a big architecture with seeded ones."""
    if size == "study":
        config = read_config(STUDY / "config.json")
        return config, read_weights(STUDY / "generator.safetensors", config)
    config = read_config(BIG / f"biggan-deep-{size}.json")
    return config, seeded_state(config, power_iterations=5)


def make_task(size: str, loss: str, backbone: Path | None, device: str) -> Task:
    """A generator and a target of smooth noise."""
    config, weights = read_generator(size)
    coarse = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    target = F.interpolate(coarse, size=config.output_dim, mode="bicubic").tanh()[0]
    return Task(config, weights, target, loss, backbone, device)


def measure(ready: list[Ready], seconds: float, device: str) -> tuple[list[list[float]], dict[str, float]]:
    """Seconds of each contestant's updates, and the machine's matrix-product peaks at the same time."""
    precisions = dict.fromkeys(each.case.precision for each in ready)
    before = {precision: matrix_peak(precision, device) for precision in precisions}
    took = interleave(ready, seconds, device)
    return took, {precision: max(peak, matrix_peak(precision, device)) for precision, peak in before.items()}


def table(size: str, task: Task, seconds: float, *, quick: bool = False) -> tuple[list[dict], dict]:
    """Rows of one size and loss, and what was left out or took time beside the measuring."""
    ready, memory = [], []
    for case in cases(size, task.device, quick=quick):
        logger.info("%s %s: sets up %s", size, task.loss, case)
        ready.append(get_ready(task, case))
        memory.append(peak_memory(ready[-1].step, task.device))
    logger.info("%s %s: measures for %.0f s", size, task.loss, seconds)
    took, peaks = measure(ready, seconds, task.device)
    reference = next(i for i, each in enumerate(ready) if each.case.who == "plain" and each.case.batch == 1)
    plain_rate = 1 / spread(took[reference])[0]
    flop = generator_flop(task.config)
    if task.loss == "lpips":
        cpu_task = Task(task.config, {}, task.target, task.loss, task.backbone, "cpu")
        flop += loss_flop(our_loss(cpu_task, Case("ours", "float32", 1)), task.config.output_dim)
    rows, left_out = [], []
    for each, times, megabytes in zip(ready, took, memory, strict=True):
        case = each.case
        if len(times) < 3:
            left_out.append(str(case))
            continue
        middle, low, high = spread(times)
        rate = case.batch / middle
        rows.append({
            "size": size, "loss": task.loss, "who": case.who, "precision": case.precision, "batch": case.batch,
            "compiled": case.compiled, "seed_steps_per_s": rate, "ratio": rate / plain_rate,
            "peak_share": flop * rate / peaks[case.precision], "peak_memory_mb": megabytes,
            "repeats": len(times), "quartiles_s": [low, high],
            "setup_s": each.setup_seconds, "compile_s": each.compile_seconds,
        })  # fmt: skip
        logger.info(
            "%s %s: %-36s %8.2f seed-steps/s  %6.2f x plain  %4.0f MB  (%d repeats)",
            size,
            task.loss,
            case,
            rate,
            rate / plain_rate,
            megabytes,
            len(times),
        )
    if left_out:
        logger.info("%s %s: fewer than 3 repeats, left out: %s", size, task.loss, "; ".join(left_out))
    return rows, {
        "size": size,
        "loss": task.loss,
        "left_out": left_out,
        "needed_flop": flop,
        "matrix_peak_flop_s": peaks,
        "load_average": os.getloadavg(),
    }


def machine(device: str) -> dict:
    """What it ran on."""
    name = torch.cuda.get_device_name() if device == "cuda" else _cpu_name()
    return {
        "device": device,
        "name": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main(arguments: list[str] | None = None) -> dict:
    """Run the tables asked for and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small run: other defaults, and nothing compiled")
    parser.add_argument("--sizes", nargs="+", choices=["study", "128", "256", "512"],
                        help="default: study 128 512; with --quick study")  # fmt: skip
    parser.add_argument("--losses", nargs="+", choices=["l2", "lpips"],
                        help="default: l2, and lpips where --backbone is given; with --quick l2")  # fmt: skip
    parser.add_argument("--seconds", type=float,
                        help="measuring time a size, shared by the losses (default: 60; with --quick 20)")  # fmt: skip
    parser.add_argument("--json", type=Path, default=Path("results/bench/inversion.json"))
    parser.add_argument("--backbone", type=Path, help="torchvision's weights of squeezenet1_1, for lpips")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    sizes = options.sizes or (["study"] if options.quick else ["study", "128", "512"])
    losses = options.losses or (["l2", "lpips"] if options.backbone and not options.quick else ["l2"])
    seconds = options.seconds or (20 if options.quick else 60)
    if "lpips" in losses and not (options.backbone and options.backbone.is_file()):
        parser.error("lpips needs --backbone FILE: torchvision's squeezenet1_1-b8a52dc0.pth, or its features alone")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)

    rows, notes = [], []
    for size in sizes:
        for loss in losses:
            task = make_task(size, loss, options.backbone, options.device)
            more_rows, note = table(size, task, seconds / len(losses), quick=options.quick)
            rows += more_rows
            notes.append(note)
            trim_memory()
    found = {"machine": machine(options.device), "rows": rows, "notes": notes}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    logger.info("wrote %s", options.json)
    return found


if __name__ == "__main__":
    main()
