"""Which step of its trajectory each frame of a film shows."""

from pathlib import Path

from approach.errors import UserError
from approach.files import read_json, write_json
from approach.film.timing import film_timing
from approach.job import job
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"timing {snakemake.wildcards.film}") as log:
    choice = read_json(snakemake.input.choice, "channels", "title")
    shown = [read_trajectory(Path(channel["trajectory"]), channel["seed"]) for channel in choice["channels"]]
    ends = [channel.get("until") for channel in choice["channels"]]
    lasts = [len(one.z) - 1 for one in shown]
    steps = [last if end is None else min(last, end) for last, end in zip(lasts, ends, strict=True)]
    if not any(steps):
        raise UserError(f"films.{choice['key']}.of: all three stand still at step 0; let one of them go on")
    stops = shown[0].metadata.get("stops")  # of a ring, whose channels lie in one file
    timing = film_timing(snakemake.params.timing, steps, [one.sketches for one in shown], stops)
    write_json(snakemake.output.timing, timing)
    log.info("%d frames at %g a second", timing["frames"], timing["fps"])
