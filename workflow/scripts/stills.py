"""Stills and metrics of a setting's trajectories."""

from pathlib import Path

import pandas as pd

from approach.batch_labels import members
from approach.devices import resolve_device
from approach.job import job
from approach.loading import open_generator, open_perceptual
from approach.pictures.stills import take_dropped, take_stills
from approach.pictures.stills_file import write_stills
from approach.target import read_target
from approach.trajectories import TrajectoryFile, read_trajectory

with job(snakemake.log[0], f"stills {snakemake.wildcards.setting}"):
    device = resolve_device(snakemake.params.device)
    places = {seed: Path(path) for path in snakemake.input.trajectories for seed in members(Path(path).stem)}
    seeds = sorted(seed for seed in places if seed in snakemake.params.seeds)
    trajectories = [read_trajectory(places[seed], seed) for seed in seeds]
    generator = open_generator(snakemake.input, trajectories[0].metadata["truncation"], device)
    net = open_perceptual(snakemake.input, snakemake.params.net, device)
    target = read_target(snakemake.input.target)
    steps, images, rows = take_stills(
        generator, trajectories, target, names=snakemake.params.metrics, count=snakemake.params.moments, net=net
    )
    dropped = take_dropped(generator, {seed: TrajectoryFile(places[seed]) for seed in seeds})
    write_stills(Path(snakemake.output.stills), seeds, steps, images, dropped)
    pd.DataFrame(rows).to_csv(snakemake.output.metrics, index=False)
