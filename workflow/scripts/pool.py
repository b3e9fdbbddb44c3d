"""Three members of a seed's pool, each as one trajectory, and what is said of each of their steps."""

from pathlib import Path

import numpy as np
import pandas as pd

from approach.biggan.config import class_names, read_config
from approach.files import read_json
from approach.film.captions import channel_losses
from approach.film.pool import member_of_stage
from approach.job import job
from approach.trajectories import TrajectoryFile, write_trajectories

with job(snakemake.log[0], f"pool {snakemake.wildcards.film}") as log:
    files = snakemake.input
    channels = read_json(files.choice, "channels", "title")["channels"]
    tables = dict(zip(snakemake.params.settings, files.losses, strict=True))
    names = class_names(files.get("class_names"), read_config(files.architecture))
    ways, rows = [], []
    for channel in channels:
        (member,) = channel["members"]
        file, logged = TrajectoryFile(Path(member["trajectory"])), channel_losses(member, tables)
        way, told = member_of_stage(file, member["seed"], member["stage"], logged, names)
        ways.append(way)
        rows += [{"seed": channel["seed"], "label": channel["label"], **row} for row in told]
        log.info("channel %d: %s, with a loss of %.4g", channel["channel"], channel["label"], told[-1]["loss"])
    pd.DataFrame(rows).to_csv(snakemake.output.table, index=False)
    steps = file.metadata["steps"]
    metadata = {
        **{key: file.metadata[key] for key in ("steps", "truncation", "latent")},
        "seeds": [channel["seed"] for channel in channels],
        "status": ["ok"] * len(channels),
        "last_step": [steps] * len(channels),
    }
    stacked = (np.stack(arrays) for arrays in zip(*ways, strict=True))
    write_trajectories(Path(snakemake.output.trajectories), metadata["seeds"], *stacked, metadata)
