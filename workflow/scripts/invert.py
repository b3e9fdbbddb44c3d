"""Invert a batch of seeds."""

from pathlib import Path

from approach.batch_labels import checkpoint_of, members
from approach.inversion.batch import Sources, invert
from approach.inversion.checkpoint import Interrupted
from approach.job import job

with job(snakemake.log[0], f"invert {snakemake.wildcards.setting} {snakemake.wildcards.seeds}") as log:
    trajectories = Path(snakemake.output.trajectories)
    sources = {name: Path(path) for name, path in snakemake.input.items()}
    try:
        invert(
            members(snakemake.wildcards.seeds),
            snakemake.params.config,
            snakemake.params.code,
            Sources(**sources),
            trajectories,
            Path(snakemake.output.table),
            checkpoint_of(trajectories),
            snakemake.params.labels,
        )
    except Interrupted as why:
        log.warning("%s", why)
        raise SystemExit(1) from None
