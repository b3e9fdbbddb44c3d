"""One channel, or all three side by side, as a film that plays anywhere."""

from pathlib import Path

from approach.files import read_json
from approach.film.captions import film_strips
from approach.film.encode import encode_film
from approach.job import job

with job(snakemake.log[0], f"encode {snakemake.wildcards.film} {snakemake.params.channels}") as log:
    look = snakemake.params.look
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    shown = [int(number) - 1 for number in snakemake.params.channels]
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    if len(shown) > 1:
        look = {**look, "margin": look["gap"]}
    frames = snakemake.input.frames
    encode_film(
        [Path(path) for path in ([frames] if isinstance(frames, str) else frames)],
        Path(snakemake.output.film),
        fps=timing["fps"],
        count=timing["frames"],
        look=look,
        codec=look,
        captions=film_strips(choice, timing, shown, look["captions"], look, tables),
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames at %d a second", timing["frames"], timing["fps"])
