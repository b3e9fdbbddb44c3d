"""The passes between a film's arrivals as a contact sheet."""

from pathlib import Path

from approach.files import read_json, read_pixels
from approach.job import job
from approach.pictures.passes_sheet import passes_sheet
from approach.roads.passes_file import read_passes

with job(snakemake.log[0], f"draw passes {snakemake.wildcards.film}"):
    choice = read_json(snakemake.input.choice, "channels", "title")
    sheet = passes_sheet(
        *read_passes(Path(snakemake.input.passes)),
        read_pixels(snakemake.input.target),
        title=": ".join(filter(None, ["Passes", choice["title"]])),
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
