"""Which three walks a film shows, and why."""

import json
from pathlib import Path

import pandas as pd
from approach.film.choice import choose
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
            outcome = TrajectoryFile(Path(path)).outcome(candidate["seed"])
            rows.append({"setting": candidate["setting"], "seed": candidate["seed"], "trajectories": path})
            rows[-1] |= outcome._asdict()
    text = json.dumps(choose(film, rows), indent=2, ensure_ascii=False)
    Path(snakemake.output.choice).write_text(f"{text}\n", encoding="utf-8")
