"""Make the target: the picture, cropped or padded to the generator's square."""

from approach.biggan.config import read_config
from approach.job import job
from approach.sources import sha256_of
from approach.target import prepare_target, write_target

with job(snakemake.log[0], "target") as log:
    picture, options = snakemake.params.picture, snakemake.params.target
    size = read_config(snakemake.input.architecture).output_dim
    square = prepare_target(picture, size, fit=options["fit"], focus=options["focus"])
    made = {"sha256": sha256_of(picture), "fit": options["fit"], "focus": options["focus"]}
    write_target(snakemake.output.target, square, made)
    log.info("%s at %d px", picture, size)
