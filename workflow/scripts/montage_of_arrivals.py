"""The contact sheet of the experiment: settings by seeds, arrivals only."""

from approach.files import read_pixels, read_table
from approach.job import job
from approach.pictures.montage import experiment_sheet, setting_entries
from approach.pictures.stills_file import read_arrivals

with job(snakemake.log[0], "montage"):
    table = read_table(snakemake.input.trajectory_table, "setting", "seed")
    pictures = read_arrivals(dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True)))
    sheet = experiment_sheet(
        setting_entries(table, snakemake.params.settings, pictures),
        sorted(table["seed"].unique().tolist()),
        read_pixels(snakemake.input.target),
        title=f"{snakemake.wildcards.name}: arrivals",
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
