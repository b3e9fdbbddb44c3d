"""Where the searches ended, by closeness and by strangeness."""

import numpy as np
import pandas as pd
from approach.job import job
from approach.pictures.arrivals import arrivals_sheet, arrivals_table
from PIL import Image

with job(snakemake.log[0], "arrivals"):
    table = arrivals_table(pd.read_csv(snakemake.input.trajectory_table))
    pictures = {}
    for setting, path in zip(snakemake.params.settings, snakemake.input.stills, strict=True):
        with np.load(path) as stills:
            images = stills["images"][:, -1]
            pictures |= {
                f"{setting}/{seed}": image for seed, image in zip(stills["seeds"].tolist(), images, strict=True)
            }
    target = np.asarray(Image.open(snakemake.input.target).convert("RGB"))
    table.to_csv(snakemake.output.table, index=False)
    sheet = arrivals_sheet(table, pictures, target, title=f"{snakemake.wildcards.name}: arrivals")
    sheet.save(snakemake.output.sheet)
