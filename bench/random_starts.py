"""Is inversion better than luck? Each arrival against the best of as many random starts as the inversion evaluated.

    python bench/random_starts.py results/wanderer

Reads a finished experiment, draws S + 1 random starts per trajectory (S its steps), and says for each setting how many
arrivals are nearer, by the setting's own loss, than the best of them; beside it LPIPS at start and arrival, where the
experiment measured it.
"""

import argparse
import os
import sys
from pathlib import Path

import pandas as pd
import torch
import yaml

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch comes: threads that wait do not spin
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow" / "scripts"))

from approach.biggan.config import class_names, read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.inversion.batch import Sources, build_inversion_loss
from approach.inversion.starts import sample_starts
from approach.planning.plan import discriminator_files
from approach.trajectories import read_metadata

CHUNK = 16
FIRST = 1_000_000  # seeds that no experiment starts from


def best_random(generator, loss, config: dict, names: list[str], count: int, first: int) -> float:
    """The smallest loss among count random starts."""
    best = float("inf")
    for begin in range(0, count, CHUNK):
        seeds = list(range(first + begin, first + min(begin + CHUNK, count)))
        start, _ = sample_starts(
            seeds, {**config["start"], "best_of": 1}, config["truncation"], generator.config.z_dim, names
        )
        with torch.no_grad():
            classes = torch.softmax(start.logits / config["start"]["temperature"], dim=1)
            best = min(best, float(loss(generator(generator.conditioning(start.z, classes))).total.min()))
    return best


def main() -> None:
    """Print one line a setting, and the share of arrivals that beat luck."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path, help="a folder under results/")
    folder = parser.parse_args().experiment
    record = yaml.safe_load((folder / "experiment.yaml").read_text(encoding="utf-8"))
    configuration = record["configuration"]
    trajectories = pd.read_csv(folder / "trajectories.csv")
    architecture = read_config(configuration["generator"]["config"])
    weights = read_weights(configuration["generator"]["weights"], architecture)
    names = class_names(configuration["generator"]["class_names"], architecture)
    won = 0
    for setting, rows in trajectories.groupby("setting", sort=False):
        metadata = read_metadata(Path(rows["trajectories"].iloc[0]))
        config = {**metadata, "perceptual_net": configuration["perceptual"]["net"]}
        terms = metadata["loss"]["terms"]
        own = discriminator_files(configuration) if "discriminator" in terms else {}
        sources = Sources(
            architecture=Path(configuration["generator"]["config"]),
            weights=Path(configuration["generator"]["weights"]),
            target=folder / "target.png",
            **{key: Path(file) for key, file in own.items()},
            backbone=Path(configuration["perceptual"]["weights"]) if "lpips" in terms else None,
        )
        generator = load_generator(weights, architecture, truncation=metadata["truncation"])
        loss = build_inversion_loss(config, sources, "cpu", "float32")
        evaluations = metadata["steps"] + 1
        nearer = 0
        for place, arrival in enumerate(rows["final_loss"]):
            nearer += arrival < best_random(generator, loss, config, names, evaluations, FIRST + place * evaluations)
        won += nearer
        lpips = ""
        if "final_lpips" in rows:
            lpips = f"; LPIPS {rows['start_lpips'].mean():.3f} -> {rows['final_lpips'].mean():.3f}"
        print(f"{setting}: {nearer} of {len(rows)} arrivals nearer than the best of {evaluations} random starts{lpips}")
    print(f"{won} of {len(trajectories)} ({won / len(trajectories):.0%})")


if __name__ == "__main__":
    main()
