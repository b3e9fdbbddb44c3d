"""The disconnectivity tree of an experiment's nearest arrivals, and the passes that join them."""

from pathlib import Path

from approach.files import read_pixels
from approach.job import job
from approach.pictures.passes_sheet import passes_sheet
from approach.pictures.tree import tree_plot
from approach.roads.passes_file import read_passes
from approach.roads.tree import tree

with job(snakemake.log[0], "draw tree") as log:
    found, said = read_passes(Path(snakemake.input.passes))
    order, joins = tree(said["pairs"], found["profiles"].max(axis=1).tolist())
    name = snakemake.wildcards.name
    tree_plot(found, said, order, joins, Path(snakemake.output.tree), title=f"{name}: how arrivals hang together")
    sheet = passes_sheet(
        found,
        said,
        read_pixels(snakemake.input.target),
        shown=[join.over for join in joins],
        title=f"{name}: the passes that join the arrivals",
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
    log.info("%d arrivals, %d passes", len(order), len(said["pairs"]))
