"""Seconds of a panorama's survey against its grid: python bench/surveying.py NAME puts a table into docs/pictures.md.

Surveys the plane of the first film of results/NAME on several grids, as the workflow does: in one process, on two
threads, loading not counted. Beside wall-clock seconds it tells those of the processor, which other work on the
machine disturbs less, and how far the relief of a coarser grid, drawn by the same splines, is from the finest one.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from scipy.interpolate import RectBivariateSpline

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from approach.loading import open_generator  # noqa: E402
from approach.losses.loading import open_loss  # noqa: E402
from approach.pictures.survey import MEASURED, PAIRS, PROFILE_POINTS, survey  # noqa: E402
from approach.trajectories import read_trajectory  # noqa: E402
from report import put  # noqa: E402

PAGE = ROOT / "docs" / "pictures.md"
GRIDS = (17, 25, 33, 48, 65, 97)


def off(coarse: dict, fine: dict) -> float:
    """The largest difference of the coarse relief from the fine one, within both windows, in parts of its range."""
    x, y = (fine[side][(fine[side] >= coarse[side][0]) & (fine[side] <= coarse[side][-1])] for side in "xy")
    seen = [RectBivariateSpline(one["y"], one["x"], one["surface"])(y, x) for one in (coarse, fine)]
    return float(np.abs(seen[0] - seen[1]).max() / np.ptp(fine["surface"]))


def measured(name: str) -> str:
    """The table as markdown."""
    torch.set_num_threads(2)
    results = ROOT / "results" / name
    film = sorted(results.glob("films/*/film.json"))[0]
    channels = json.loads(film.read_text(encoding="utf-8"))["channels"]
    config = yaml.safe_load((results / "experiment.yaml").read_text(encoding="utf-8"))["configuration"]
    files = {
        key: ROOT / config["generator"][where] for key, where in (("architecture", "config"), ("weights", "weights"))
    }
    trajectories = [read_trajectory(ROOT / channel["trajectory"], channel["seed"]) for channel in channels]
    generator = open_generator(files, trajectories[0].metadata["truncation"], "cpu")
    loss = open_loss(config["loss"], {"target": results / "target.png"}, None, "cpu")
    rows, found = [], {}
    for grid in GRIDS:
        wall, processor = time.monotonic(), time.process_time()
        found[grid] = survey(generator, loss, [(each.z, each.classes) for each in trajectories], grid)
        rows.append((grid, time.monotonic() - wall, time.process_time() - processor))
        print(rows[-1], flush=True)
    profiles = len(PAIRS) * len(range(0, PROFILE_POINTS, MEASURED))
    lines = [
        "| `panorama.grid` | points | seconds | processor seconds | off the finest at most, of its range |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for grid, wall, processor in rows:
        height, width = found[grid]["surface"].shape
        share = f"{off(found[grid], found[GRIDS[-1]]):.1%}".replace("%", " %") if grid != GRIDS[-1] else ""
        lines.append(f"| {grid} | {width} x {height} + {profiles} | {wall:.1f} | {processor:.1f} | {share} |")
    said = f"Generator {config['generator']['name']}, loss {config['loss']['name']}, two threads; "
    return "\n".join([*lines, "", f"{said}load average at the end {os.getloadavg()[0]:.1f}."])


if __name__ == "__main__":
    put(PAGE, "survey", measured(sys.argv[1]))
