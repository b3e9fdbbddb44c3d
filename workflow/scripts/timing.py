"""Which moment of its walk each frame of a film shows."""

import json
from pathlib import Path

import numpy as np
from approach.film.timing import film_timing
from approach.job import job
from approach.trajectories import read_metadata

with job(snakemake.log[0], f"timing {snakemake.wildcards.film}") as log:
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    steps = [read_metadata(Path(channel["trajectory"]))["steps"] for channel in choice["channels"]]
    walks = [dict(np.load(path)) for path in snakemake.input.distances] or None
    timing = film_timing(snakemake.params.timing, steps, walks)
    Path(snakemake.output.timing).write_text(json.dumps(timing), encoding="utf-8")
    log.info("%d frames at %g a second", timing["frames"], timing["fps"])
