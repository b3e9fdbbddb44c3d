"""Where the trajectories ended: a table and a gallery, by closeness and by strangeness."""

from approach.files import read_pixels, read_table
from approach.job import job
from approach.pictures.arrivals import arrivals_sheet, arrivals_table
from approach.pictures.stills_file import read_arrivals

with job(snakemake.log[0], "arrivals"):
    table = arrivals_table(read_table(snakemake.input.trajectory_table, "setting", "seed"))
    pictures = read_arrivals(dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True)))
    target = read_pixels(snakemake.input.target)
    table.to_csv(snakemake.output.table, index=False)
    sheet = arrivals_sheet(table, pictures, target, title=f"{snakemake.wildcards.name}: arrivals")
    sheet.save(snakemake.output.sheet)
