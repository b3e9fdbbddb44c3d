"""A row per journey: where it began and ended, how near it came, how strange its arrival is."""

from pathlib import Path

from approach.job import job
from approach.pictures.tables import trajectory_table

with job(snakemake.log[0], "trajectories"):
    table = trajectory_table(
        settings=snakemake.params.settings,
        batches=snakemake.params.batches,
        stills=[Path(path) for path in snakemake.input.stills],
        metrics=[Path(path) for path in snakemake.input.metrics],
        losses=[Path(path) for path in snakemake.input.losses],
        trajectories=[Path(path) for path in snakemake.input.trajectories],
    )
    table.to_csv(snakemake.output.table, index=False)
