"""One channel, or all three side by side, as a film that plays anywhere."""

import json
from pathlib import Path

import pandas as pd
from approach.captions import channel_captions, strips
from approach.ffmpeg import encode_film
from approach.job import job

with job(snakemake.log[0], f"encode {snakemake.wildcards.film} {snakemake.params.channels}") as log:
    look = snakemake.params.look
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    timing = json.loads(Path(snakemake.input.timing).read_text(encoding="utf-8"))
    shown = [int(number) - 1 for number in snakemake.params.channels]
    if len(shown) > 1:
        look = {**look, "margin": look["gap"]}
    captions = None
    if look["captions"]:
        texts = []
        for number in shown:
            channel = choice["channels"][number]
            table = pd.read_csv(Path(channel["trajectory"]).parent.parent / "losses.csv")
            table = table[table["seed"] == channel["seed"]].to_dict("list")
            texts.append(channel_captions(channel, timing["positions"][number], table, look["captions"]))
        captions = strips(texts, look["size"], look["gap"], look["captions"])
    frames = snakemake.input.frames
    encode_film(
        [Path(path) for path in ([frames] if isinstance(frames, str) else frames)],
        Path(snakemake.output.film),
        fps=timing["fps"],
        count=timing["frames"],
        look=look,
        codec=look,
        captions=captions,
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames at %d a second", timing["frames"], timing["fps"])
