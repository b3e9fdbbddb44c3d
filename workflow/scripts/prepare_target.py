"""Make the target: the picture, cropped or padded to the generator's square."""

from approach.files import read_json
from approach.job import job
from approach.sources import sha256_of
from approach.target import prepare_target
from PIL.PngImagePlugin import PngInfo

with job(snakemake.log[0], "target") as log:
    size = read_json(snakemake.input.architecture)["output_dim"]
    options = snakemake.params.target
    picture = prepare_target(snakemake.input.picture, size, fit=options["fit"], focus=options["focus"])
    origin = PngInfo()
    origin.add_itxt("picture", snakemake.input.picture)
    origin.add_text("picture sha256", sha256_of(snakemake.input.picture))
    picture.save(snakemake.output.target, pnginfo=origin)
    log.info("%s at %d px", snakemake.input.picture, size)
