"""Read back every file of an exhibition, and write the page for whoever installs it."""

from pathlib import Path

from approach.errors import UserError
from approach.files import read_json, read_yaml, write_json
from approach.film.exhibition import describe, wrong
from approach.job import job
from approach.page.page import render_template, target_words
from approach.wording import work_of

with job(snakemake.log[0], f"installation {snakemake.wildcards.film}") as log:
    video = snakemake.params.video
    files = [describe(Path(path)) for path in snakemake.input.files]
    if said := wrong(files, video, video["fps"]):
        raise UserError("; ".join(said))
    choice = read_json(snakemake.input.choice, "channels", "title")
    record = read_yaml(snakemake.input.record)
    text = render_template(
        "installation.html.j2",
        name=snakemake.wildcards.name,
        work=work_of(record["configuration"], snakemake.wildcards.name),
        choice=choice,
        files=files,
        video=video,
        record=record,
        target=target_words(record["configuration"]["target"]["picture"])[1],
    )
    write_json(snakemake.output.files, files)
    Path(snakemake.output.page).write_text(text, encoding="utf-8")
    log.info("%d files read back, all as planned", len(files))
