"""Fetch one source, verified."""

from approach.fetching import fetch
from approach.job import job
from approach.planning.downloads import kind_of

with job(snakemake.log[0], f"fetch {snakemake.wildcards.file}"):
    source = snakemake.params.source
    fetch(source["url"], snakemake.output.file, kind=kind_of(snakemake.wildcards.file), sha256=source["sha256"])
