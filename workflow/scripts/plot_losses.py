"""All loss curves."""

from pathlib import Path

import pandas as pd

from approach.job import job
from approach.pictures.plots import losses_plot
from approach.pictures.tables import axis_column

with job(snakemake.log[0], "losses"):
    losses_plot(
        pd.read_parquet(snakemake.input.table),
        Path(snakemake.output.plot),
        axes=[axis_column(key) for key in snakemake.params.axes],
        title=snakemake.wildcards.name,
    )
