"""A labelled sheet of known classes: whoever knows the words can tell whether the weights are right."""

from pathlib import Path

import torch

from approach.biggan.config import class_names, read_config
from approach.biggan.sampling import truncated_normal
from approach.classes import class_index
from approach.devices import resolve_device
from approach.files import read_pixels
from approach.film.render import to_frames
from approach.job import job
from approach.loading import open_generator
from approach.pictures.montage import sheet

with job(snakemake.log[0], "known classes"):
    architecture = read_config(snakemake.input.architecture)
    device = resolve_device(snakemake.params.device)
    generator = open_generator(snakemake.input, snakemake.params.truncation, device)
    names = class_names(snakemake.input.get("class_names"), architecture)
    wanted = [name for name in snakemake.params.classes if any(name in known.lower().split(", ") for known in names)]
    rows = []
    for name in wanted or names[:8]:
        random = torch.Generator().manual_seed(snakemake.params.seed)
        z = truncated_normal((snakemake.params.pictures, architecture.z_dim), snakemake.params.truncation, random)
        one_hot = torch.zeros(len(z), len(names))
        one_hot[:, class_index(name, names)] = 1
        with torch.inference_mode():
            conditioning = generator.conditioning(z.to(device), one_hot.to(device))
            images = torch.cat([generator(one[None]) for one in conditioning])
        tiles = [{"image": frame, "caption": ""} for frame in to_frames(images)]
        rows.append({"label": [name], "failed": False, "tiles": tiles})
    heads = [[f"{number}"] for number in range(1, snakemake.params.pictures + 1)]
    target = read_pixels(snakemake.input.target)
    title = f"{snakemake.params.generator}: known classes at truncation {snakemake.params.truncation}"
    sheet(rows, heads, target, title=title).save(Path(snakemake.output.sheet))
