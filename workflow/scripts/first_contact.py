"""One report of a first contact with a generator: what was loaded, what it shows, how near its inversions come."""

from pathlib import Path

from approach.files import read_table, read_yaml
from approach.job import job
from approach.provenance import first_contact_report

with job(snakemake.log[0], "first contact") as log:
    text = first_contact_report(
        record=read_yaml(snakemake.input.record),
        trajectories=read_table(snakemake.input.trajectory_table, "setting", "seed").to_dict("records"),
        losses=read_table(snakemake.input.losses, "seed", "step"),
        pictures=[snakemake.input.classes, snakemake.input.montage],
        folder=Path(snakemake.output.report).parent,
    )
    Path(snakemake.output.report).write_text(text, encoding="utf-8")
    log.info("read %s", snakemake.output.report)
