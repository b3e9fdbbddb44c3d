"""Frames rendered a second against the encoder's own limit: python bench/rendering.py fills in docs/performance.md.

Three rates at each size, in float32, in turns: the generator alone (frames made and thrown away), the encoder alone
(the same frames, ready in memory), and both as the render stage runs them, frames piped to the encoder while the
generator works. The last can be no faster than the slower of the other two.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "bench")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from approach.biggan.generator import load_generator  # noqa: E402
from approach.film.encode import write_frames  # noqa: E402
from approach.film.render import render_frames  # noqa: E402
from contestants import TRUNCATION  # noqa: E402
from inversion import machine, read_generator  # noqa: E402
from report import PAGE, put  # noqa: E402

FRAMES = {"study": 384, "128": 96, "256": 48, "512": 24}


def seeded_trajectory(classes: int, z_dim: int, steps: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """z [steps + 1, z_dim] and class probabilities of a seeded path, as in a trajectory."""
    random = torch.Generator().manual_seed(0)
    z = TRUNCATION * torch.randn(steps + 1, z_dim, generator=random).clamp(-2, 2)
    return z.numpy(), torch.randn(steps + 1, classes, generator=random).softmax(1).numpy()


def rates(size: str, turns: int, threads: int, folder: Path) -> dict[str, float]:
    """Frames a second of each of the three, medians over the turns."""
    config, weights = read_generator(size)
    generator = load_generator(weights, config, truncation=TRUNCATION)
    z, classes = seeded_trajectory(config.num_classes, config.z_dim)
    count = FRAMES[size]
    positions = np.linspace(0, len(z) - 1, count)

    def render():
        return render_frames(generator, z, classes, positions)

    def encode(frames) -> None:
        write_frames(frames, folder / "frames.mkv", fps=25, count=count, threads=threads)

    ready = list(render())
    turned: dict[str, Callable[[], object]] = {
        "generator alone": lambda: list(render()),
        "encoder alone": lambda: encode(iter(ready)),
        "both": lambda: encode(render()),
    }
    took = {name: [] for name in turned}
    for _ in range(turns):
        for name, work in turned.items():
            began = time.perf_counter()
            work()
            took[name].append(time.perf_counter() - began)
    return {name: count / statistics.median(seconds) for name, seconds in took.items()}


def main() -> None:
    """Measure every size asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["study", "128", "256", "512"], choices=list(FRAMES))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lines = [
        "| generator | frames a second: generator alone | encoder alone | both, as rendered | of the slower |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            found = rates(size, options.turns, options.threads, Path(folder))
        share = found["both"] / min(found["generator alone"], found["encoder alone"])
        lines.append(f"| {size} | {' | '.join(f'{rate:.1f}' for rate in found.values())} | {share:.0%} |")
        print(lines[-1], flush=True)
    where = machine("cpu")
    said = f"Float32, {where['name']}, {where['threads']} threads, torch {where['torch']}; frames stored without loss"
    put(PAGE, "rendering", "\n".join([*lines, "", f"{said} (x264 in RGB); medians of {options.turns} turns."]))


if __name__ == "__main__":
    main()
