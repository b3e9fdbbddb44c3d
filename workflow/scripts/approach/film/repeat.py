"""A film repeated for hours: its tables name the same pictures again and again, and the pictures are stored once.

The tables of an .mp4 file (ISO/IEC 14496-12, 8.6 and 8.7) say for every frame where in the file its picture lies, and
two frames may name the same place. So four hours are as large as one round and a few megabytes of tables, are written
as fast as one round is copied, and fit on a stick formatted with FAT32.
"""

import math
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from approach.errors import UserError
from approach.film.probe import stated_length

_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
# The tables of frames that we can repeat, with the type of their numbers and how many of these are a row.
_TABLES = {
    b"stts": (">u4", 2),
    b"ctts": (">u4", 2),
    b"stss": (">u4", 1),
    b"stsc": (">u4", 3),
    b"stco": (">u4", 1),
    b"co64": (">u8", 1),
}
_OTHER_TABLES = (b"stsd", b"stsz", b"sdtp")


@dataclass(frozen=True)
class _Film:
    """The repeated film: how often, of how many samples and chunks a round, how long in units of movie and media."""

    times: int
    samples: int
    chunks: int
    movie: int
    media: int
    moved: int = 0  # bytes by which the pictures lie further back than in the source


def repeats(hours: float, seconds: float) -> int:
    """How often a film is repeated to last at least so long."""
    return max(1, math.ceil(hours * 3600 / seconds - 1e-9))


def repeat_film(source: Path, output: Path, times: int) -> int:
    """Repeat a film through its tables: nothing is encoded again, and no decoded picture differs.

    Args:
        source: an .mp4 file of one video track without sound, of closed groups of pictures, its tables first.
        output: the .mp4 file.
        times: how often its pictures are shown in `output`.

    Returns:
        The number of frames in `output`.

    Raises:
        UserError: the source is of another kind, the film too long for such tables, or the frames do not add up.
    """
    partial = output.with_name(f".{output.stem}.part{output.suffix}")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open("rb") as film, partial.open("wb") as repeated:
            head = _read_head(film, source)
            try:
                repeated.write(_repeat_head(head, times))
            except (KeyError, ValueError, OverflowError, struct.error) as error:
                raise UserError(f"{source} cannot be repeated {times} times by its tables: {error}") from error
            shutil.copyfileobj(film, repeated)
        frames = _check(partial, source, times)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return frames


def _read_head(film, source: Path) -> bytes:
    """All that stands before the pictures; the file is left where they begin."""
    begin = 0
    while len(header := film.read(8)) == 8:
        size, kind = struct.unpack(">I4s", header)
        if kind == b"mdat":
            film.seek(0)
            return film.read(begin)
        if size < 8:
            break
        begin += size
        film.seek(begin)
    raise UserError(f"{source} holds no pictures: delete it, it is made again")


def _repeat_head(head: bytes, times: int) -> bytes:
    """The head of the repeated film. Its tables are longer, so that the pictures move: hence it is made twice.

    Raises:
        KeyError, ValueError: there is no table of a kind that we need, or one that we cannot repeat.
        OverflowError, struct.error: a number does not fit its table.
    """
    found = list(_leaves(head))
    leaves = {kind: body for _, kind, body in found}
    others = {kind for parent, kind, _ in found if parent == b"stbl"} - {*_TABLES, *_OTHER_TABLES}
    missing = {b"mvhd", b"tkhd", b"mdhd", b"stsz", b"stsc"} - set(leaves)
    if others or missing or len(found) > len(leaves):
        raise ValueError(f"not one film alone, or tables that we do not know: {sorted(others | missing)}")
    movie_scale, _ = struct.unpack_from(">II", leaves[b"mvhd"], 12)
    media_scale, media = struct.unpack_from(">II", leaves[b"mdhd"], 12)
    film = _Film(
        times=times,
        samples=struct.unpack_from(">I", leaves[b"stsz"], 8)[0],
        chunks=struct.unpack_from(">I", leaves.get(b"stco") or leaves[b"co64"], 4)[0],
        movie=math.ceil(Fraction(media * times * movie_scale, media_scale)),
        media=media * times,
    )
    moved = len(_repeat_boxes(head, film)) - len(head)
    return _repeat_boxes(head, replace(film, moved=moved))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes that stand in `data` one after the other."""
    begin = 0
    while begin < len(data):
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8:
            raise ValueError(f"a box {kind} of {size} bytes")
        yield kind, data[begin + 8 : begin + size]
        begin += size


def _leaves(data: bytes, parent: bytes = b"") -> Iterator[tuple[bytes, bytes, bytes]]:
    """(kind of the box around it, kind, content) of every box that holds no boxes."""
    for kind, content in _boxes(data):
        if kind in _CONTAINERS:
            yield from _leaves(content, kind)
        else:
            yield parent, kind, content


def _repeat_boxes(data: bytes, film: _Film) -> bytes:
    boxes = []
    for kind, content in _boxes(data):
        repeated = _repeat_boxes(content, film) if kind in _CONTAINERS else _repeat_content(kind, content, film)
        boxes.append(struct.pack(">I4s", 8 + len(repeated), kind) + repeated)
    return b"".join(boxes)


def _repeat_content(kind: bytes, content: bytes, film: _Film) -> bytes:
    """What stands in a box of the repeated film."""
    match kind:
        case b"mvhd":
            return _put(content, 16, film.movie)
        case b"tkhd":
            return _put(content, 20, film.movie)
        case b"mdhd":
            return _put(content, 16, film.media)
        case b"elst":  # an edit of one part: what the decoder holds back is left out of the first round only
            return _put(content, 8, film.movie)
        case b"stsz":  # the size of a sample, or 0 and the sizes of all
            return _put(content, 8, film.samples * film.times)[:12] + content[12:] * film.times
        case b"sdtp":  # a byte a sample
            return content[:4] + content[4:] * film.times
        case _ if kind in _TABLES:
            return _repeat_table(kind, content, film)
    return content


def _repeat_table(kind: bytes, content: bytes, film: _Film) -> bytes:
    """The rows of every round, one round after the other; frames and chunks are counted on."""
    number, columns = _TABLES[kind]
    rows = np.frombuffer(content, number, offset=8).reshape(-1, columns).astype(np.int64)
    if kind in (b"stco", b"co64"):
        rows = rows + film.moved
    step = {b"stss": film.samples, b"stsc": film.chunks}.get(kind, 0)
    every = np.tile(rows, (film.times, 1))
    every[:, 0] += step * np.repeat(np.arange(film.times), len(rows))
    if every.max(initial=0) > np.iinfo(number).max:
        raise OverflowError(f"the table {kind.decode()} is too short for it")
    return content[:4] + struct.pack(">I", len(every)) + every.astype(number).tobytes()


def _put(content: bytes, at: int, number: int) -> bytes:
    """The same with 32 bits replaced, of a box of version 0 (of version 1, numbers stand elsewhere)."""
    if content[0]:
        raise ValueError("a box of another version than ffmpeg writes for films of hours")
    return content[:at] + struct.pack(">I", number) + content[at + 4 :]


def _check(film: Path, source: Path, times: int) -> int:
    """The frames of the repeated film, which must be so many rounds of the source, and last as long."""
    (frames, seconds), found = stated_length(source), stated_length(film)
    if found != (frames * times, seconds * times):
        raise UserError(f"{source}: repeated {times} times, it has {found[0]} frames in {float(found[1]):.3f} s")
    return found[0]
