"""One screen of an exhibition, in one of its two forms."""

import json
from pathlib import Path

import pandas as pd
from approach.captions import channel_captions, strips
from approach.exhibition import BLACK, SCREENS, screen_look
from approach.ffmpeg import encode_film
from approach.job import job

with job(snakemake.log[0], f"exhibition {snakemake.wildcards.screen}.{snakemake.wildcards.form}") as log:
    video, output = snakemake.params.video, Path(snakemake.output.film)
    choice = json.loads(Path(snakemake.input.choice).read_text(encoding="utf-8"))
    timing = json.loads(Path(snakemake.input.timing).read_text(encoding="utf-8"))
    shown = [number - 1 for number in SCREENS[snakemake.wildcards.screen]]
    look = screen_look(snakemake.wildcards.screen, video["height"], video["captions"])
    captions = None
    if video["captions"]:
        texts = []
        for number in shown:
            channel = choice["channels"][number]
            table = pd.read_csv(Path(channel["trajectory"]).parent.parent / "losses.csv")
            table = table[table["seed"] == channel["seed"]].to_dict("list")
            texts.append(channel_captions(channel, timing["positions"][number], table, video["captions"]))
        captions = strips(texts, look["size"], look["gap"], video["captions"], BLACK)
    prores = snakemake.wildcards.form == "mov"
    found = encode_film(
        [Path(snakemake.input.frames[number]) for number in shown],
        output,
        fps=timing["fps"],
        count=timing["frames"],
        look=look,
        codec={"prores": True} if prores else {"preset": video["preset"], "mbit": video["mbit"]},
        captions=captions,
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames of %d x %d", found["frames"], found["width"], found["height"])
