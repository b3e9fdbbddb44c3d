"""A screen's film, repeated for hours through its tables."""

from pathlib import Path

from approach.files import read_json
from approach.film.repeat import repeat_film, repeats
from approach.job import job

with job(snakemake.log[0], f"repeat {snakemake.wildcards.screen}") as log:
    timing = read_json(snakemake.input.timing, "frames", "fps")
    times = repeats(snakemake.params.video["repeat_hours"], timing["frames"] / timing["fps"])
    frames = repeat_film(Path(snakemake.input.film), Path(snakemake.output.film), times)
    log.info("%d times, %d frames", times, frames)
