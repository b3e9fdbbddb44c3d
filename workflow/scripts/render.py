"""The frames of a film's channels, without loss."""

from functools import cache, partial
from pathlib import Path

from approach.devices import device_kind, resolve_device
from approach.files import read_json
from approach.film.encode import write_checksum, write_frames
from approach.film.fog import fog
from approach.film.render import images_at, render_frames
from approach.job import job, progress
from approach.loading import open_generator, open_perceptual
from approach.once import Thing, digest_of_arrays, digests_of_files, make_each_once
from approach.target import read_target
from approach.trajectories import read_trajectory

with job(snakemake.log[0], f"render {snakemake.wildcards.film}") as log:
    params, files = snakemake.params, snakemake.input
    choice = read_json(files.choice, "channels", "title")
    timing = read_json(files.timing, "frames", "fps", "positions")
    device = resolve_device(params.device)

    @cache
    def generator_at(truncation):  # which may be swept
        return open_generator(files, truncation, device)

    def told(frames, say):
        for number, frame in enumerate(frames, start=1):
            yield frame
            say(number, timing["frames"])

    def render(output, trajectory, positions):
        z, classes, finish = trajectory.z, trajectory.classes, None
        generator = generator_at(trajectory.metadata["truncation"])
        if params.fog:
            net = open_perceptual(files, params.net, device)
            arrival = trajectory.metadata.get("stops", [0, len(z) - 1])[1]  # a ring ends at its start
            ends = images_at(generator, z, classes, [0, arrival])
            finish = fog(read_target(files.target), ends, params.fog, net)
        frames = render_frames(generator, z, classes, positions, finish=finish)
        write_frames(
            told(frames, progress(f"channel {output.stem}: frame")),
            output,
            fps=timing["fps"],
            count=timing["frames"],
            threads=snakemake.threads,
            log_file=Path(snakemake.log[0]),
        )

    common = {
        "fps": timing["fps"],
        "files": digests_of_files(files, "architecture", "weights", "target", "backbone"),
        "params": {key: params[key] for key in ("fog", "net", "code")},
        "device": device_kind(device),
    }
    things = []
    for channel, positions, path in zip(choice["channels"], timing["positions"], snakemake.output.frames, strict=True):
        trajectory, output = read_trajectory(Path(channel["trajectory"]), channel["seed"]), Path(path)
        made_of = {
            **common,
            "trajectory": digest_of_arrays(trajectory.z, trajectory.classes),
            "truncation": trajectory.metadata["truncation"],
            "positions": positions,
        }
        things.append(Thing(output, made_of, partial(render, trajectory=trajectory, positions=positions)))
    for thing, made in make_each_once(things, things[0].output.parents[3] / "made"):
        if not made:
            write_checksum(thing.output)
        log.info(
            "channel %s: %d frames%s", thing.output.stem, timing["frames"], "" if made else ", made for another film"
        )
