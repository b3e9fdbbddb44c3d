"""The results folder as a Workflow Run RO-Crate."""

import json
import shutil
from pathlib import Path

from approach.crate import crate, whoami
from approach.files import read_yaml
from approach.job import job

with job(snakemake.log[0], "crate"):
    metadata = Path(snakemake.output.metadata)
    shutil.copyfile(snakemake.params.workflow, snakemake.output.workflow)
    content = crate(read_yaml(snakemake.input.record), metadata.parent, list(snakemake.input), whoami())
    metadata.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
