"""Invert a batch of seeds."""

from pathlib import Path

from approach.batch_labels import checkpoint_of, members
from approach.inversion.batch import Sources, invert
from approach.inversion.checkpoint import Interrupted
from approach.inversion.starts import Begin
from approach.job import job

labels, found = snakemake.params.labels, snakemake.params.get("begin")
with job(snakemake.log[0], f"invert {labels['setting']} {snakemake.wildcards.seeds}") as log:
    trajectories = Path(snakemake.output.trajectories)
    sources = {name: Path(path) for name, path in snakemake.input.items()}
    named = (name for name in sources if name.startswith("destination_"))
    before = sorted(named, key=lambda name: int(name.rpartition("_")[2]))
    sources["destinations"] = tuple(sources.pop(name) for name in before)
    begin = None
    if found:
        sources["start"] = sources.get("start") or Path(found["file"])
        begin = Begin(found["said"], sources["start"], found["seed"], found["step"])
    try:
        invert(
            members(snakemake.wildcards.seeds),
            snakemake.params.config,
            snakemake.params.code,
            Sources(**sources),
            trajectories,
            Path(snakemake.output.table),
            checkpoint_of(trajectories),
            labels,
            begin,
        )
        if start := snakemake.input.get("start"):  # Snakemake has recorded its inversion: the state may go
            checkpoint_of(Path(start)).unlink(missing_ok=True)
    except Interrupted as why:
        log.warning("%s", why)
        raise SystemExit(1) from None
