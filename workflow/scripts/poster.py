"""A film's poster, and its card for links."""

from pathlib import Path

from approach.files import read_json, read_npz, read_pixels, read_yaml, reading
from approach.job import job
from approach.page.page import target_words
from approach.pictures.poster import arrival_labels, card, poster
from approach.wording import work_of

with job(snakemake.log[0], f"poster {snakemake.wildcards.film}") as log:
    record = read_yaml(snakemake.input.record)
    configuration = record["configuration"]
    work = work_of(configuration, snakemake.wildcards.name)
    choice = read_json(snakemake.input.choice, "channels", "title", "vary")
    stills = dict(zip(snakemake.params.settings, map(read_npz, snakemake.input.stills), strict=True))
    moments = []
    channels = [channel.get("members", [channel])[0] for channel in choice["channels"]]  # of a ring the first of each
    for channel in channels:
        kept = stills[channel["setting"]]
        with reading(channel["setting"]):
            moments.append(kept["images"][kept["seeds"].tolist().index(channel["seed"])])
    side = moments[0].shape[1]
    note = (
        f"The network ({configuration['generator']['name']}) makes pictures of {side} x {side} pixels; they are "
        "enlarged here (by Mitchell and Netravali's cubic), and nothing is added. "
        + (f"The numbers on the map are the {snakemake.params.loss} loss. " if snakemake.input.survey else "")
        + f"{target_words(configuration['target']['picture'])[1]} "
        + (f"{work.rights} " if work.rights else "")
        + "An independent homage, after its published description, to Approaching Destination by Mario Klingemann "
        "(2020); not his work."
    )
    poster(
        {kind: Path(snakemake.output[kind]) for kind in ("a2", "a3", "pdf")},
        work=work,
        labels=arrival_labels(choice["vary"], channels),
        moments=moments,
        steps=stills[channels[0]["setting"]]["steps"].tolist(),
        target=read_pixels(snakemake.input.target),
        found=read_npz(snakemake.input.survey[0]) if snakemake.input.survey else None,
        colours=snakemake.params.colours,
        note=note,
    )
    card(work, [pictures[-1] for pictures in moments]).save(snakemake.output.card)
