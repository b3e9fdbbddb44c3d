"""How even a film's changes are: python bench/pace.py NAME [BACKBONE] puts a table into docs/pictures.md.

Takes the first film of results/NAME and times it anew: 10 seconds at 25 frames a second without easing, holds or
return, at equal steps and at equal perceived change, on a common clock and on each channel's own. Every frame is
rendered, and each is compared with the next as it stands: root mean square (what the timing equalises, though by
sketches of the steps), and two distances that the timing knows nothing of: the L1 of Laplacian pyramids and, where a
file with the LPIPS backbone is given, LPIPS. In the table: the coefficient of variation over the film, of each channel
and of the three channels' mean, each first divided by its sum.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from approach.film.render import render_frames  # noqa: E402
from approach.film.timing import distances, film_timing  # noqa: E402
from approach.loading import open_generator  # noqa: E402
from approach.losses.losses import build_loss  # noqa: E402
from approach.losses.perceptual import Perceptual  # noqa: E402
from approach.target import Target  # noqa: E402
from approach.trajectories import read_trajectory  # noqa: E402
from report import put  # noqa: E402

PAGE = ROOT / "docs" / "pictures.md"
VIDEO = {"fps": 25, "seconds": 10.0, "hold": 0, "ease": 0, "loop": False}
FILMS = {
    "equal steps": {"time": "steps", "clock": "common"},
    "equal change, own clocks": {"time": "perceived", "clock": "own"},
    "equal change, common clock": {"time": "perceived", "clock": "common"},
}
CHUNK = 25


def variation(values: np.ndarray) -> float:
    """Coefficient of variation."""
    return float(values.std() / values.mean())


def distances_of_frames(frames: np.ndarray, network: Perceptual | None) -> dict[str, np.ndarray]:
    """The distance of each of F frames (uint8 [F, S, S, 3]) to the next, [F - 1], by every measure of it."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    # The pyramid is linear: that of a difference is the difference of two, here against black.
    black = Target(torch.zeros_like(images[0]), torch.ones_like(images[0, :1]))
    pyramid = build_loss({"name": "pyramid", "terms": {"pyramid": 1.0}}, black)
    found = {"root mean square": distances(frames), "pyramid L1": pyramid(images.diff(dim=0)).total.numpy()}
    if network:
        parts = range(0, len(images) - 1, CHUNK)
        pairs = [(images[at : at + CHUNK], images[at + 1 : at + CHUNK + 1]) for at in parts]
        pairs = [(one[: len(other)], other) for one, other in pairs]
        found["LPIPS"] = torch.cat([network.distance(*pair) for pair in pairs]).numpy()
    return found


def row(film: str, measure: str, channels: list[np.ndarray]) -> str:
    """A row of the table: the variation in each channel, and in the mean of their shares."""
    shares = np.mean([one / one.sum() for one in channels], axis=0)
    values = [f"{variation(one):.3f}" for one in (*channels, shares)]
    return f"| {film} | {measure} | {' | '.join(values)} |"


@torch.inference_mode()
def measured(name: str, backbone: str | None) -> str:
    """The table as markdown."""
    results = ROOT / "results" / name
    film = sorted(results.glob("films/*/film.json"))[0]
    channels = json.loads(film.read_text(encoding="utf-8"))["channels"]
    config = yaml.safe_load((results / "experiment.yaml").read_text(encoding="utf-8"))["configuration"]["generator"]
    files = {"architecture": ROOT / config["config"], "weights": ROOT / config["weights"]}
    trajectories = [read_trajectory(ROOT / channel["trajectory"], channel["seed"]) for channel in channels]
    generator = open_generator(files, trajectories[0].metadata["truncation"], "cpu")
    network = Perceptual("squeeze", backbone) if backbone else None
    sketches = [each.sketches for each in trajectories]
    steps = [len(each.z) - 1 for each in trajectories]
    lines = [
        "| film | distance from frame to frame | channel 1 | channel 2 | channel 3 | mean of the shares |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for title, time in FILMS.items():
        timing = film_timing({**VIDEO, **time}, steps, sketches)
        found = []
        for trajectory, positions in zip(trajectories, timing["positions"], strict=True):
            frames = np.stack(list(render_frames(generator, trajectory.z, trajectory.classes, positions)))
            found.append(distances_of_frames(frames, network))
            print(title, {key: round(variation(value), 3) for key, value in found[-1].items()}, flush=True)
        lines += [row(title, measure, [one[measure] for one in found]) for measure in found[0]]
    return "\n".join([*lines, "", f"{timing['frames']} frames, inversions of {', '.join(map(str, steps))} steps."])


if __name__ == "__main__":
    put(PAGE, "pace", measured(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
