"""Grow a generator to twice its size: learn to enlarge, then teach the new blocks what that makes of its samples."""

import argparse
import json
import logging
from pathlib import Path

from study.composing import compose_settings, refusal
from study.enlarging import enlarger_of, teach
from study.exporting import write
from study.training import CHECKPOINT, Pictures, Trainer, record, save


def main() -> None:
    """Compose the configuration, learn, teach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    config = compose_settings(arguments.overrides)
    if refused := refusal(config["train"]):
        parser.error(refused)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config["generator"], config["discriminator"], config["train"])
    trainer.begin_from(Path(config["train"]["begin_from"]))
    pictures = Pictures(sorted(arguments.pictures))
    enlarger = enlarger_of(arguments.folder, pictures.images.flatten(0, 1), config["train"]["enlarger"], trainer.cast)
    teach(trainer, enlarger, config["train"]["teaching"], arguments.folder)
    save(trainer.state(), arguments.folder / "final.pt")
    write(arguments.folder / "record.json", json.dumps(record(trainer, pictures), indent=2) + "\n")
    (arguments.folder / CHECKPOINT).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
