"""The contact sheet of the experiment: settings by seeds, arrivals only."""

import numpy as np
import pandas as pd
from approach.job import job
from approach.pictures.montage import experiment_sheet
from PIL import Image

with job(snakemake.log[0], "montage"):
    trajectories = pd.read_csv(snakemake.input.trajectory_table)
    settings, seeds = [], sorted(trajectories["seed"].unique().tolist())
    for setting, path in zip(snakemake.params.settings, snakemake.input.stills, strict=True):
        stills = np.load(path)
        rows = trajectories[trajectories["setting"] == setting].set_index("seed")
        arrivals = {
            seed: {
                "image": images[-1],
                "caption": f"{rows['final_loss'][seed]:.3g}",
                "failed": rows["status"][seed] == "failed",
            }
            for seed, images in zip(stills["seeds"].tolist(), stills["images"], strict=True)
        }
        settings.append({"label": [part.replace("~", " ") for part in setting.split("+")], "arrivals": arrivals})
    target = np.asarray(Image.open(snakemake.input.target).convert("RGB"))
    title = f"{snakemake.wildcards.name}: arrivals"
    sheet = experiment_sheet(settings, seeds, target, title=title, tile=snakemake.params.tile)
    sheet.save(snakemake.output.sheet)
