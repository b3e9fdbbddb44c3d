"""Which three trajectories a film shows, and why."""

from pathlib import Path

from approach.files import read_table, write_json
from approach.film.choice import choose
from approach.job import job
from approach.trajectories import TrajectoryFile

with job(snakemake.log[0], f"choose {snakemake.wildcards.film}"):
    film = snakemake.params.film
    if snakemake.input.trajectory_table:
        rows = read_table(snakemake.input.trajectory_table[0], "setting", "seed").to_dict("records")
    else:
        rows = []
        for candidate in film["candidates"]:
            setting, seed = candidate["setting"], candidate["seed"]
            path = snakemake.params.files[f"{setting}/{seed}"]
            outcome = TrajectoryFile(Path(path)).outcome(seed)
            rows.append({"setting": setting, "seed": seed, "trajectories": path, **outcome._asdict()})
    output = Path(snakemake.output.choice)
    made = "pool" if film["vary"] == "stage" else "ring"
    write_json(output, choose(film, rows, output.with_name(f"{made}.safetensors")))
