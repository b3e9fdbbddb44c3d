"""A row per trajectory: where it began and ended, how near and how strange its arrival is; and a gallery."""

from pathlib import Path

from approach.files import read_pixels
from approach.job import job
from approach.pictures.arrivals import arrivals_sheet, arrivals_table
from approach.pictures.stills_file import read_arrivals
from approach.pictures.tables import trajectory_table

with job(snakemake.log[0], "trajectories"):
    settings = snakemake.params.settings
    pictures = read_arrivals(dict(zip(settings, snakemake.input.stills, strict=True)))
    table = trajectory_table(
        settings=settings,
        batches=snakemake.params.batches,
        arrivals=pictures,
        metrics=[Path(path) for path in snakemake.input.metrics],
        losses=[Path(path) for path in snakemake.input.losses],
        trajectories=[Path(path) for path in snakemake.input.trajectories],
    )
    table.to_csv(snakemake.output.table, index=False)
    arrivals = arrivals_table(table)
    arrivals.to_csv(snakemake.output.arrivals, index=False)
    title = f"{snakemake.wildcards.name}: arrivals"
    arrivals_sheet(arrivals, pictures, read_pixels(snakemake.input.target), title=title).save(snakemake.output.sheet)
