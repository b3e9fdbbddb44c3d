"""How near each setting comes, by every metric."""

from pathlib import Path

import pandas as pd

from approach.job import job
from approach.pictures.plots import metrics_plot
from approach.pictures.tables import axis_column

with job(snakemake.log[0], "metrics"):
    metrics_plot(
        pd.read_csv(snakemake.input.trajectory_table),
        Path(snakemake.output.plot),
        axes=[axis_column(key) for key in snakemake.params.axes],
        title=snakemake.wildcards.name,
    )
