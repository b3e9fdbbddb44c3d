"""A row per journey: where it began and ended, how near it came, how strange its arrival is."""

from pathlib import Path

from approach.job import job
from approach.tables import journey_table

with job(snakemake.log[0], "journeys"):
    table = journey_table(
        settings=snakemake.params.settings,
        batches=snakemake.params.batches,
        stills=[Path(path) for path in snakemake.input.stills],
        measures=[Path(path) for path in snakemake.input.measures],
        losses=[Path(path) for path in snakemake.input.losses],
        trajectories=[Path(path) for path in snakemake.input.trajectories],
    )
    table.to_csv(snakemake.output.table, index=False)
