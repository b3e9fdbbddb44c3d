"""Encoding: ffmpeg-python builds the graph, a process of our own runs it, PyAV reads back what came out.

The package's own pipes deadlock when ffmpeg has much to say, so its words go to a file. ffmpeg ends happily when its
producer dies halfway, so a film takes its name only after its frames were counted.
"""

import glob
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import ffmpeg
import imageio_ffmpeg
import numpy as np

from approach.errors import UserError
from approach.film.probe import count_frames, mismatch, read_film
from approach.lettering import GROUND
from approach.sources import sha256_of

logger = logging.getLogger(__name__)

GROUND_HEX = "0x{:02x}{:02x}{:02x}".format(*GROUND)
# RGB to YCbCr: the matrix must be spelled, or ffmpeg converts by BT.601 and players undo it by BT.709.
COLOURS = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "iec61966-2-1"}
TAGS = {"range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "iec61966-2-1"}
READ_COLOURS = {"range": "tv", "matrix": "bt709", "primaries": "bt709", "transfer": "iec61966-2-1"}
# Mitchell and Netravali's cubic (1988), with B = C = 1/3: Lanczos lays bright lines around what is dark.
SCALING = {
    "mitchell": {"flags": "bicubic", "param0": 1 / 3, "param1": 1 / 3},
    "nearest": {"flags": "neighbor"},
}


class Planned(NamedTuple):
    """A film to be: ffmpeg's stream of its pictures, its file, ffmpeg's options, and what is to be read back."""

    stream: ffmpeg.nodes.FilterableStream
    output: Path
    options: dict
    wanted: dict


def ffmpeg_program() -> str:
    """The ffmpeg to run: IMAGEIO_FFMPEG_EXE names it, or else it is the one that the imageio-ffmpeg package brings.

    Raises:
        UserError: there is none.
    """
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        program = None
    if not program or not shutil.which(program):
        named = f"IMAGEIO_FFMPEG_EXE={program}: no such program" if program else "no ffmpeg found"
        raise UserError(
            f"{named}; `pip install imageio-ffmpeg` brings one, or set the variable IMAGEIO_FFMPEG_EXE to yours"
        )
    return program


def write_frames(
    frames: Iterable[np.ndarray],
    output: Path,
    *,
    fps: float,
    count: int,
    threads: int = 1,
    log_file: Path | None = None,
) -> dict:
    """Store frames losslessly while they are being made: x264 in RGB at quantiser 0 gives back every bit.

    When the producer fails, or gives more or fewer than `count` frames, no file is left. The file's sha256 is written
    beside it (`checksum_file`).

    Args:
        frames: uint8 [H, W, 3], any size.
        output: the .mkv file.
        fps: frames a second.
        count: how many frames there will be.
        threads: of ffmpeg.
        log_file: where ffmpeg's words go.

    Returns:
        What was read back (`probe.read_film`).
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise ValueError(f"{output}: there are no frames to write")
    height, width = first.shape[:2]
    raw = raw_input(first, fps)
    options = {"vcodec": "libx264rgb", "crf": 0, "preset": "ultrafast", "g": 30, "threads": threads}
    wanted = {"frames": count, "width": width, "height": height, "fps": Fraction(_rate(fps)), "pix_fmt": "gbrp"}
    found = _run([Planned(raw, output, options, wanted)], feed=_checked(first, source), log_file=log_file)[0]
    write_checksum(output)
    return found


def write_checksum(frames: Path) -> None:
    """Record the sha256 of a file of frames beside it, as `check_frames` wants it."""
    checksum_file(frames).write_text(f"{sha256_of(frames)}  {frames.name}\n", encoding="utf-8")


def checksum_file(frames: Path) -> Path:
    """Where the sha256 of a file of frames is, in a form that `sha256sum --check` reads."""
    return frames.with_suffix(".sha256")


def check_frames(frames: Path, count: int) -> None:
    """Refuse frames that are not what was rendered.

    Raises:
        UserError: their sha256 differs from the recorded one or is not recorded, or they are not `count`.
    """
    again = "delete it to have it rendered again"
    try:
        recorded = checksum_file(frames).read_text(encoding="utf-8").partition(" ")[0]
    except (OSError, ValueError):
        recorded = ""
    if not frames.is_file() or sha256_of(frames) != recorded:
        raise UserError(f"{frames}: is damaged (its sha256 is not that of {checksum_file(frames).name}); {again}")
    if (found := count_frames(frames)) != count:
        raise UserError(f"{frames} holds {found} frames and the film {count}: {again}")


def encode_film(
    sources: Sequence[Path],
    output: Path,
    *,
    fps: float,
    count: int,
    look: dict,
    codec: dict,
    captions: Iterable[np.ndarray] | None = None,
    threads: int = 1,
    log_file: Path | None = None,
) -> dict:
    """One channel, or several side by side, from lossless frames to a film.

    Args:
        sources: a file of frames (`write_frames`) per channel, with its sha256 beside it.
        output: the film.
        fps: frames a second.
        count: frames of the film, and of each source.
        look: {size: pixels of a picture's side, scaling: mitchell | nearest, gap: pixels between pictures, and either
            margin: pixels around all, or canvas: (width, height) on which all is centred; ground: its colour; cell:
            (width, height) that each picture fills, without gaps, as fill says: crop | mirror}.
        codec: {crf, preset} for a film that plays anywhere (.mp4), or as in `options_of`.
        captions: `count` strips (uint8 [h, W, 3], W the pictures and gaps together), set below the pictures.
        threads: of ffmpeg.
        log_file: where ffmpeg's words go.

    Returns:
        What was read back (`probe.read_film`).
    """
    pixels = options_of(codec, fps)["pix_fmt"]
    pictures = [_filled(picture, look) for picture in _pictures(sources, count, look, pixels, threads)]
    width, height = (side - 2 * look.get("margin", 0) for side in film_size(len(sources), look))
    whole, feed = _side_by_side(pictures, look), None
    if captions is not None:
        strip, (wide, high), feed = _strips(captions, width, count, fps, fixed="cell" not in look)
        height, strip = height + high, _converted(strip, pixels)
        if wide != width:
            ground = look.get("ground", GROUND_HEX)
            strip = strip.filter("pad", width, high, (width - wide) // 2, 0, color=ground)
        whole = ffmpeg.filter([whole, strip], "vstack", inputs=2)
    whole, canvas = _framed(whole, (width, height), look)
    return deliver(
        whole,
        output,
        fps=fps,
        count=count,
        size=canvas,
        codec=codec,
        feed=feed,
        threads=threads,
        log_file=log_file,
    )


def encode_triptych(
    sources: Sequence[Path],
    channels: Sequence[Path],
    triptych: Path,
    *,
    fps: float,
    count: int,
    look: dict,
    codec: dict,
    captions: Iterable[np.ndarray] | None = None,
    log_file: Path | None = None,
) -> list[dict]:
    """Channels and triptych in one pass: each picture is read and enlarged once, and all films are encoded together.

    Args:
        sources: a file of frames (`write_frames`) per channel.
        channels: the channels' films, without margin.
        triptych: the channels side by side, with margin.
        fps: frames a second.
        count: frames of each film, and of each source.
        look: as in `encode_film`.
        codec: as in `encode_film`.
        captions: strips as in `encode_film`, as wide as the triptych without margin; a channel gets its part of them.
        log_file: where ffmpeg's words go.

    Returns:
        What was read back (`probe.read_film`, without decoding) of each channel and of the triptych.
    """
    pixels, size, gap = options_of(codec, fps)["pix_fmt"], look["size"], look.get("gap", 0)
    pictures = [picture.split() for picture in _pictures(sources, count, look, pixels, 1)]
    alone, together = [each[0] for each in pictures], _side_by_side([each[1] for each in pictures], look)
    width, height, feed = len(sources) * (size + gap) - gap, size, None
    if captions is not None:
        raw, (_, strip), feed = _strips(captions, width, count, fps)
        height += strip
        parts = ffmpeg.filter_multi_output(raw, "split", len(sources) + 1)
        cut = [parts[place].crop(place * (size + gap), 0, size, strip) for place in range(len(sources))]
        cut = [_converted(part, pixels) for part in cut]
        alone = [ffmpeg.filter(pair, "vstack", inputs=2) for pair in zip(alone, cut, strict=True)]
        together = ffmpeg.filter([together, _converted(parts[len(sources)], pixels)], "vstack", inputs=2)
    together, canvas = _framed(together, (width, height), look)
    films = [(stream, output, (size, height)) for stream, output in zip(alone, channels, strict=True)]
    films += [(together, triptych, canvas)]
    # One thread a film: ffmpeg encodes them side by side, and half of all pixels are the triptych's.
    planned = [_planned(*film, fps=fps, count=count, codec=codec, threads=1) for film in films]
    return _run(planned, feed=feed, log_file=log_file, decode=False)  # which would take a fifth of the time


def _pictures(sources: Sequence[Path], count: int, look: dict, pixels: str, threads: int) -> list:
    """Streams of the channels' pictures, counted, converted and enlarged in one go; borders come after, at no cost."""
    for source in sources:
        check_frames(source, count)
    side = max(look["cell"]) if look.get("fill") == "crop" else min(look.get("cell", (look["size"],)))
    scaling, enlarged = look.get("scaling", "mitchell"), (side, side)
    streams = [ffmpeg.input(_file(source), threads=threads) for source in sources]
    return [_converted(stream, pixels, scaling, enlarged) for stream in streams]


def _strips(captions: Iterable[np.ndarray], width: int, count: int, fps: float, fixed: bool = True) -> tuple:
    """Caption strips as a stream, their width and height in pixels, and what feeds them to ffmpeg."""
    strips = iter(captions)
    first = next(strips)
    if fixed and first.shape[1] != width:
        raise ValueError(f"a caption strip is {first.shape[1]} pixels wide below pictures of {width}")
    return raw_input(first, fps), first.shape[1::-1], _counted(_checked(first, strips), count)


def _framed(whole, size: tuple[int, int], look: dict) -> tuple:
    """A stream of pictures of `size` in the middle of the film's canvas, and the canvas's size."""
    (width, height), margin = size, look.get("margin", 0)
    canvas = look.get("canvas", (width + 2 * margin, height + 2 * margin))
    if canvas != size:
        left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
        whole = whole.filter("pad", *canvas, left, top, color=look.get("ground", GROUND_HEX))
    return whole, canvas


def encode_frames(
    frames: Iterable[np.ndarray],
    output: Path,
    *,
    fps: float,
    count: int,
    codec: dict,
    threads: int = 1,
    log_file: Path | None = None,
) -> dict:
    """A film of `count` frames (uint8 [H, W, 3]) that are made while it is written; `codec` as in `options_of`."""
    source = iter(frames)
    first = next(source)
    return deliver(
        _converted(raw_input(first, fps), options_of(codec, fps)["pix_fmt"]),
        output,
        fps=fps,
        count=count,
        size=(first.shape[1], first.shape[0]),
        codec=codec,
        feed=_counted(_checked(first, source), count),
        threads=threads,
        log_file=log_file,
    )


def deliver(
    whole,
    output: Path,
    *,
    fps: float,
    count: int,
    size: tuple[int, int],
    codec: dict,
    feed: Iterable[np.ndarray] | None,
    threads: int,
    log_file: Path | None,
) -> dict:
    """Encode a stream of pictures (`_converted`), and read it back before it takes its name."""
    planned = _planned(whole, output, size, fps=fps, count=count, codec=codec, threads=threads)
    return _run([planned], feed=feed, log_file=log_file)[0]


def _planned(
    whole, output: Path, size: tuple[int, int], *, fps: float, count: int, codec: dict, threads: int
) -> Planned:
    """How a stream of pictures (`_converted`) of `size` becomes a film."""
    if size[0] % 2 or size[1] % 2:
        raise UserError(
            f"the film would be {size[0]} x {size[1]} pixels, and H.264 wants even numbers: change video.size"
        )
    options = options_of(codec, fps)
    pixels = options["pix_fmt"]
    options = {**options, "r": _rate(fps), "threads": threads, **COLOURS}
    wanted = {"frames": count, "width": size[0], "height": size[1], "fps": Fraction(_rate(fps)), "pix_fmt": pixels}
    wanted |= {"colours": READ_COLOURS, "audio": 0}
    tags = enumerate(codec.get("metadata", {}).items())
    options |= {f"metadata:g:{number}": f"{key}={value}" for number, (key, value) in tags}
    return Planned(whole.filter("setparams", **TAGS), output, options, wanted)  # once more: hstack forgets them


def options_of(codec: dict, fps: float) -> dict:
    """ffmpeg's output options for a codec.

    {crf, preset}: H.264 that plays anywhere, a key frame a second, so that a page can seek.
    {preset, mbit, gop}: H.264 at a constant rate of `mbit` Mbit/s for synchronised players: every group of pictures
    closed and `gop` frames long, or a second; the rate's buffer is half a second, so no second holds more than 1.5
    times the rate.
    {prores: True}: ProRes 422 HQ, 10 bit. {webm: True}: VP9 for the web.
    With any of them, metadata: the film's tags.
    """
    if codec.get("webm"):
        options = {"vcodec": "libvpx-vp9", "crf": 28, "b:v": 0, "row-mt": 1, "deadline": "good", "cpu-used": 4}
        return {**options, "pix_fmt": "yuv420p", "g": 10 * round(fps)}
    if codec.get("prores"):
        # prores_ks makes the same pictures, to the bit, in five times the time; but it tells the transfer by itself.
        options = {"vcodec": "prores_aw", "profile:v": 3, "vendor": "apl0", "pix_fmt": "yuv422p10le"}
        return {**options, "bsf:v": "prores_metadata=color_trc=13"}
    options = {"vcodec": "libx264", "preset": codec["preset"], "pix_fmt": "yuv420p", "g": round(fps)}
    options["movflags"] = "+faststart"
    if "mbit" not in codec:
        # Blocks below 16 x 16 cost a third of the time, and a search below a pixel a third of the rest. Who asks for
        # a slower preset asks for both.
        quick = {"x264-params": "partitions=none:subme=0:me=dia"} if codec["preset"] == "veryfast" else {}
        return {**options, "crf": codec["crf"], **quick}
    rate, group = round(codec["mbit"] * 1e6), codec.get("gop") or round(fps)
    return {
        **options,
        "g": group,
        "profile:v": "high",
        "b:v": rate,
        "minrate": rate,
        "maxrate": rate,
        "bufsize": rate // 2,
        "flags": "+cgop",
        "x264-params": f"nal-hrd=cbr:force-cfr=1:open-gop=0:scenecut=0:min-keyint={group}",
    }


def _converted(pictures, pixels: str, scaling: str = "mitchell", size: tuple[int, int] | None = None):
    """A stream of RGB pictures as YCbCr by BT.709 in a format of `pixels`, enlarged to `size` where it is given."""
    kernel = dict(SCALING[scaling])
    kernel["flags"] += "+accurate_rnd+full_chroma_inp+full_chroma_int"
    return (
        pictures.filter("scale", *(size or ()), out_color_matrix="bt709", out_range="tv", **kernel)
        .filter("format", pixels)
        .filter("setparams", **TAGS)
    )


def raw_input(frame: np.ndarray, fps: float):
    """Frames like `frame` (uint8 [H, W, 3]) on the standard input of ffmpeg."""
    return ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=_size(frame), framerate=_rate(fps))


def film_size(channels: int, look: dict) -> tuple[int, int]:
    """Width and height in pixels of `channels` pictures side by side, margins included, captions not."""
    if "cell" in look:
        return channels * look["cell"][0], look["cell"][1]
    margin = look.get("margin", 0)
    return channels * look["size"] + (channels - 1) * look.get("gap", 0) + 2 * margin, look["size"] + 2 * margin


def _filled(picture, look: dict):
    """A square picture that fills its cell: cropped, or continued by its mirror image on both sides."""
    if "cell" not in look:
        return picture
    width, height = look["cell"]
    if look["fill"] == "crop":
        return picture.filter("crop", width, height)
    side = min(width, height)
    left, top = ((space - side) // 4 * 2 for space in (width, height))  # even, as 4:2:0 wants
    right, bottom = width - side - left, height - side - top
    padded = picture.filter("pad", width, height, left, top)
    return padded.filter("fillborders", left=left, right=right, top=top, bottom=bottom, mode="mirror")


def _side_by_side(pictures: list, look: dict):
    """A stream of all pictures in a row, `gap` pixels of ground between them."""
    if len(pictures) == 1:
        return pictures[0]
    size, gap, ground = look["size"], 0 if "cell" in look else look.get("gap", 0), look.get("ground", GROUND_HEX)
    if gap:
        pictures = [
            pictures[0],
            *(picture.filter("pad", size + gap, size, gap, 0, color=ground) for picture in pictures[1:]),
        ]
    return ffmpeg.filter(pictures, "hstack", inputs=len(pictures))


def _checked(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames, each like the first in shape and kind: raw video has nothing else to tell frames apart by."""
    yield first
    for frame in others:
        if frame.shape != first.shape or frame.dtype != np.uint8:
            raise ValueError(f"a frame of {frame.shape} {frame.dtype} among frames of {first.shape} uint8")
        yield frame


def _counted(strips: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The caption strips, refused where they are not one a frame: ffmpeg would repeat the last without a word."""
    given = 0
    for given, strip in enumerate(strips, start=1):  # noqa: B007 - counted after the last, too
        yield strip
    if given != count:
        raise ValueError(f"{given} caption strips for {count} frames")


def _run(
    films: Sequence[Planned], *, feed: Iterable[np.ndarray] | None, log_file: Path | None, decode: bool = True
) -> list[dict]:
    """Run ffmpeg into temporary files beside the outputs, feed it, read the files back, and only then name them."""
    partials, nodes = [], []
    for film in films:
        folder, name = film.output.parent, film.output
        folder.mkdir(parents=True, exist_ok=True)
        for left_by_a_kill in folder.glob(f".{glob.escape(name.stem)}.*{name.suffix}"):
            left_by_a_kill.unlink(missing_ok=True)
        partials.append(name.with_name(f".{name.stem}.{os.getpid()}{name.suffix}"))
        given = {**film.options, "an": None, "map_metadata": -1, "fflags": "+bitexact"}
        nodes.append(ffmpeg.output(film.stream, _file(partials[-1]), **given))
    node = ffmpeg.merge_outputs(*nodes) if len(nodes) > 1 else nodes[0]
    node = node.global_args("-hide_banner", "-nostats", "-loglevel", "warning", "-filter_threads", "1")
    command = ffmpeg.compile(node, cmd=ffmpeg_program(), overwrite_output=True)
    logger.debug("%s", command)
    try:
        with _words(log_file) as words:
            status = _feed(command, feed, words)
        if status:
            names = ", ".join(str(film.output) for film in films)
            raise UserError(f"ffmpeg could not write {names} (exit code {status}): {_last_words(log_file)}")
        with ThreadPoolExecutor() as readers:  # decoding leaves Python alone
            found = list(readers.map(read_film, partials, repeat(decode)))
        for film, read in zip(films, found, strict=True):
            if differs := mismatch(read, **film.wanted):
                raise UserError(
                    f"{film.output} did not come out as planned: {differs}; ffmpeg: {_last_words(log_file)}"
                )
        for film, partial in zip(films, partials, strict=True):
            partial.replace(film.output)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)
    return found


def _feed(command: list[str], feed: Iterable[np.ndarray] | None, words) -> int:
    """Run `command`, write the frames to its standard input, return its exit code; never leave it running."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE if feed is not None else subprocess.DEVNULL, stdout=words, stderr=words
    )
    try:
        if feed is not None:
            try:
                for frame in feed:
                    process.stdin.write(np.ascontiguousarray(frame).data)
                process.stdin.close()
            except BrokenPipeError:  # ffmpeg gave up first: its exit code and last words say why
                return process.wait() or 1
        return process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()


def _words(log_file: Path | None):
    """Where ffmpeg's own words go: the end of the log file."""
    if log_file is None:
        return Path(os.devnull).open("ab")
    Path(log_file).parent.mkdir(parents=True, exist_ok=True)
    return Path(log_file).open("ab")


def _last_words(log_file: Path | None) -> str:
    if log_file is None:
        return "(no log was kept)"
    lines = Path(log_file).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(it said nothing)"


def _file(path: Path) -> str:
    """A file name that ffmpeg takes for nothing but a file name, whatever letters it has."""
    return f"file:{path}"


def _rate(fps: float) -> str:
    return str(Fraction(str(fps)))


def _size(frame: np.ndarray) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"
