"""The frames of one channel, without loss."""

from pathlib import Path

import torch

from approach.devices import resolve_device
from approach.files import read_json
from approach.film.encode import write_frames
from approach.film.fog import fog
from approach.film.render import conditioning_at, render_frames
from approach.job import Pace, job
from approach.loading import open_generator, open_perceptual
from approach.target import read_target
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"render {snakemake.wildcards.film} {snakemake.wildcards.channel}") as log:
    torch.set_num_threads(snakemake.threads)
    choice = read_json(snakemake.input.choice, "channels", "title")
    timing = read_json(snakemake.input.timing, "frames", "fps", "positions")
    number = int(snakemake.wildcards.channel) - 1
    channel, positions = choice["channels"][number], timing["positions"][number]
    trajectory = read_trajectory(Path(channel["trajectory"]), channel["seed"])
    z, classes = trajectory.z, trajectory.classes
    device = resolve_device(snakemake.params.device)
    generator = open_generator(snakemake.input, trajectory.metadata["truncation"], device)
    finish = None
    if snakemake.params.fog:
        net = open_perceptual(snakemake.input, snakemake.params.net, device)
        with torch.inference_mode():
            ends = generator(conditioning_at(generator, z, classes, [0, len(z) - 1]))
            finish = fog(read_target(snakemake.input.target), ends, snakemake.params.fog, net)
    pace = Pace(timing["frames"])

    def told(frames):
        for number, frame in enumerate(frames, start=1):
            yield frame
            if pace.due():
                log.info("frame %d of %d, %s left", number, timing["frames"], pace.left(number))

    write_frames(
        told(render_frames(generator, z, classes, positions, finish=finish)),
        Path(snakemake.output.frames),
        fps=timing["fps"],
        count=timing["frames"],
        threads=snakemake.threads,
        log_file=Path(snakemake.log[0]),
    )
    log.info("%d frames", timing["frames"])
