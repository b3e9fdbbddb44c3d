"""The films of an exhibition under the names that each player wants."""

from fractions import Fraction
from pathlib import Path

from approach.film.exhibition import SCREENS
from approach.film.players import lay_out
from approach.film.probe import count_frames
from approach.job import job

with job(snakemake.log[0], f"players {snakemake.wildcards.film}") as log:
    films = {screen: Path(snakemake.input[screen]) for screen in SCREENS}
    line_ups = {screen: Path(snakemake.input[f"line_up_{screen}"]) for screen in SCREENS}
    seconds = Fraction(count_frames(films["left"]), snakemake.params.video["fps"])
    lay_out(Path(snakemake.output.players), films, line_ups, seconds)
    log.info("%.0f minutes a film", seconds / 60)
