"""The experiment as a page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from approach.film.captions import channel_losses
from approach.film.probe import picture_size
from approach.job import job
from approach.page.page import arrivals_data, film_data, href, page
from PIL import Image

with job(snakemake.log[0], "page") as log:
    folder = Path(snakemake.output.page).parent
    results = folder.parent
    films, links = [], []
    for film, loss in snakemake.params.films.items():
        at = results / "films" / film
        choice, timing, itinerary = (
            json.loads((at / name).read_text(encoding="utf-8"))
            for name in ("film.json", "timing.json", "itinerary.json")
        )
        data = film_data(
            choice,
            timing,
            [channel_losses(channel) for channel in choice["channels"]],
            dict(np.load(at / "panorama.npz")),
            itinerary,
            size=picture_size(at / "triptych.mp4"),
            loss=loss,
        )
        data |= {"video": href(at / "triptych.mp4", folder), "file": str(at / "triptych.mp4")}
        data["panorama"] |= {"map": href(at / "panorama-map.png", folder), "whole": href(at / "panorama.png", folder)}
        films.append(data)
        files = [{"text": name, "href": href(at / name, folder)} for name in snakemake.params.film_files]
        links.append({"title": film, "files": files})
    pictures = {}
    for setting, path in zip(snakemake.params.settings, snakemake.input.stills, strict=True):
        with np.load(path) as stills:
            arrivals = stills["images"][:, -1]
            pictures |= {
                f"{setting}/{seed}": image for seed, image in zip(stills["seeds"].tolist(), arrivals, strict=True)
            }
    for setting in snakemake.params.settings:
        files = [
            {"text": name, "href": href(results / setting / name, folder)} for name in ("montage.png", "losses.csv")
        ]
        links.append({"title": setting, "files": files})
    files = [{"text": name, "href": href(results / name, folder)} for name in snakemake.params.whole]
    links.append({"title": "the whole experiment", "files": files})
    text = page(
        name=snakemake.wildcards.name,
        films=films,
        arrivals=arrivals_data(pd.read_csv(snakemake.input.arrivals), pictures),
        record=yaml.safe_load(Path(snakemake.input.record).read_text(encoding="utf-8")),
        target=np.asarray(Image.open(snakemake.input.target).convert("RGB")),
        links=links,
        notes=snakemake.params.notes,
    )
    Path(snakemake.output.page).write_text(text, encoding="utf-8")
    log.info("%d films, %d kB", len(films), len(text) // 1000)
