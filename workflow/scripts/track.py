"""Replay a setting's trajectories, or the experiment as a whole, into a tracker."""

import json
from pathlib import Path

from filelock import FileLock

from approach.job import job
from approach.tracking import experiment_run, replay, trajectory_runs

with job(snakemake.log[0], "track") as log:
    params, output = snakemake.params, Path(snakemake.output.runs)
    if setting := snakemake.wildcards.get("setting"):
        paths = [Path(snakemake.input[key]) for key in ("losses", "metrics", "stills")]
        runs = trajectory_runs(setting, params.config, *paths)
    else:
        runs = [experiment_run(params.config, list(snakemake.input))]
    folder = output.parent.parent if setting else output.parent
    with FileLock(folder / ".tracker.lock"):  # a tracker's store takes one writer
        sent = replay(params.tracker, snakemake.wildcards.name, runs, folder / "tensorboard")
    output.write_text(json.dumps(sent, indent=2) + "\n", encoding="utf-8")
    log.info("%d runs are in %s", len(sent), params.tracker)
