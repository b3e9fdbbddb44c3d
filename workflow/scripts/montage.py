"""The contact sheet of a setting."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from approach.job import job
from approach.pictures.montage import setting_sheet
from approach.trajectories import TrajectoryFile

with job(snakemake.log[0], f"montage {snakemake.wildcards.setting}"):
    losses = pd.read_csv(snakemake.input.losses).set_index(["seed", "step"])["loss"]
    files = [TrajectoryFile(Path(path)) for path in snakemake.input.trajectories]
    outcomes = {seed: file.outcome(seed) for file in files for seed in file.metadata["seeds"]}
    with np.load(snakemake.input.stills) as stills:
        shown = stills["steps"].tolist()
        trajectories = [
            {
                "seed": seed,
                "images": list(images),
                "losses": [float(losses[seed, step]) for step in shown],
                "status": outcomes[seed].status,
                "last_step": outcomes[seed].last_step,
            }
            for seed, images in zip(stills["seeds"].tolist(), stills["images"], strict=True)
        ]
    sheet = setting_sheet(
        trajectories,
        shown,
        np.asarray(Image.open(snakemake.input.target).convert("RGB")),
        title=snakemake.wildcards.setting.replace("+", " · ").replace("~", " "),
        subtitle=snakemake.wildcards.name,
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
