"""All loss curves."""

from pathlib import Path

import pandas as pd
from approach.job import job
from approach.pictures.plots import losses_plot

with job(snakemake.log[0], "losses"):
    axes = ["loss_name" if key == "loss" else key for key in snakemake.params.axes]
    losses_plot(
        pd.read_parquet(snakemake.input.table),
        Path(snakemake.output.plot),
        axes=axes,
        title=snakemake.wildcards.name,
    )
