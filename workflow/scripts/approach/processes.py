"""Which process is Snakemake, whether one works in a folder, and how this one leaves without delay."""

import gc
import threading
from collections.abc import Iterable
from pathlib import Path

import psutil


def is_snakemake(words: list[str]) -> bool:
    """Whether a command line is Python running Snakemake: as its script or as its module."""
    if not words or not Path(words[0]).name.lower().startswith(("python", "pypy")):
        return False
    rest = iter(words[1:])
    for word in rest:
        if word == "-m":
            return next(rest, "") == "snakemake"
        if word in ("-X", "-W"):
            next(rest, None)
        elif not word.startswith("-"):
            return Path(word).name in ("snakemake", "snakemake.exe")
    return False


def works_in(folder: Path, processes: Iterable[psutil.Process], own: set[int]) -> bool:
    """Whether one of these processes is a Snakemake that works in a folder.

    Args:
        folder: the folder that Snakemake locks.
        processes: of this machine.
        own: ids that do not count: this process, and those that it works for.
    """
    for process in processes:
        try:
            if process.pid not in own and is_snakemake(process.cmdline()) and Path(process.cwd()) == folder:
                return True
        except psutil.Error:
            continue
    return False


def leave_soon() -> None:
    """Spare this process, a Snakemake with nothing left to do, the seconds between its last word and its end.

    Each job that it began left a timer that would have it look for more jobs (after the profile's timespan); Python
    waits for those. And before it ends it would look once more through all that it remembers for what may be forgotten.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
    gc.freeze()
