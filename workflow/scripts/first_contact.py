"""One report of a first contact with a generator: what was loaded, what it shows, how near its inversions come."""

from pathlib import Path

import pandas as pd
import yaml

from approach.job import job
from approach.provenance import first_contact_report

with job(snakemake.log[0], "first contact") as log:
    text = first_contact_report(
        record=yaml.safe_load(Path(snakemake.input.record).read_text(encoding="utf-8")),
        trajectories=pd.read_csv(snakemake.input.trajectory_table).to_dict("records"),
        losses=pd.read_csv(snakemake.input.losses),
        pictures=[snakemake.input.classes, snakemake.input.montage],
        folder=Path(snakemake.output.report).parent,
    )
    Path(snakemake.output.report).write_text(text, encoding="utf-8")
    log.info("read %s", snakemake.output.report)
