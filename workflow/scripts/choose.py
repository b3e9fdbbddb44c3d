"""Which three walks a film shows, and why."""

from pathlib import Path

import pandas as pd
from approach.film.choice import choose
from approach.files import write_json
from approach.job import job
from approach.trajectories import TrajectoryFile

with job(snakemake.log[0], f"choose {snakemake.wildcards.film}"):
    film = snakemake.params.film
    if snakemake.input.trajectory_table:
        rows = pd.read_csv(snakemake.input.trajectory_table).to_dict("records")
    else:
        rows = []
        for candidate in film["candidates"]:
            path = snakemake.params.files[f"{candidate['setting']}/{candidate['seed']}"]
            metadata = read_metadata(Path(path))
            place = metadata["seeds"].index(candidate["seed"])
            found = {key: metadata[key][place] for key in ("status", "last_step")}
            rows.append({"setting": candidate["setting"], "seed": candidate["seed"], "trajectories": path, **found})
    write_json(snakemake.output.choice, choose(film, rows))
