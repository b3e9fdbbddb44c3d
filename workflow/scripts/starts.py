"""Where every inversion of the experiment began."""

from pathlib import Path

import pandas as pd

from approach.biggan.config import class_names, read_config
from approach.job import job
from approach.pictures.tables import start_rows
from approach.trajectories import TrajectoryFile

with job(snakemake.log[0], "starts"):
    names = class_names(snakemake.input.get("class_names"), read_config(snakemake.input.architecture))
    files, rows = iter(snakemake.input.trajectories), []
    for setting, batches in snakemake.params.batches.items():
        for seeds in batches.values():
            file = TrajectoryFile(Path(next(files)))
            trajectories = [file.trajectory(seed) for seed in seeds]
            rows += [{"setting": setting, **row} for row in start_rows(trajectories, names)]
    pd.DataFrame(rows).to_csv(snakemake.output.table, index=False)
