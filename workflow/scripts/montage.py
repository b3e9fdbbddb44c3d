"""The contact sheet of a setting."""

from pathlib import Path

import numpy as np
import pandas as pd
from approach.job import job
from approach.pictures.montage import setting_sheet
from approach.trajectories import TrajectoryFile
from PIL import Image

with job(snakemake.log[0], f"montage {snakemake.wildcards.setting}"):
    stills = np.load(snakemake.input.stills)
    losses = pd.read_csv(snakemake.input.losses)
    shown = stills["steps"].tolist()
    ends = {}
    for path in snakemake.input.trajectories:
        file = TrajectoryFile(Path(path))
        ends |= {seed: file.outcome(seed) for seed in file.metadata["seeds"]}
    walks = []
    for seed, images in zip(stills["seeds"].tolist(), stills["images"], strict=True):
        curve = losses[losses["seed"] == seed].set_index("step")["loss"]
        status, last_step = ends[seed]
        walks.append(
            {
                "seed": seed,
                "images": list(images),
                "losses": [float(curve[step]) for step in shown],
                "status": status,
                "last_step": last_step,
            }
        )
    target = np.asarray(Image.open(snakemake.input.target).convert("RGB"))
    title = snakemake.wildcards.setting.replace("+", " · ").replace("~", " ")
    sheet = setting_sheet(
        walks, shown, target, title=title, subtitle=snakemake.wildcards.name, tile=snakemake.params.tile
    )
    sheet.save(snakemake.output.sheet)
