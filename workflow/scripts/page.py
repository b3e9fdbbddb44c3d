"""The experiment as a page."""

from pathlib import Path

from approach.files import read_json, read_npz, read_pixels, read_table, read_yaml
from approach.film.captions import channel_losses
from approach.film.probe import picture_size
from approach.job import job
from approach.page.page import arrivals_data, film_data, href, moment_strips, page
from approach.pictures.readings import in_channel_order
from approach.pictures.roads import passes_on_plane
from approach.pictures.stills_file import read_arrivals, read_moments
from approach.roads.passes_file import read_passes
from approach.wording import setting_words

FILM_FILES = ("choices", "timings", "triptychs", "itineraries")
PANORAMA_FILES = ("surveys", "maps", "panoramas")

with job(snakemake.log[0], "page") as log:
    folder = Path(snakemake.output.page).parent
    tables = dict(zip(snakemake.params.settings, snakemake.input.losses, strict=True))
    tables |= dict(zip(snakemake.params.made, snakemake.input.made, strict=True))
    films, panoramas = [], zip(*(snakemake.input[kind] for kind in PANORAMA_FILES), strict=True)
    passes = dict(zip(snakemake.params.passes, snakemake.input.passes, strict=True))
    for place, (film, loss) in enumerate(snakemake.params.films.items()):
        files = {kind: snakemake.input[kind][place] for kind in FILM_FILES}
        choice = read_json(files["choices"], "channels", "title")
        survey, relief, whole = next(panoramas) if loss else (None, None, None)
        found = in_channel_order(read_npz(survey), choice["channels"]) if survey else None
        if film in passes:
            found |= passes_on_plane(read_passes(Path(passes[film]))[0], found["arrivals"])
        data = film_data(
            choice,
            read_json(files["timings"], "frames", "fps", "positions"),
            [channel_losses(channel, tables) for channel in choice["channels"]],
            found,
            read_json(files["itineraries"]),
            size=picture_size(files["triptychs"]),
            loss=loss,
        )
        data |= {"video": href(files["triptychs"], folder), "file": files["triptychs"]}
        if survey:
            data["panorama"] |= {"map": href(relief, folder), "whole": href(whole, folder)}
        films.append(data)
    links = []
    for title, named in snakemake.params.links.items():
        links.append(
            {
                "title": setting_words(title),
                "files": [{"text": text, "href": href(named[text], folder)} for text in named],
            }
        )
    stills = dict(zip(snakemake.params.settings, snakemake.input.stills, strict=True))
    arrivals = arrivals_data(read_table(snakemake.input.arrivals, "setting", "seed"), read_arrivals(stills))
    shown = {row["trajectory"] for row in arrivals["rows"]}
    text = page(
        name=snakemake.wildcards.name,
        films=films,
        arrivals=arrivals,
        moments=moment_strips(read_moments(stills, shown)),
        record=read_yaml(snakemake.input.record),
        target=read_pixels(snakemake.input.target),
        links=links,
        notes=snakemake.params.notes,
        tree=[href(path, folder) for path in snakemake.input.tree],
    )
    Path(snakemake.output.page).write_text(text, encoding="utf-8")
    log.info("%d films, %d kB", len(films), len(text) // 1000)
