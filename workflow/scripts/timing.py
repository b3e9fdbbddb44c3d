"""Which step of its trajectory each frame of a film shows."""

from pathlib import Path

from approach.errors import UserError
from approach.files import read_json, read_npz, write_json
from approach.film.timing import film_timing
from approach.job import job
from approach.trajectories import read_metadata

with job(snakemake.log[0], f"timing {snakemake.wildcards.film}") as log:
    choice = read_json(snakemake.input.choice, "channels", "title")
    about = [read_metadata(Path(channel["trajectory"])) for channel in choice["channels"]]
    ends = [channel.get("until") for channel in choice["channels"]]
    steps = [one["steps"] if end is None else min(one["steps"], end) for one, end in zip(about, ends, strict=True)]
    if not any(steps):
        raise UserError(f"films.{choice['key']}.of: all three stand still at step 0; let one of them go on")
    stops = about[0].get("stops")  # of a ring, whose channels lie in one file
    changes = [read_npz(path) for path in snakemake.input.distances] or None
    timing = film_timing(snakemake.params.timing, steps, changes, stops)
    write_json(snakemake.output.timing, timing)
    log.info("%d frames at %g a second", timing["frames"], timing["fps"])
