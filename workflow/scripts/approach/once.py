"""What several films show is made once: a later job copies it from where it lies, if it is still what was made.

Rules declare their files film by film, since which trajectories a film by rank shows is known only when they are there.
That two films show the same is therefore found out by the jobs: beside their products lies a note for each thing made,
under the digest of what it was made of, with the file and its sha256. Notes may be deleted at any time.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from approach.sources import sha256_of


class Thing(NamedTuple):
    """A file to have made: everything that its content follows from, as plain values, and what makes it at a path."""

    output: Path
    made_of: dict
    make: Callable[[Path], object]


def make_each_once(things: Sequence[Thing], notes: Path) -> Iterator[tuple[Thing, bool]]:
    """Have several files made, as `make_once`; what another job is making at the moment comes last.

    Yields:
        Each thing and whether it was made here.
    """
    being_made = []
    for thing in things:
        try:
            yield thing, make_once(thing.output, notes, thing.made_of, thing.make, wait=False)
        except Timeout:
            being_made.append(thing)
    for thing in being_made:
        yield thing, make_once(thing.output, notes, thing.made_of, thing.make)


def make_once(output: Path, notes: Path, made_of: dict, make: Callable[[Path], object], *, wait: bool = True) -> bool:
    """Have a file made, or copy it from where another job has made the same.

    A second job that wants the same while it is being made waits for it.

    Args:
        output: the file.
        notes: the folder of the notes.
        made_of: everything that the file's content follows from, as plain values.
        make: makes the file at the path it is given.
        wait: for another job that is making it.

    Returns:
        Whether it was made here.

    Raises:
        filelock.Timeout: another job is making it, and is not waited for.
    """
    notes.mkdir(parents=True, exist_ok=True)
    note = notes / f"{digest_of(made_of)}.json"
    with _alone(note.with_suffix(".lock"), wait):
        if (place := _made(note)) and place != output:
            shutil.copyfile(place, output)
            return False
        make(output)
        told = {"file": os.path.relpath(output, notes), "sha256": sha256_of(output)}
        partial = note.with_suffix(".part")  # one name: what a killed job left is replaced by the next
        partial.write_text(json.dumps(told) + "\n", encoding="utf-8")
        with suppress(FileNotFoundError):  # without locks, another job may have put the same note there
            partial.replace(note)
    return True


def digest_of(made_of: dict) -> str:
    """Sixteen hex digits of plain values."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def digest_of_arrays(*arrays: np.ndarray) -> str:
    """The sha256 of arrays, shapes and kinds included."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(f"{array.dtype} {array.shape} ".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


def digests_of_files(files: dict[str, str], *names: str) -> dict[str, str]:
    """The sha256 of the files among `files` that have one of the names."""
    return {name: sha256_of(files[name]) for name in names if name in files}


def _made(note: Path) -> Path | None:
    """The file that a note tells of, if it is there and unchanged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(note.read_text(encoding="utf-8"))
        file = Path(os.path.normpath(note.parent / told["file"]))
        if sha256_of(file) == told["sha256"]:
            return file
    return None


@contextmanager
def _alone(path: Path, wait: bool) -> Iterator[None]:
    """One job at a time, on file systems that have locks."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise
    except (NotImplementedError, OSError):
        pass  # a file system without locks
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)
