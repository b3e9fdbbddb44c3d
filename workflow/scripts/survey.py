"""The loss on the plane through a film's three arrivals."""

from pathlib import Path

import numpy as np
import torch

from approach.devices import resolve_device
from approach.files import read_json
from approach.job import Pace, job
from approach.loading import open_generator
from approach.losses.loading import open_loss
from approach.pictures.survey import survey
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"survey {snakemake.wildcards.film}") as log:
    torch.set_num_threads(snakemake.threads)
    device = resolve_device(snakemake.params.device)
    choice = read_json(snakemake.input.choice, "channels", "title")
    trajectories = [read_trajectory(Path(channel["trajectory"]), channel["seed"]) for channel in choice["channels"]]
    generator = open_generator(snakemake.input, trajectories[0].metadata["truncation"], device)
    loss = open_loss(snakemake.params.loss, snakemake.input, snakemake.params.net, device)
    pace = Pace(1)

    def report(done, total):
        pace.total = total
        if pace.due():
            log.info("point %d of %d, %s left", done, total, pace.left(done))

    latents = [(trajectory.z, trajectory.classes) for trajectory in trajectories]
    found = survey(generator, loss, latents, snakemake.params.grid, report)
    np.savez(snakemake.output.survey, **found)
    log.info("%d x %d points", *found["surface"].shape[::-1])
