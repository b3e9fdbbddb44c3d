"""One screen of an exhibition, in one of its two forms."""

from pathlib import Path

from approach.files import read_json
from approach.film.captions import film_strips
from approach.film.encode import encode_film
from approach.film.exhibition import BLACK, SCREENS, players_codec, screen_look
from approach.job import job

with job(snakemake.log[0], f"exhibition {snakemake.wildcards.screen}.{snakemake.wildcards.form}") as log:
    video, output = snakemake.params.video, Path(snakemake.output.film)
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    shown = [number - 1 for number in SCREENS[snakemake.wildcards.screen]]
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    look = screen_look(snakemake.wildcards.screen, video, video["captions"])
    codec = {"prores": True} if snakemake.wildcards.form == "mov" else players_codec(video)
    found = encode_film(
        [Path(snakemake.input.frames[number]) for number in shown],
        output,
        fps=timing["fps"],
        count=timing["frames"],
        look=look,
        codec={**codec, "metadata": snakemake.params.metadata},
        captions=film_strips(choice, timing, shown, video["captions"], look, tables, BLACK),
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames of %d x %d", found["frames"], found["width"], found["height"])
