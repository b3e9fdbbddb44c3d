"""Bake a checkpoint (or, without one, an untrained network) into the files that the pipeline loads."""

import argparse
import json
import logging
from pathlib import Path

import torch

from study.composing import compose_settings
from study.exporting import export
from study.growing import first_new_layer
from study.training import Trainer, as_config

logger = logging.getLogger("export")


def main() -> None:
    """Compose the configuration, restore the checkpoint, export its running average."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=256, help="samples behind each row of statistics")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    config = compose_settings(arguments.overrides)
    trainer = Trainer(config["generator"], config["discriminator"], config["train"])
    taught_from = None
    if arguments.checkpoint and config["train"]["script"] == "enlarge":
        elder = json.loads((Path(config["train"]["begin_from"]) / "config.json").read_text())
        taught_from = first_new_layer(as_config(config["generator"]), as_config(elder))
    if arguments.checkpoint and config["train"]["script"] == "match":
        taught_from = 0
    if arguments.checkpoint:
        trainer.restore(torch.load(arguments.checkpoint, weights_only=True, map_location=trainer.device))
    export(
        trainer.averaged(),
        trainer.discriminator.as_discriminator(),
        config["discriminator"],
        arguments.folder,
        samples=arguments.samples,
        taught_from=taught_from,
        steps=trainer.step,
        images=trainer.images,
        seconds=trainer.seconds,
    )
    size = sum(path.stat().st_size for path in arguments.folder.glob("*.safetensors")) / 1e6
    logger.info("exported step %d to %s: %.2f MB", trainer.step, arguments.folder, size)


if __name__ == "__main__":
    main()
