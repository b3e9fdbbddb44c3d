"""Files from outside are verified: a known sha256 is expected, an unknown one recorded at first use.

A file whose sha256 is known (whole, or its first digits, as in torchvision's file names) must have it; a file whose
sha256 nobody published has it recorded at first use in <file>.lock.json and must have it ever after.
"""

import hashlib
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from approach.errors import UserError

logger = logging.getLogger(__name__)


def is_url(text: str | Path) -> bool:
    """Whether text is an http(s) address (and not a path)."""
    return str(text).lower().startswith(("http://", "https://"))


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, as 64 hex digits (about a second for 500 MB)."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock_path(path: str | Path) -> Path:
    """Where the sha256 of path is recorded at first use."""
    path = Path(path)
    return path.with_name(path.name + ".lock.json")


def verify(path: str | Path, *, sha256: str | None = None, url: str | None = None) -> str:
    """Check a file that is there and return its sha256.

    Args:
        path: the file.
        sha256: what its sha256 is known to be: 64 hex digits, or the first few. Where it is not known whole, the lock
            file beside the file is asked too, and written at first use.
        url: where the file comes from, for the lock file and the message.

    Raises:
        UserError: the file is not the known or recorded one; the message says what to do. The file is left alone.
    """
    path = Path(path)
    found = sha256_of(path)
    compare(path.name, found, path, sha256, f"delete {path} and run again")
    record(path, found, path.stat().st_size, sha256, url)
    return found


def compare(what: str, found: str, path: Path, known: str | None, remedy: str) -> None:
    """Raise where found is neither the known sha256 nor, where that is not known whole, the recorded one."""
    if known and not found.startswith(known.lower()):
        raise UserError(f"{what}: sha256 is {found}, expected {known}; {remedy}")
    lock = lock_path(path)
    if (known and len(known) == 64) or not lock.is_file():
        return
    try:
        recorded = json.loads(lock.read_text())["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{lock}: not a readable lock file; delete it to record the file anew") from error
    if found != recorded:
        raise UserError(
            f"{what}: sha256 is {found}, but {recorded} was recorded at first use; {remedy}, "
            f"or delete {lock} if you trust the new file"
        )


def record(path: Path, sha256: str, size: int, known: str | None, url: str | None) -> None:
    """Write the lock file at first use; no need where the whole sha256 is known."""
    lock = lock_path(path)
    if (known and len(known) == 64) or lock.exists():
        return
    entry = {"url": url, "sha256": sha256, "bytes": size, "retrieved": datetime.now(UTC).isoformat(timespec="seconds")}
    part = lock.with_name(f".{lock.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(entry, indent=2) + "\n")
        part.replace(lock)
    except OSError as error:  # a read-only folder of someone else's files
        logger.warning("%s: sha256 %s cannot be recorded (%s)", path, sha256, error.strerror)
