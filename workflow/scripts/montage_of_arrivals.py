"""The contact sheet of the experiment: settings by seeds, arrivals only."""

import numpy as np
import pandas as pd
from PIL import Image

from approach.job import job
from approach.pictures.montage import experiment_sheet, setting_entries
from approach.pictures.stills_file import read_arrivals

with job(snakemake.log[0], "montage"):
    table = pd.read_csv(snakemake.input.trajectory_table)
    pictures = read_arrivals(dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True)))
    sheet = experiment_sheet(
        setting_entries(table, snakemake.params.settings, pictures),
        sorted(table["seed"].unique().tolist()),
        np.asarray(Image.open(snakemake.input.target).convert("RGB")),
        title=f"{snakemake.wildcards.name}: arrivals",
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
