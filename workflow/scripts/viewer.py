"""Gather a film's files in a folder with a page that plays them."""

import html
import shutil
from pathlib import Path

from approach.job import job

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 2rem auto; max-width: 1200px; padding: 0 1rem; font: 1rem/1.5 sans-serif; }}
video {{ width: 100%; background: #000; }}
ul {{ display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; list-style: none; padding: 0; }}
</style>
<h1>{title}</h1>
<video src="triptych.mp4" controls loop muted playsinline></video>
<ul>{channels}</ul>
</html>
"""
CHANNEL = '<li><video src="channel-{n}.mp4" controls loop muted playsinline></video> Channel {n}</li>'

with job(snakemake.log[0], f"viewer {snakemake.wildcards.film}") as log:
    folder = Path(snakemake.output.viewer)
    folder.mkdir(parents=True, exist_ok=True)
    for film in snakemake.input.films:
        shutil.copy2(film, folder)
    channels = "".join(CHANNEL.format(n=n) for n in (1, 2, 3))
    title = html.escape(snakemake.wildcards.film)
    (folder / "index.html").write_text(PAGE.format(title=title, channels=channels), encoding="utf-8")
    log.info("%d films", len(snakemake.input.films))
