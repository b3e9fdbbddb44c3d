"""Record the sha256 of every product."""

from pathlib import Path

from approach.checksums import checksum_lines
from approach.job import job

with job(snakemake.log[0], "checksums"):
    output = Path(snakemake.output.checksums)
    output.write_text(checksum_lines(snakemake.input, output.parent), encoding="utf-8")
