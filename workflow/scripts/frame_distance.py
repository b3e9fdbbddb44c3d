"""How the picture changes along one channel's walk."""

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
    choice = read_json(snakemake.input.choice)
    channel = choice["channels"][int(snakemake.wildcards.channel) - 1]
    walk = read_trajectory(Path(channel["trajectory"]), channel["seed"])
    device = resolve_device(snakemake.params.device)
    generator = open_generator(snakemake.input, walk.metadata["truncation"], device)
    pace = Pace(len(walk.z))

    def said(done, total):
        pace.total = total
        if pace.due():
            log.info("picture %d of %d, %s left", done, total, pace.left(done))

    np.savez(snakemake.output.distances, **frame_distances(generator, walk.z, walk.classes, said))
