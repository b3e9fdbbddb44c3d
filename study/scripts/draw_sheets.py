"""The pictures of the model card: sample sheets at three truncations, strips, and drawn pictures for comparison."""

import argparse
import json
from pathlib import Path

import torch

from study import sheets
from study.measuring import drawn

TRUNCATIONS = (1.0, 0.6, 0.3)
PAIRS = [("shore", "desert"), ("lighthouse", "tower"), ("tree", "balloon"), ("lake", "city at night")]


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--shard", type=Path, required=True)
    parser.add_argument("--samples", type=Path, nargs=3, required=True, help="sheets at truncation 1.0, 0.6 and 0.3")
    parser.add_argument("--strips", type=Path, required=True)
    parser.add_argument("--drawn", type=Path, required=True)
    arguments = parser.parse_args()
    names = json.loads((arguments.generator / "classes.json").read_text())
    for truncation, path in zip(TRUNCATIONS, arguments.samples, strict=True):
        sheets.save_grid(sheets.sample_rows(arguments.generator, truncation, 12 if truncation == 1 else 8), path)
    pairs = [(names.index(a), names.index(b)) for a, b in PAIRS]
    sheets.save_grid(sheets.strips(arguments.generator, pairs), arguments.strips)
    images, labels = drawn([arguments.shard], 12 * len(names))
    sheets.save_grid([images[labels == label] for label in torch.unique(labels)], arguments.drawn)


if __name__ == "__main__":
    main()
