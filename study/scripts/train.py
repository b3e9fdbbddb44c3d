"""Train the generator: resumes from its checkpoint, stops at the end that the configuration names."""

import argparse
import json
import logging
from pathlib import Path

from approach.biggan.config import read_config
from approach.losses.perceptual import Perceptual
from study.composing import compose_settings
from study.exporting import write
from study.training import Pictures, Trainer, train


def main() -> None:
    """Compose the configuration and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--squeezenet", type=Path, help="weights of LPIPS, where train.weight_lpips is above 0")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    config = compose_settings(arguments.overrides)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write(arguments.folder / "config.json", json.dumps(config["generator"], indent=2) + "\n")
    read_config(arguments.folder / "config.json")  # what the pipeline could not load is refused before the first step
    perceptual = None
    if config["train"]["weight_lpips"] > 0:
        if arguments.squeezenet is None:
            parser.error("train.weight_lpips is above 0: give --squeezenet")
        perceptual = Perceptual("squeeze", arguments.squeezenet, device=config["train"]["device"])
    trainer = Trainer(config["generator"], config["discriminator"], config["train"], perceptual)
    train(trainer, Pictures(sorted(arguments.pictures), trainer.device), arguments.folder)


if __name__ == "__main__":
    main()
