"""The contact sheet of a setting."""

from pathlib import Path

from approach.files import read_npz, read_pixels, read_table, reading
from approach.job import job
from approach.pictures.montage import DROPPED, below, pool_sheet, setting_sheet
from approach.trajectories import TrajectoryFile
from approach.wording import setting_words

with job(snakemake.log[0], f"montage {snakemake.wildcards.setting}"):
    losses = read_table(snakemake.input.losses, "seed", "step", "loss").set_index(["seed", "step"])["loss"]
    files = [TrajectoryFile(Path(path)) for path in snakemake.input.trajectories]
    outcomes = {seed: file.outcome(seed) for file in files for seed in file.metadata["seeds"]}
    stills = read_npz(snakemake.input.stills)
    with reading(snakemake.input.stills):
        shown, seeds, pictures = stills["steps"].tolist(), stills["seeds"].tolist(), stills["images"]
        dropped = {name: stills[f"dropped_{name}"] for name in DROPPED if f"dropped_{name}" in stills}
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
    target, title, tile = (
        read_pixels(snakemake.input.target),
        setting_words(snakemake.wildcards.setting),
        snakemake.params.tile,
    )
    subtitle = f"{snakemake.wildcards.name}; the numbers are the loss"
    sheet = setting_sheet(trajectories, shown, target, title=title, subtitle=subtitle, tile=tile)
    if dropped:
        sheet = below(sheet, pool_sheet(dropped, target, title="the pool", tile=tile))
    sheet.save(snakemake.output.sheet)
