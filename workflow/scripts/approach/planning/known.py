"""Digests of files that planning asks for again and again, computed once while a file does not change. No torch."""

from functools import cache
from pathlib import Path

from approach.sources import sha256_of


def current_sha256(path: str | Path) -> str | None:
    """The sha256 of a file as it is now; None where there is none."""
    path = Path(path)
    if not path.is_file():
        return None
    stat = path.stat()
    return _digest(path, (stat.st_mtime_ns, stat.st_size))


@cache
def _digest(path: Path, _: tuple[int, int]) -> str:
    return sha256_of(path)
