"""How the picture changes along one channel's walk."""

import json
from pathlib import Path

import numpy as np
import torch
from approach.change import change_along
from approach.inversion import resolve_device
from approach.job import Pace, job
from approach.showing import open_generator
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"change {snakemake.wildcards.film} {snakemake.wildcards.channel}") as log:
    torch.set_num_threads(snakemake.threads)
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    channel = choice["channels"][int(snakemake.wildcards.channel) - 1]
    walk = read_trajectory(Path(channel["trajectory"]), channel["seed"])
    device = resolve_device(snakemake.params.device)
    generator = open_generator(snakemake.input, walk.metadata["truncation"], device)
    pace = Pace(len(walk.z))

    def said(done, total):
        pace.total = total
        if pace.due():
            log.info("picture %d of %d, %s left", done, total, pace.left(done))

    np.savez(snakemake.output.change, **change_along(generator, walk.z, walk.classes, said))
