"""The three channels and the triptych of a film, as files that play anywhere."""

from pathlib import Path

from approach.files import read_json
from approach.film.captions import film_strips
from approach.film.encode import encode_triptych
from approach.job import job

with job(snakemake.log[0], f"encode {snakemake.wildcards.film}") as log:
    look = snakemake.params.look
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    shown = range(len(snakemake.output.channels))
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    encode_triptych(
        [Path(path) for path in snakemake.input.frames],
        [Path(path) for path in snakemake.output.channels],
        Path(snakemake.output.triptych),
        fps=timing["fps"],
        count=timing["frames"],
        look={**look, "margin": look["gap"]},
        codec={**look, "metadata": snakemake.params.metadata},
        captions=film_strips(choice, timing, shown, look["captions"], look, tables),
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames at %d a second", timing["frames"], timing["fps"])
