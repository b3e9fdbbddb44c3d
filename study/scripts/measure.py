"""Measure the exported generator against drawn pictures; the figures go into a JSON file."""

import argparse
import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.losses.perceptual import Perceptual
from study.measuring import (
    SqueezeFeatures,
    accuracy,
    blur,
    class_features,
    classifier,
    colour_classifier,
    drawn,
    even_labels,
    fit,
    frechet_distance,
    load,
    pair_distances,
    sample,
)

REDUCED = 64  # px, at which larger samples are measured once more, to stand beside the first generator's

logger = logging.getLogger("measure")


def ladder(
    features_of: Callable[[Tensor], Tensor], samples: Tensor, untrained: Tensor, pictures: Tensor, others: Tensor
) -> dict:
    """Frechet distances to held-out pictures: of samples, of other pictures, sharp and blurred, of an untrained net."""
    ideal = features_of(others)
    features = {
        "samples": features_of(samples),
        "drawn": features_of(pictures),
        "untrained": features_of(untrained),
        **{f"blurred {sigma} px": features_of(blur(pictures, sigma)) for sigma in (0.5, 1.0, 2.0)},
    }
    return {name: frechet_distance(rung, ideal) for name, rung in features.items()}


def main() -> None:
    """Frechet distances, classifiers, diversity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True, help="folder of the exported generator")
    parser.add_argument("--untrained", type=Path, required=True, help="folder of an exported untrained generator")
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="shards that it was trained on")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True, help="shards that it never saw")
    parser.add_argument("--squeezenet", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    torch.manual_seed(0)
    count = arguments.samples

    pictures, labels = drawn(arguments.train, count)
    others, other_labels = drawn(arguments.held_out, count)
    generator = load(arguments.generator)
    classes = generator.config.num_classes
    sample_labels = even_labels(count, classes)
    samples = sample(generator, sample_labels, seed=1)
    squeeze = SqueezeFeatures(arguments.squeezenet)
    sets = samples, sample(load(arguments.untrained), sample_labels, seed=1), pictures, others
    frechet = ladder(squeeze, *sets)
    logger.info("Frechet %s", frechet)
    times = generator.image_size // REDUCED
    reduced = ladder(squeeze, *(F.avg_pool2d(images, times) for images in sets)) if times > 1 else None
    logger.info("Frechet at %d px %s", REDUCED, reduced)

    knowing = fit(classifier(classes), pictures, labels, epochs=12)
    colours = fit(colour_classifier(classes), pictures, labels, epochs=40)
    recognised = {
        "held-out pictures": accuracy(knowing, others, other_labels),
        "samples": accuracy(knowing, samples, sample_labels),
        "held-out pictures by mean colour": accuracy(colours, others, other_labels),
        "samples by mean colour": accuracy(colours, samples, sample_labels),
    }
    known = ladder(functools.partial(class_features, knowing), *sets)
    logger.info("Frechet by the classifier's features %s", known)
    by_class = [
        accuracy(knowing, samples[sample_labels == k], sample_labels[sample_labels == k]) for k in range(classes)
    ]
    logger.info("recognised %s", recognised)

    perceptual = Perceptual("squeeze", arguments.squeezenet)
    pairs = 50
    diversity = {
        "samples": pair_distances(samples, sample_labels, perceptual, pairs).mean(1).tolist(),
        "pictures": pair_distances(others, other_labels, perceptual, pairs).mean(1).tolist(),
    }
    figures = {
        "frechet": frechet,
        "frechet_reduced": reduced,
        "frechet_classifier": known,
        "recognised": recognised,
        "recognised_by_class": by_class,
        "diversity": diversity,
    }
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
