"""Which categories a film's three searches passed through."""

import json
from pathlib import Path

from approach.biggan.format import class_names, read_config
from approach.job import job
from approach.pictures.itinerary import itinerary_plot, itinerary_streams, itinerary_table
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"itinerary {snakemake.wildcards.film}"):
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    names = class_names(snakemake.input.get("class_names"), read_config(snakemake.input.architecture))
    labels = [channel["label"] for channel in choice["channels"]]
    walks = [read_trajectory(Path(channel["trajectory"]), channel["seed"]).classes for channel in choice["channels"]]
    itinerary_table(walks, labels, names).to_csv(snakemake.output.table, index=False)
    streams = json.dumps(itinerary_streams(walks, names), ensure_ascii=False)
    Path(snakemake.output.streams).write_text(streams, encoding="utf-8")
    title = " · ".join(filter(None, ["Itinerary", choice["title"]]))
    itinerary_plot(walks, labels, names, Path(snakemake.output.plot), title=title)
