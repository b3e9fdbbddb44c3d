"""The clip that lines up one screen with the others."""

from pathlib import Path

from approach.film.encode import encode_frames
from approach.film.exhibition import LINE_UP_SECONDS, line_up_frames, players_codec
from approach.job import job

with job(snakemake.log[0], f"line-up {snakemake.wildcards.screen}") as log:
    video = snakemake.params.video
    count = LINE_UP_SECONDS * video["fps"]
    encode_frames(
        line_up_frames(snakemake.wildcards.screen, video, count, video["fps"]),
        Path(snakemake.output.film),
        fps=video["fps"],
        count=count,
        codec=players_codec(video),
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames", count)
