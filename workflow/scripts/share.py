"""A film for the world: WebM, animated WebP, and stills of its moments."""

from pathlib import Path

import numpy as np

from approach.files import read_json
from approach.film.captions import film_strips
from approach.film.encode import encode_film
from approach.film.share import moving_picture, stills
from approach.job import job

with job(snakemake.log[0], f"share {snakemake.wildcards.film}") as log:
    look, folder = snakemake.params.look, Path(snakemake.output.webm).parent
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    encode_film(
        [Path(path) for path in snakemake.input.frames],
        Path(snakemake.output.webm),
        fps=timing["fps"],
        count=timing["frames"],
        look={**look, "margin": look["gap"]},
        codec={"webm": True, "metadata": snakemake.params.metadata},
        captions=film_strips(choice, timing, range(3), look["captions"], look, tables),
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    film = Path(snakemake.input.film)
    width = moving_picture(film, Path(snakemake.output.webp), fps=timing["fps"], frames=timing["frames"])
    positions = np.max(timing["positions"], axis=0)  # one channel may end sooner than the others
    stills(film, folder, int(positions.argmax()))
    log.info("animated WebP %d px wide, %.1f MB", width, Path(snakemake.output.webp).stat().st_size / 1e6)
