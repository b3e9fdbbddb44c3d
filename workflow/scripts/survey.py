"""The loss on the plane through a film's three arrivals."""

from pathlib import Path

import numpy as np

from approach.devices import device_kind, resolve_device
from approach.files import read_json
from approach.job import job, progress
from approach.loading import open_generator
from approach.losses.loading import open_loss
from approach.once import digest_of_arrays, digests_of_files, make_once
from approach.pictures.readings import surveyed_order
from approach.pictures.survey import survey
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"survey {snakemake.wildcards.film}") as log:
    params, files = snakemake.params, snakemake.input
    device = resolve_device(params.device)
    channels = read_json(files.choice, "channels", "title")["channels"]
    channels = [channels[place] for place in surveyed_order(channels)]
    trajectories = [read_trajectory(Path(channel["trajectory"]), channel["seed"]) for channel in channels]
    truncation = trajectories[0].metadata["truncation"]
    latents = [(trajectory.z, trajectory.classes) for trajectory in trajectories]

    def surveyed(output):
        generator = open_generator(files, truncation, device)
        loss = open_loss(params.loss, files, params.net, device)
        found = survey(generator, loss, latents, params.grid, progress("point"))
        np.savez(output, **found)
        log.info("%d x %d points", *found["surface"].shape[::-1])

    output = Path(snakemake.output.survey)
    names = ("architecture", "weights", "target", "backbone", "discriminator", "discriminator_config")
    made_of = {
        "trajectories": [digest_of_arrays(*each) for each in latents],
        "truncation": truncation,
        "files": digests_of_files(files, *names),
        "params": {key: params[key] for key in ("loss", "own", "grid", "net", "code")},
        "device": device_kind(device),
    }
    if not make_once(output, output.parents[2] / "made", made_of, surveyed):
        log.info("surveyed for another film")
