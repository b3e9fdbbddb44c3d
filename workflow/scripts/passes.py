"""The passes between a film's arrivals, or between the nearest of an experiment."""

from pathlib import Path

import numpy as np
import torch

from approach.devices import resolve_device
from approach.files import read_json, read_table
from approach.film.render import to_frames
from approach.job import job, progress
from approach.loading import open_generator
from approach.losses.loading import open_loss
from approach.pictures.arrivals import closeness_metric
from approach.pictures.readings import ridge
from approach.roads.pairs import experiment_arrivals, film_arrivals
from approach.roads.passes import find_passes
from approach.roads.passes_file import write_passes
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"passes {snakemake.wildcards.get('film', 'between arrivals')}") as log:
    device = resolve_device(snakemake.params.device)
    asked = snakemake.params.passes
    if "choice" in snakemake.input.keys():  # noqa: SIM118 - Snakemake's list of names
        arrived, between = film_arrivals(read_json(snakemake.input.choice, "channels", "title"))
    else:
        table = read_table(snakemake.input.table, "setting", "seed", "status", "trajectories")
        arrived, between = experiment_arrivals(table.to_dict("records"), closeness_metric(table), asked["arrivals"])
    trajectories = [read_trajectory(Path(one["trajectory"]), one["seed"]) for one in arrived]
    truncation = trajectories[0].metadata["truncation"]
    generator = open_generator(snakemake.input, truncation, device)
    loss = open_loss(snakemake.params.loss, snakemake.input, snakemake.params.net, device)
    arrivals = [np.stack([getattr(one, part)[-1] for one in trajectories]) for part in ("z", "classes")]
    found = find_passes(
        generator,
        loss,
        tuple(torch.as_tensor(part, device=device) for part in arrivals),
        between,
        points=asked["points"],
        steps=asked["steps"],
        bound=None if asked["free"] else 2 * truncation,
        report=progress("round"),
    )
    with torch.inference_mode():
        images = np.stack([to_frames(generator(band)) for band in found["bands"]])
    metadata = {
        "loss": snakemake.params.loss["name"],
        "free": asked["free"],
        "pairs": between,
        "labels": [one["label"] for one in arrived],
        "trajectories": [f"{one['setting']}/{one['seed']}" for one in arrived],
    }
    arrays = {name: value.cpu().numpy() for name, value in found.items()}
    write_passes(Path(snakemake.output.passes), {**arrays, "images": images}, metadata)
    for (a, b), straight, profile in zip(metadata["pairs"], arrays["straight"], arrays["profiles"], strict=True):
        log.info("%d to %d: %.3g high, %.3g along the straight line", a + 1, b + 1, ridge(profile), ridge(straight))
