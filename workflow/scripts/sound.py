"""The three channels of a film once more, with the loss to be heard."""

from pathlib import Path

import numpy as np

from approach.files import read_json
from approach.film.captions import channel_losses
from approach.film.sound import GROUND_NOTES, add_sound, drone
from approach.job import job

with job(snakemake.log[0], f"sound {snakemake.wildcards.film}") as log:
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    for channel, positions, note, film, output in zip(
        choice["channels"],
        timing["positions"],
        GROUND_NOTES,
        snakemake.input.films,
        snakemake.output.films,
        strict=True,
    ):
        rows = channel_losses(channel, tables)
        shown = np.minimum(positions, channel["last_step"])
        loss, gradient = (np.interp(shown, rows["step"], rows[key]) for key in ("loss", "gradient_norm"))
        sound = drone(loss, gradient, fps=timing["fps"], note=note, loop=snakemake.params.video["loop"])
        add_sound(Path(film), sound, Path(output))
    log.info("three channels of %d frames, at %s Hz", timing["frames"], ", ".join(map(str, GROUND_NOTES)))
