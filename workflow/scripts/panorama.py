"""The panorama of a film, drawn from its survey."""

from pathlib import Path

from approach.files import read_json, read_npz
from approach.job import job
from approach.pictures.panorama import bare_map, panorama
from approach.pictures.readings import in_channel_order
from approach.pictures.roads import passes_on_plane
from approach.roads.passes_file import read_passes

with job(snakemake.log[0], f"panorama {snakemake.wildcards.film}"):
    choice = read_json(snakemake.input.choice, "channels", "title")
    found = in_channel_order(read_npz(snakemake.input.survey), choice["channels"])
    if snakemake.input.passes:
        found |= passes_on_plane(read_passes(Path(snakemake.input.passes[0]))[0], found["arrivals"])
    panorama(
        found,
        Path(snakemake.output.plot),
        labels=[channel["label"] for channel in choice["channels"]],
        loss=snakemake.params.loss,
        mixed=snakemake.params.mixed,
        title=": ".join(filter(None, ["Panorama", choice["title"]])),
        colours=snakemake.params.colours,
    )
    bare_map(found, Path(snakemake.output.map), colours=snakemake.params.colours)
