"""Write down what made the experiment."""

import os
import sys
from pathlib import Path

from approach.job import job
from approach.provenance import record
from approach.trajectories import read_metadata

with job(snakemake.log[0], "provenance"):
    text = record(
        config=snakemake.params.config,
        settings=snakemake.params.settings,
        films=snakemake.params.films,
        trajectories={str(path): read_metadata(Path(path)) for path in snakemake.input.trajectories},
        command=os.environ.get("APPROACH_COMMAND", " ".join(sys.argv)),
    )
    Path(snakemake.output.record).write_text(text, encoding="utf-8")
