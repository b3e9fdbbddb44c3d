"""Go on with a trained generator: bring its samples to the statistics of the painted pictures."""

import argparse
import json
import logging
from pathlib import Path

from study.composing import compose_settings, refusal
from study.enlarging import enlarger_of
from study.exporting import write
from study.matching import begin, match
from study.measuring import SqueezeFeatures
from study.training import CHECKPOINT, Pictures, Trainer, record, save


def main() -> None:
    """Compose the configuration, match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--squeezenet", type=Path, required=True, help="whose features are compared")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    config = compose_settings(arguments.overrides)
    if refused := refusal(config["train"]):
        parser.error(refused)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config["generator"], config["discriminator"], config["train"])
    begin(trainer, Path(config["train"]["begin_from"]))
    pictures = Pictures(sorted(arguments.pictures))
    enlarger = enlarger_of(arguments.folder, pictures.images.flatten(0, 1), config["train"]["enlarger"], trainer.cast)
    network = SqueezeFeatures(arguments.squeezenet).network
    matched = match(trainer, network, enlarger, pictures, arguments.folder)
    save(trainer.state(), arguments.folder / "final.pt")
    told = {**record(trainer, pictures), "matched": matched}
    write(arguments.folder / "record.json", json.dumps(told, indent=2) + "\n")
    (arguments.folder / CHECKPOINT).unlink(missing_ok=True)  # the next one goes on from what is exported


if __name__ == "__main__":
    main()
