"""A census of the places where an experiment's inversions arrive."""

import numpy as np
import torch

from approach.devices import resolve_device
from approach.errors import UserError
from approach.files import read_pixels, read_table, write_json
from approach.job import job, progress
from approach.loading import open_perceptual
from approach.losses.alike import perceptual_products
from approach.pictures.arrivals import closeness_metric
from approach.pictures.places import (
    MOST_STARTS,
    by_start_class,
    census_words,
    chao1,
    differences,
    pixel_differences,
    place_numbers,
    places_table,
    small,
    split_check,
    typical,
    what_the_loss_does_not_say,
)
from approach.pictures.readings import evenly
from approach.pictures.stills_file import read_arrivals, read_moments
from approach.pictures.wall import wall

with job(snakemake.log[0], "census") as log:
    params, files = snakemake.params, snakemake.input
    device = resolve_device(params.device)
    stills = dict(zip(params.settings, files.stills, strict=True))
    table = read_table(files.table, "setting", "seed", "status", "start_class", "arrival_class")
    table["trajectory"] = table["setting"] + "/" + table["seed"].astype(str)
    alive = table[table["status"] != "failed"].reset_index(drop=True)
    if len(alive) < 2:
        raise UserError(f"{files.table}: {len(alive)} inversions arrived; a census needs two, and better hundreds")
    by = closeness_metric(table)
    ends = read_arrivals(stills)
    pictures = [ends[name] for name in alive["trajectory"]]
    some = [alive["trajectory"][place] for place in evenly(len(alive), MOST_STARTS)]
    moments = read_moments(stills, some)
    starts = [moments[name][1][0] for name in some]
    net = open_perceptual(files, params.net, device)

    def compared(images):
        images = small(np.stack(images))
        if net is None:
            return pixel_differences(images)
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
        return differences(perceptual_products(net, tensor, progress("comparison")).numpy())

    distances = compared(pictures)
    apart = params.apart * typical(compared(starts))
    numbers = place_numbers(distances, apart)
    places = places_table(numbers, distances, alive, by)
    told = {
        "starts": len(alive),
        "failed": len(table) - len(alive),
        "compared_by": "lpips" if net else "pixels",
        "apart": apart,
        "near_by": by,
        "places": chao1(places["arrivals"].to_numpy()),
        "check": split_check(numbers),
        "basins": what_the_loss_does_not_say(places, by),
        "start_classes": by_start_class(numbers, alive["start_class"]),
    }
    write_json(snakemake.output.census, told)
    places.to_csv(snakemake.output.places, index=False)
    whose = alive[["trajectory", "start_class", "arrival_class"]].assign(place=numbers + 1)
    whose.to_csv(snakemake.output.arrivals, index=False)
    words = census_words(told, by)
    for said in words:
        log.info("%s", said)
    picture = wall(
        [ends[name] for name in places["trajectory"]],
        places["arrivals"].tolist(),
        read_pixels(files.target),
        nearest=int(np.argmin(places["by_closeness"])),
        title=params.title,
        words=words,
    )
    picture.save(snakemake.output.wall, dpi=(300, 300))
