"""A ring's three channels, each as one trajectory, and what is said of each of its steps."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approach.biggan.config import class_names, read_config
from approach.devices import resolve_device
from approach.errors import UserError
from approach.files import read_json
from approach.film.captions import channel_losses
from approach.job import job
from approach.loading import open_generator
from approach.losses.loading import open_loss
from approach.roads.passes import values_and_sketches_at
from approach.roads.passes_file import read_passes
from approach.roads.ring import join_ring, pass_latents, ring_rows, ring_sketches, straight
from approach.trajectories import class_part, read_trajectory, write_trajectories

with job(snakemake.log[0], f"ring {snakemake.wildcards.film}") as log:
    params, files = snakemake.params, snakemake.input
    device = resolve_device(params.device)
    channels = read_json(files.choice, "channels", "title")["channels"]
    members = [member for channel in channels for member in channel["members"]]
    tables = dict(zip(params.settings, files.losses, strict=True))
    logged = [channel_losses(member, tables).set_index("step").to_dict("index") for member in members]
    names = class_names(files.get("class_names"), read_config(files.architecture))
    trajectories = [read_trajectory(Path(member["trajectory"]), member["seed"]) for member in members]
    made = {(one.metadata["truncation"], class_part(one.metadata), len(one.z)) for one in trajectories}
    if len(made) > 1:
        raise UserError(
            f"film {snakemake.wildcards.film}: the trajectories of a ring have one truncation, one number of steps and "
            "one latent.classes; fix what differs under films:"
        )
    truncation, part, _ = made.pop()
    generator = open_generator(files, truncation, device)
    loss = open_loss(params.loss, files, params.net, device)
    found = read_passes(Path(files.passes[0]))[0] if files.passes else None

    @torch.inference_mode()
    def conditioning(z, classes):
        return generator.conditioning(*(torch.as_tensor(array, device=device) for array in (z, classes)))

    ways = [(one.z, one.classes) for one in trajectories]
    if found is not None and "mixtures" not in found and part == "classes":
        # A pass that was free has no class shares, and so the whole ring has none.
        part = "class_embedding"
        ways = [(z, conditioning(z, classes)[:, z.shape[1] :].cpu().numpy()) for z, classes in ways]
    whole, rows, each = [], [], len(members) // len(channels)
    for number, channel in enumerate(channels):
        own = slice(number * each, (number + 1) * each)
        pairs = range(own.start, own.stop, 2)
        if found is None:
            passes = [straight(ways[first], ways[first + 1]) for first in pairs]
        else:
            passes = [pass_latents(found, first // 2, ways[first][0].shape[1]) for first in pairs]
        way, stops, told = join_ring(ways[own], passes, [member["label"] for member in members[own]])
        between = [step for step, said in enumerate(told) if said["member"] is None]
        crossed = conditioning(*(array[between] for array in way))
        values, sketches = values_and_sketches_at(generator, loss, crossed)
        rows += ring_rows(channel["seed"], told, way[1], logged[own], values.tolist(), names)
        known = [one.sketches for one in trajectories[own]]
        whole.append((*way, ring_sketches(told, known, sketches.cpu().numpy())))
        log.info("channel %d: %d steps, %d of them between trajectories", number + 1, len(told) - 1, len(between))
    pd.DataFrame(rows).to_csv(snakemake.output.table, index=False)
    steps = len(whole[0][0]) - 1
    metadata = {
        "seeds": [channel["seed"] for channel in channels],
        "status": ["ok"] * len(channels),
        "last_step": [steps] * len(channels),
        "steps": steps,
        "stops": stops,  # alike in all channels, since their trajectories are equally long
        "truncation": truncation,
        "latent": {"classes": "embedding" if part == "class_embedding" else "softmax"},
    }
    stacked = (np.stack(arrays) for arrays in zip(*whole, strict=True))
    write_trajectories(Path(snakemake.output.trajectories), metadata["seeds"], *stacked, metadata)
