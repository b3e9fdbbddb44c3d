"""Which categories a film's three trajectories pass through."""

from pathlib import Path

from approach.biggan.config import class_names, read_config
from approach.files import read_json, write_json
from approach.job import job
from approach.pictures.itinerary import class_shares, itinerary_plot, itinerary_streams, itinerary_table
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"itinerary {snakemake.wildcards.film}"):
    choice = read_json(snakemake.input.choice, "channels", "title")
    names = class_names(snakemake.input.get("class_names"), read_config(snakemake.input.architecture))
    labels = [channel["label"] for channel in choice["channels"]]
    trajectories = [read_trajectory(Path(channel["trajectory"]), channel["seed"]) for channel in choice["channels"]]
    passed = [class_shares(trajectory, len(names)) for trajectory in trajectories]
    departures = [trajectory.metadata.get("departures", []) for trajectory in trajectories]
    itinerary_table(passed, labels, names).to_csv(snakemake.output.table, index=False)
    write_json(snakemake.output.streams, itinerary_streams(passed, names, departures))
    title = ": ".join(filter(None, ["Itinerary", choice["title"]]))
    itinerary_plot(passed, labels, names, Path(snakemake.output.plot), title=title, departures=departures)
