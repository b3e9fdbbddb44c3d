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
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

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
    found = _run([raw], output, options=options, wanted=wanted, feed=_checked(first, source), log_file=log_file)
    checksum_file(output).write_text(f"{sha256_of(output)}  {output.name}\n", encoding="utf-8")
    return found


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
    for source in sources:
        check_frames(source, count)
    # Each picture is converted and enlarged in one pass; borders are added after it, and cost nothing.
    side = max(look["cell"]) if look.get("fill") == "crop" else min(look.get("cell", (look["size"],)))
    pixels, enlarged = options_of(codec, fps)["pix_fmt"], (side, side)
    scaling = look.get("scaling", "mitchell")
    pictures = [
        _converted(ffmpeg.input(_file(source), threads=threads), pixels, scaling, enlarged) for source in sources
    ]
    margin, ground = look.get("margin", 0), look.get("ground", GROUND_HEX)
    width, height = (side - 2 * margin for side in film_size(len(sources), look))
    pictures = [_filled(picture, look) for picture in pictures]
    whole, feed = _side_by_side(pictures, look, ground), None
    if captions is not None:
        strips = iter(captions)
        first = next(strips)
        if first.shape[1] != width and "cell" not in look:
            raise ValueError(f"a caption strip is {first.shape[1]} pixels wide below pictures of {width}")
        height += first.shape[0]
        strip = _converted(raw_input(first, fps), pixels)
        if first.shape[1] != width:
            strip = strip.filter("pad", width, first.shape[0], (width - first.shape[1]) // 2, 0, color=ground)
        whole = ffmpeg.filter([whole, strip], "vstack", inputs=2)
        feed = _counted(_checked(first, strips), count)
    canvas = look.get("canvas", (width + 2 * margin, height + 2 * margin))
    if canvas != (width, height):
        left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
        whole = whole.filter("pad", *canvas, left, top, color=ground)
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
    if size[0] % 2 or size[1] % 2:
        raise UserError(
            f"the film would be {size[0]} x {size[1]} pixels, and H.264 wants even numbers: change video.size"
        )
    options = options_of(codec, fps)
    pixels = options["pix_fmt"]
    options = {**options, "r": _rate(fps), "threads": threads, **COLOURS}
    wanted = {"frames": count, "width": size[0], "height": size[1], "fps": Fraction(_rate(fps)), "pix_fmt": pixels}
    wanted |= {"colours": READ_COLOURS, "audio": 0}
    whole = whole.filter("setparams", **TAGS)  # once more: hstack forgets them
    return _run([whole], output, options=options, wanted=wanted, feed=feed, log_file=log_file)


def options_of(codec: dict, fps: float) -> dict:
    """ffmpeg's output options for a codec.

    {crf, preset}: H.264 that plays anywhere, a key frame a second, so that a page can seek.
    {preset, mbit, gop}: H.264 at a constant rate of `mbit` Mbit/s for synchronised players: every group of pictures
    closed and `gop` frames long, or a second; the rate's buffer is half a second, so no second holds more than 1.5
    times the rate.
    {prores: True}: ProRes 422 HQ, 10 bit.
    """
    if codec.get("prores"):
        # prores_ks makes the same pictures, to the bit, in five times the time; but it tells the transfer by itself.
        options = {"vcodec": "prores_aw", "profile:v": 3, "vendor": "apl0", "pix_fmt": "yuv422p10le"}
        return {**options, "bsf:v": "prores_metadata=color_trc=13"}
    options = {"vcodec": "libx264", "preset": codec["preset"], "pix_fmt": "yuv420p", "g": round(fps)}
    options["movflags"] = "+faststart"
    if "mbit" not in codec:
        return {**options, "crf": codec["crf"]}
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


def _side_by_side(pictures: list, look: dict, ground: str):
    """A stream of all pictures in a row, `gap` pixels of ground between them."""
    if len(pictures) == 1:
        return pictures[0]
    size, gap = look["size"], 0 if "cell" in look else look.get("gap", 0)
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
    graph: list,
    output: Path,
    *,
    options: dict,
    wanted: dict,
    feed: Iterable[np.ndarray] | None,
    log_file: Path | None,
) -> dict:
    """Run ffmpeg into a temporary file beside `output`, feed it, read the file back, and only then name it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_kill in output.parent.glob(f".{glob.escape(output.stem)}.*{output.suffix}"):
        left_by_a_kill.unlink(missing_ok=True)
    partial = output.with_name(f".{output.stem}.{os.getpid()}{output.suffix}")
    node = ffmpeg.output(*graph, _file(partial), **options, an=None, map_metadata=-1, fflags="+bitexact")
    node = node.global_args("-hide_banner", "-nostats", "-loglevel", "warning", "-filter_threads", "1")
    command = ffmpeg.compile(node, cmd=ffmpeg_program(), overwrite_output=True)
    logger.debug("%s", command)
    try:
        with _words(log_file) as words:
            status = _feed(command, feed, words)
        if status:
            raise UserError(f"ffmpeg could not write {output} (exit code {status}): {_last_words(log_file)}")
        found = read_film(partial)
        if differs := mismatch(found, **wanted):
            raise UserError(f"{output} did not come out as planned: {differs}; ffmpeg: {_last_words(log_file)}")
        partial.replace(output)
    finally:
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
