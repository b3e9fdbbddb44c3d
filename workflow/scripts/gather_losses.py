"""One table of what all inversions of the experiment logged, and a plot of all loss curves."""

from pathlib import Path

from approach.job import job
from approach.pictures.plots import losses_plot
from approach.pictures.tables import axis_column, gather_losses

with job(snakemake.log[0], "losses"):
    settings = snakemake.params.settings
    paths = {setting: Path(path) for setting, path in zip(settings, snakemake.input.tables, strict=True)}
    table = gather_losses(paths, settings)
    table.to_parquet(snakemake.output.table, index=False)
    axes = [axis_column(key) for key in snakemake.params.axes]
    losses_plot(
        table,
        Path(snakemake.output.plot),
        axes=axes,
        title=snakemake.wildcards.name,
        departures=snakemake.params.departures,
    )
