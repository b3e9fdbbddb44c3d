"""Stills and measures of a setting's walks."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from approach.batches import members
from approach.generator import load_generator, read_config, read_weights
from approach.inversion import resolve_device
from approach.job import job
from approach.perceptual import Perceptual
from approach.stills import take_stills
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
    architecture = read_config(snakemake.input.architecture)
    generator = load_generator(
        read_weights(snakemake.input.weights, architecture),
        architecture,
        truncation=walks[0].metadata["truncation"],
        device=device,
    )
    backbone = snakemake.input.get("backbone")
    net = Perceptual(snakemake.params.net, backbone, device=device) if backbone else None
    target = read_target(snakemake.input.target)
    arrays, rows = take_stills(
        generator, walks, target, names=snakemake.params.measures, count=snakemake.params.moments, net=net
    )
    np.savez_compressed(snakemake.output.stills, **arrays)
    pd.DataFrame(rows).to_csv(snakemake.output.measures, index=False)
