"""The contact sheet of a setting."""

from pathlib import Path

from approach.files import read_npz, read_pixels, read_table, reading
from approach.job import job
from approach.pictures.montage import setting_sheet
from approach.trajectories import TrajectoryFile
from approach.wording import setting_words

with job(snakemake.log[0], f"montage {snakemake.wildcards.setting}"):
    losses = read_table(snakemake.input.losses, "seed", "step", "loss").set_index(["seed", "step"])["loss"]
    files = [TrajectoryFile(Path(path)) for path in snakemake.input.trajectories]
    outcomes = {seed: file.outcome(seed) for file in files for seed in file.metadata["seeds"]}
    stills = read_npz(snakemake.input.stills)
    with reading(snakemake.input.stills):
        shown, seeds, pictures = stills["steps"].tolist(), stills["seeds"].tolist(), stills["images"]
    with reading(snakemake.input.losses):
        trajectories = [
            {
                "seed": seed,
                "images": list(images),
                "losses": [float(losses[seed, step]) for step in shown],
                "status": outcomes[seed].status,
                "last_step": outcomes[seed].last_step,
            }
            for seed, images in zip(seeds, pictures, strict=True)
        ]
    sheet = setting_sheet(
        trajectories,
        shown,
        read_pixels(snakemake.input.target),
        title=setting_words(snakemake.wildcards.setting),
        subtitle=f"{snakemake.wildcards.name}; the numbers are the loss",
        tile=snakemake.params.tile,
    )
    sheet.save(snakemake.output.sheet)
