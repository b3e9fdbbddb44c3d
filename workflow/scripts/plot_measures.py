"""How near each setting comes, by every measure."""

from pathlib import Path

import pandas as pd
from approach.job import job
from approach.plots import measures_plot

with job(snakemake.log[0], "measures"):
    measures_plot(
        pd.read_csv(snakemake.input.journeys),
        Path(snakemake.output.plot),
        axes=snakemake.params.axes,
        title=snakemake.wildcards.name,
    )
