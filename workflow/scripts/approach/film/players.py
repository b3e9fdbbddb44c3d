"""Players' folders: the films of an installation under the names that each player wants, as hard links.

What each wants is in its own documentation; tests/test_players.py says where.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from approach.sources import sha256_of

logger = logging.getLogger(__name__)

MPV = Path(__file__).parent / "mpv"
PLAYERS = ("mp4museum", "omxplayer-sync", "info-beamer", "gst-sync-server", "mpv")
SCREENS = ("left", "centre", "right")
SUMS = "SHA256SUMS"


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
