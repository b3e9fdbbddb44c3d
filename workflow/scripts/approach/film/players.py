"""Players' folders: the films of an installation under the names that each player wants, as hard links.

What each wants is in its own documentation; tests/test_players.py says where.
"""

import logging
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av

from approach.errors import UserError
from approach.film.encode import ffmpeg_program
from approach.film.probe import count_frames
from approach.sources import sha256_of

logger = logging.getLogger(__name__)

MPV = Path(__file__).parent / "mpv"
PLAYERS = ("mp4museum", "omxplayer-sync", "info-beamer", "gst-sync-server", "mpv")
SCREENS = ("left", "centre", "right")
SUMS = "SHA256SUMS"
HEADER_PER_FRAME = 64  # bytes of an .mp4 file's tables, generously


def repeats(hours: float, seconds: float) -> int:
    """How often a film is repeated to last at least so long."""
    return max(1, math.ceil(hours * 3600 / seconds - 1e-9))


def repeat_film(source: Path, output: Path, times: int) -> int:
    """Repeat an H.264 film by copying its packets: nothing is encoded again, and no decoded picture differs.

    The tables stand before the pictures, in space that is reserved for them, so that nothing is written twice.

    Args:
        source: an .mp4 file of closed groups of pictures.
        output: the .mp4 file.
        times: how often its pictures are in `output`.

    Returns:
        The number of frames in `output`.

    Raises:
        UserError: ffmpeg could not write it, or the frames do not add up.
    """
    partial = output.with_name(f".{output.stem}.part{output.suffix}")
    frames = count_frames(source) * times
    command = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-y", "-stream_loop", str(times - 1)]
    command += ["-i", f"file:{source}", "-map", "0:v", "-c", "copy", "-fflags", "+bitexact"]
    command += ["-moov_size", str(100_000 + HEADER_PER_FRAME * frames), f"file:{partial}"]
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode:
            last = (told.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"ffmpeg could not write {output} (exit code {told.returncode}): {last}")
        with av.open(str(partial)) as written:
            stream = written.streams.video[0]
            # from the tables: to count the packets is to read gigabytes again
            found, seconds = stream.frames, stream.duration * stream.time_base
            if (found, seconds) != (frames, frames / stream.average_rate):
                raise UserError(f"{output}: holds {found} frames in {float(seconds):.3f} s and not {frames}")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return frames


def lay_out(folder: Path, films: Mapping[str, Path], line_ups: Mapping[str, Path], seconds: Fraction) -> None:
    """Make the folder of each player, and their checksums.

    Args:
        folder: players/; it must be empty or missing.
        films: left, centre, right, wide -> the .mp4 file, as long as it is to be played.
        line_ups: the same of the line-up clips.
        seconds: how long a film takes.
    """
    for number, screen in enumerate(SCREENS, start=1):
        museum = folder / "mp4museum" / f"{number}-{screen}"
        link(films[screen], museum / "sync.mp4")
        (museum / ("sync-leader.txt" if number == 1 else "sync-player.txt")).touch()
        # omxplayer-sync: the same name on every stick, and no other file beside it.
        link(films[screen], folder / "omxplayer-sync" / f"{number}-{screen}" / "triptych.mp4")
        link(films[screen], folder / "info-beamer" / f"{screen}.mp4")
        link(films[screen], folder / "gst-sync-server" / f"{number}-{screen}" / "triptych.mp4")
    (folder / "info-beamer" / "playlist.txt").write_text(",".join(f"{screen}.mp4" for screen in SCREENS) + "\n")
    nanoseconds = round(seconds * 10**9)
    (folder / "gst-sync-server" / "playlist.txt").write_text(f"file:///srv/triptych/triptych.mp4 {nanoseconds}\n")
    for screen, film in films.items():
        link(film, folder / "mpv" / f"{screen}.mp4")
        link(line_ups[screen], folder / "mpv" / f"line-up-{screen}.mp4")
    for file in ("play.sh", "sync.lua"):
        shutil.copy(MPV / file, folder / "mpv" / file)
    (folder / SUMS).write_text(_sums(folder))


def link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        logger.warning("%s: this file system has no hard links; it is copied", target)
        shutil.copy2(source, target)


def _sums(folder: Path) -> str:
    """A line for every file, as `sha256sum --check` reads it; a file of several names is read once."""
    known, lines = {}, []
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS):
        inode = file.stat().st_ino
        known[inode] = known.get(inode) or sha256_of(file)
        lines.append(f"{known[inode]}  {file.relative_to(folder).as_posix()}\n")
    return "".join(lines)
