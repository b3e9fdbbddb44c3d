"""How the picture changes along the trajectories of a film."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from approach.devices import resolve_device
from approach.files import read_json
from approach.film.frame_distance import frame_distances
from approach.job import job, progress
from approach.loading import open_generator
from approach.once import Thing, digest_of_arrays, digests_of_files, make_each_once
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"frame distance {snakemake.wildcards.film}") as log:
    torch.set_num_threads(snakemake.threads)
    files = snakemake.input
    choice = read_json(files.choice, "channels", "title")
    device = resolve_device(snakemake.params.device)
    common = {
        "files": digests_of_files(files, "architecture", "weights"),
        "code": snakemake.params.code,
        "parts": snakemake.params.parts,
        "device": torch.device(device).type,
    }

    @cache
    def generator_at(truncation):  # which may be swept
        return open_generator(files, truncation, device)

    def measured(output, trajectory):
        report = progress(f"channel {output.stem[-1]}: picture")
        generator = generator_at(trajectory.metadata["truncation"])
        np.savez(output, **frame_distances(generator, trajectory.z, trajectory.classes, report, snakemake.params.parts))

    things = []
    for channel, path in zip(choice["channels"], snakemake.output.distances, strict=True):
        trajectory, output = read_trajectory(Path(channel["trajectory"]), channel["seed"]), Path(path)
        made_of = {
            **common,
            "trajectory": digest_of_arrays(trajectory.z, trajectory.classes),
            "truncation": trajectory.metadata["truncation"],
        }
        things.append(Thing(output, made_of, partial(measured, trajectory=trajectory)))
    for thing, made in make_each_once(things, things[0].output.parents[2] / "made"):
        log.info("%s%s", thing.output.stem, "" if made else ", measured for another film")
