"""Where the trajectories ended: a table and a gallery, by closeness and by strangeness."""

import numpy as np
import pandas as pd
from PIL import Image

from approach.job import job
from approach.pictures.arrivals import arrivals_sheet, arrivals_table
from approach.pictures.stills_file import read_arrivals

with job(snakemake.log[0], "arrivals"):
    table = arrivals_table(pd.read_csv(snakemake.input.trajectory_table))
    pictures = read_arrivals(dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True)))
    target = np.asarray(Image.open(snakemake.input.target).convert("RGB"))
    table.to_csv(snakemake.output.table, index=False)
    sheet = arrivals_sheet(table, pictures, target, title=f"{snakemake.wildcards.name}: arrivals")
    sheet.save(snakemake.output.sheet)
