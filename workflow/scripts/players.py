"""The films of an exhibition under the names that each player wants."""

from pathlib import Path

from approach.film.exhibition import SCREENS
from approach.film.players import lay_out
from approach.film.probe import stated_length
from approach.job import job

with job(snakemake.log[0], f"players {snakemake.wildcards.film}") as log:
    films = {screen: Path(snakemake.input[screen]) for screen in SCREENS}
    line_ups = {screen: Path(snakemake.input[f"line_up_{screen}"]) for screen in SCREENS}
    _, seconds = stated_length(films["left"])
    lay_out(Path(snakemake.output.players), films, line_ups, seconds)
    log.info("%.0f minutes a film", seconds / 60)
