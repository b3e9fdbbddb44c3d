"""One table of what a setting's inversions logged."""

from pathlib import Path

from approach.batch_labels import checkpoint_of
from approach.job import job
from approach.pictures.tables import read_losses

with job(snakemake.log[0], f"losses {snakemake.wildcards.setting}"):
    paths = [Path(path) for path in snakemake.input.logs]
    read_losses(paths, snakemake.params.seeds).to_csv(snakemake.output.table, index=False)
    for path in paths:  # Snakemake has recorded these inversions, or this job would not run: their states may go
        checkpoint_of(path).unlink(missing_ok=True)
