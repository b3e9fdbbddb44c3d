"""One table of what all inversions of the experiment logged."""

from pathlib import Path

from approach.job import job
from approach.pictures.tables import gather_losses

with job(snakemake.log[0], "losses"):
    settings = snakemake.params.settings
    paths = {setting: Path(path) for setting, path in zip(settings, snakemake.input.tables, strict=True)}
    gather_losses(paths, settings).to_parquet(snakemake.output.table, index=False)
