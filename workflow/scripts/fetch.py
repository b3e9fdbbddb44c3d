"""Fetch one source, verified."""

from approach.job import job
from approach.sources import fetch

with job(snakemake.log[0], f"fetch {snakemake.wildcards.file}"):
    source = snakemake.params.source
    fetch(source["url"], snakemake.output.file, sha256=source["sha256"])
