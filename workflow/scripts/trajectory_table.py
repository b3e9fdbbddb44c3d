"""A row per trajectory: where it began and ended, how near it came, how strange its arrival is."""

from pathlib import Path

from approach.job import job
from approach.pictures.stills_file import read_arrivals
from approach.pictures.tables import trajectory_table

with job(snakemake.log[0], "trajectories"):
    settings = snakemake.params.settings
    table = trajectory_table(
        settings=settings,
        batches=snakemake.params.batches,
        arrivals=read_arrivals(dict(zip(settings, snakemake.input.stills, strict=True))),
        metrics=[Path(path) for path in snakemake.input.metrics],
        losses=[Path(path) for path in snakemake.input.losses],
        trajectories=[Path(path) for path in snakemake.input.trajectories],
    )
    table.to_csv(snakemake.output.table, index=False)
