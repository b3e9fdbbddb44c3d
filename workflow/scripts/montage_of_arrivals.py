"""The contact sheet of the experiment: settings by seeds, arrivals only."""

from approach.files import read_pixels, read_table
from approach.job import job
from approach.pictures.arrivals import closeness_metric
from approach.pictures.montage import experiment_sheet, setting_entries
from approach.pictures.stills_file import read_arrivals

with job(snakemake.log[0], "montage"):
    table = read_table(snakemake.input.trajectory_table, "setting", "seed")
    pictures = read_arrivals(dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True)))
    metric = closeness_metric(table)
    sheet = experiment_sheet(
        setting_entries(table, snakemake.params.settings, pictures, metric),
        sorted(table["seed"].unique().tolist()),
        read_pixels(snakemake.input.target),
        title=f"{snakemake.wildcards.name}: arrivals",
        subtitle=f"the numbers are {metric} to the target: smaller is nearer",
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
