"""All loss curves."""

from pathlib import Path

from approach.files import read_table
from approach.job import job
from approach.pictures.plots import losses_plot
from approach.pictures.tables import axis_column

with job(snakemake.log[0], "losses"):
    losses_plot(
        read_table(snakemake.input.table, "setting", "seed"),
        Path(snakemake.output.plot),
        axes=[axis_column(key) for key in snakemake.params.axes],
        title=snakemake.wildcards.name,
    )
