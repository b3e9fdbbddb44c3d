"""The panorama of a film, drawn from its survey."""

import json
from pathlib import Path

import numpy as np
from approach.job import job
from approach.pictures.panorama import bare_map, panorama

with job(snakemake.log[0], f"panorama {snakemake.wildcards.film}"):
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    found = dict(np.load(snakemake.input.survey))
    panorama(
        found,
        Path(snakemake.output.plot),
        labels=[channel["label"] for channel in choice["channels"]],
        loss=snakemake.params.loss,
        title=" · ".join(filter(None, ["Panorama", choice["title"]])),
        colours=snakemake.params.colours,
    )
    bare_map(found, Path(snakemake.output.map), colours=snakemake.params.colours)
