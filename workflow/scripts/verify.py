"""Compare products and sources with what was recorded."""

from pathlib import Path

from approach.checksums import FILE, check_products, check_sources, read_checksums
from approach.errors import UserError
from approach.job import job

with job(snakemake.log[0], "verify") as log:
    params = snakemake.params
    folder = Path(params.folder)
    recorded = read_checksums(folder / FILE)
    found = check_products(recorded, params.products, folder)
    found += check_sources(folder, params.sources, params.picture)
    for line in dict.fromkeys(found):
        log.warning("%s", line)
    if found:
        raise UserError(
            f"{folder} is not as it was recorded ({len(found)} differences, above); what is deleted is made again by "
            "the run's own command"
        )
    log.info("%s: %d files and %d sources are as they were recorded", folder, len(recorded), len(params.sources) + 1)
