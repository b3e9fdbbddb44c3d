"""What a video file really holds, read with PyAV: the proof that follows every encode."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Numbers of ITU-T H.273, as far as our films use them.
_PRIMARIES = {1: "bt709", 2: "unknown"}
_TRANSFER = {1: "bt709", 2: "unknown", 13: "iec61966-2-1"}
_MATRIX = {0: "gbr", 1: "bt709", 2: "unknown", 5: "bt470bg", 6: "smpte170m"}
_RANGE = {0: "unknown", 1: "tv", 2: "pc"}


def read_film(path: Path | str, decode: bool = True) -> dict:
    """Decode a whole film and say what it is; or only count its packets, where it was decoded before.

    Args:
        path: the film.
        decode: whether its pictures are decoded, or only its packets counted.

    Returns:
        {frames, fps (Fraction), width, height, codec, profile, pix_fmt, colours: {range, matrix, primaries, transfer},
        keyframes: [frame numbers], seconds, bytes, bit_rate, audio: number of audio streams}. `frames` counts decoded
        pictures (or packets), not what the container promises.

    Raises:
        av.error.FFmpegError: the file is broken.
    """
    path = Path(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames, keyframes = 0, []
        if decode:
            keys = (frame.key_frame for frame in container.decode(stream))
        else:
            keys = (packet.is_keyframe for packet in container.demux(stream) if packet.size)
        for is_key in keys:
            if is_key:
                keyframes.append(frames)
            frames += 1
        context = stream.codec_context
        fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
        seconds = float(frames / fps) if fps else 0.0
        size = path.stat().st_size
        return {
            "frames": frames,
            "fps": fps,
            "width": context.width,
            "height": context.height,
            "codec": context.name,
            "profile": context.profile,
            "pix_fmt": context.pix_fmt,
            "colours": {
                "range": _RANGE.get(int(context.color_range), str(context.color_range)),
                "matrix": _MATRIX.get(int(context.colorspace), str(context.colorspace)),
                "primaries": _PRIMARIES.get(int(context.color_primaries), str(context.color_primaries)),
                "transfer": _TRANSFER.get(int(context.color_trc), str(context.color_trc)),
            },
            "keyframes": keyframes,
            "seconds": seconds,
            "bytes": size,
            "bit_rate": 8 * size / seconds if seconds else 0.0,
            "audio": len(container.streams.audio),
        }


def groups_of_pictures(path: Path | str) -> dict:
    """How an H.264 film (.mp4) may be entered, and how evenly its bits flow; no decoding.

    Returns:
        {starts: numbers of the packets that begin a group, closed: whether each of them is an IDR picture, behind which
        nothing refers to what was before, busiest: bits in the fullest window of one second}.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = round(stream.average_rate)
        packets = [packet for packet in container.demux(stream) if packet.size]
        starts = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        closed = all(5 in _kinds(bytes(packets[number])) for number in starts)
        sizes = np.array([packet.size for packet in packets])
    covered = np.concatenate([[0], np.cumsum(sizes)])
    window = min(fps, len(sizes))
    return {"starts": starts, "closed": closed, "busiest": int(8 * (covered[window:] - covered[:-window]).max())}


def _kinds(packet: bytes) -> set[int]:
    """The kinds of the NAL units in a packet of an .mp4 file (ISO 14496-15: four bytes of length before each)."""
    kinds, at = set(), 0
    while at + 5 <= len(packet):
        kinds.add(packet[at + 4] & 31)
        at += 4 + int.from_bytes(packet[at : at + 4], "big")
    return kinds


def count_frames(path: Path | str) -> int:
    """The number of pictures by counting packets: no decoding, for files that were decoded when they were written."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def stated_length(path: Path | str) -> tuple[int, Fraction]:
    """Frames and seconds of a film as its tables state them, without reading a packet."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.frames, stream.duration * stream.time_base


def picture_size(path: Path | str) -> tuple[int, int]:
    """Width and height of a film's pictures, from its header."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.width, stream.codec_context.height


def read_frames(path: Path | str) -> Iterator[np.ndarray]:
    """The pictures of a film in order, uint8 [H, W, 3]."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def mismatch(found: dict, **wanted: object) -> str:
    """In words, where `found` (from `read_film`) differs from what was wanted; empty where nothing does."""
    return "; ".join(f"{key} is {found[key]}, not {value}" for key, value in wanted.items() if found[key] != value)
