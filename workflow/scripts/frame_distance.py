"""How the picture changes along the trajectories of a film."""

from pathlib import Path

import numpy as np
import torch

from approach.devices import resolve_device
from approach.files import read_json
from approach.film.frame_distance import frame_distances
from approach.job import Pace, job
from approach.loading import open_generator
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"frame distance {snakemake.wildcards.film}") as log:
    torch.set_num_threads(snakemake.threads)
    choice = read_json(snakemake.input.choice, "channels", "title")
    device = resolve_device(snakemake.params.device)
    trajectories = [read_trajectory(Path(channel["trajectory"]), channel["seed"]) for channel in choice["channels"]]
    generator = open_generator(snakemake.input, trajectories[0].metadata["truncation"], device)
    pace = Pace(len(trajectories) * len(trajectories[0].z))
    made = 0

    def report(done, total):
        pace.total = len(trajectories) * total
        if pace.due():
            log.info("picture %d of %d, %s left", made + done, pace.total, pace.left(made + done))

    for trajectory, file in zip(trajectories, snakemake.output.distances, strict=True):
        found = frame_distances(generator, trajectory.z, trajectory.classes, report)
        made += len(found["positions"])
        np.savez(file, **found)
