"""Find the generator's own samples again, and approach the painting by the same descent; figures and pictures."""

import argparse
import json
import logging
from pathlib import Path

import torch
import yaml
from torch import Tensor

from approach.biggan.generator import Generator
from approach.inversion.descent import State, columns, descend
from approach.inversion.starts import Latents
from approach.losses.losses import LossValues
from approach.losses.perceptual import Perceptual
from approach.target import prepare_target
from study.measuring import even_labels, load, one_hot, pair_distances, sample
from study.painter import normal
from study.sheets import save_grid

TERMS = {"l1": 1.0, "lpips": 1.0}
TRIES = 32  # random starts, of which descent takes the nearest

logger = logging.getLogger("recover")


def picture_tensor(path: Path, size: int) -> Tensor:
    """The painting cropped to a square, [3, S, S] in [-1, 1]."""
    picture = prepare_target(path, size).convert("RGB")
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(size, size, 3)
    return pixels.permute(2, 0, 1) / 127.5 - 1


def approach(
    generator: Generator, perceptual: Perceptual, targets: Tensor, steps: int, optimizer: dict, seed: int
) -> tuple[Tensor, Tensor]:
    """Descend towards targets [N, 3, S, S], each from the nearest of a few random starts; arrivals and starts.

    optimizer: the pipeline's settings of that name.
    """
    n, classes = len(targets), generator.config.num_classes
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        z = normal(dice, n * TRIES, generator.config.z_dim).view(n, TRIES, -1)
        labels = torch.randint(classes, (n, TRIES), generator=dice)
        images = [generator(generator.conditioning(a, one_hot(b, classes))) for a, b in zip(z, labels, strict=True)]
        nearest = [
            perceptual.distance(some, goal.unsqueeze(0)).argmin() for some, goal in zip(images, targets, strict=True)
        ]
        start = torch.stack([z[i, k] for i, k in enumerate(nearest)])
        logits = 3.0 * one_hot(torch.stack([labels[i, k] for i, k in enumerate(nearest)]), classes)
        starts = torch.stack([images[i][k] for i, k in enumerate(nearest)])
    goals = [feature.detach() for feature in perceptual.features(targets)]
    last = []

    def loss(images: Tensor) -> LossValues:
        terms = {
            "l1": (images - targets).abs().mean((1, 2, 3)),
            "lpips": perceptual.distance(images, goals),
        }
        return LossValues(sum(TERMS[name] * value for name, value in terms.items()), terms)

    def keep(state: State, images: Tensor) -> None:
        last[:] = [images]

    state = State.begin(Latents(start, logits), steps, len(columns({"terms": TERMS})))
    descend(
        generator,
        loss,
        state,
        list(range(n)),
        steps=steps,
        optimizer=optimizer,
        temperature=1.0,
        truncation=1.0,
        micro_batch=n,
        after_step=keep,
    )
    return last[0], starts


def main() -> None:
    """20 samples, and the painting from as many starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--squeezenet", type=Path, required=True)
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--optimizer", type=Path, required=True, help="YAML of the pipeline's optimizer settings")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    generator = load(arguments.generator)
    perceptual = Perceptual("squeeze", arguments.squeezenet)
    optimizer = yaml.safe_load(arguments.optimizer.read_text())
    classes, n = generator.config.num_classes, arguments.count

    labels = torch.arange(n) % classes
    targets = sample(generator, labels, seed=77)
    crowd_labels = even_labels(40 * classes, classes)
    crowd = pair_distances(sample(generator, crowd_labels, seed=78), crowd_labels, perceptual, 20)
    fifth = crowd.quantile(0.05, dim=1)[labels]
    found, starts = approach(generator, perceptual, targets, arguments.steps, optimizer, seed=79)
    painting = picture_tensor(arguments.painting, generator.image_size).expand(n, -1, -1, -1)
    arrived, from_where = approach(generator, perceptual, painting, arguments.steps, optimizer, seed=80)
    with torch.no_grad():
        distance = perceptual.distance(found, targets)
        far = perceptual.distance(arrived, painting)
        begun = perceptual.distance(from_where, painting)
    figures = {
        "steps": arguments.steps,
        "recovered": distance.tolist(),
        "fifth_percentile": fifth.tolist(),
        "recovered_share": (distance < fifth).double().mean().item(),
        "recovered_median": distance.median().item(),
        "painting": sorted(far.tolist()),
        "painting_start_best": begun.min().item(),
        "painting_over_recovered": (far.min() / distance.median()).item(),
    }
    logger.info("%s", figures)
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")
    best = far.argsort()[:n]
    save_grid([targets, starts, found, painting, from_where[best], arrived[best]], arguments.pictures)


if __name__ == "__main__":
    main()
