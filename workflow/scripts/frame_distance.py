"""How the picture changes along one channel's trajectory."""

from pathlib import Path

import numpy as np
import torch

from approach.devices import resolve_device
from approach.files import read_json
from approach.film.frame_distance import frame_distances
from approach.job import Pace, job
from approach.loading import open_generator
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"frame distance {snakemake.wildcards.film} {snakemake.wildcards.channel}") as log:
    torch.set_num_threads(snakemake.threads)
    choice = read_json(snakemake.input.choice, "channels", "title")
    channel = choice["channels"][int(snakemake.wildcards.channel) - 1]
    trajectory = read_trajectory(Path(channel["trajectory"]), channel["seed"])
    device = resolve_device(snakemake.params.device)
    generator = open_generator(snakemake.input, trajectory.metadata["truncation"], device)
    pace = Pace(len(trajectory.z))

    def report(done, total):
        pace.total = total
        if pace.due():
            log.info("picture %d of %d, %s left", done, total, pace.left(done))

    found = frame_distances(generator, trajectory.z, trajectory.classes, report)
    np.savez(snakemake.output.distances, **found)
