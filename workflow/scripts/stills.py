"""Stills and metrics of a setting's walks."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from approach.batch_labels import members
from approach.devices import resolve_device
from approach.job import job
from approach.loading import open_generator, open_perceptual
from approach.pictures.stills import take_stills
from approach.target import read_target
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"stills {snakemake.wildcards.setting}"):
    torch.set_num_threads(snakemake.threads)
    device = resolve_device(snakemake.params.device)
    wanted = set(snakemake.params.seeds)
    walks = [
        read_trajectory(Path(path), seed)
        for path in snakemake.input.trajectories
        for seed in members(Path(path).stem)
        if seed in wanted
    ]
    walks.sort(key=lambda walk: walk.seed)
    generator = open_generator(snakemake.input, walks[0].metadata["truncation"], device)
    net = open_perceptual(snakemake.input, snakemake.params.net, device)
    target = read_target(snakemake.input.target)
    arrays, rows = take_stills(
        generator, walks, target, names=snakemake.params.metrics, count=snakemake.params.moments, net=net
    )
    np.savez_compressed(snakemake.output.stills, **arrays)
    pd.DataFrame(rows).to_csv(snakemake.output.metrics, index=False)
