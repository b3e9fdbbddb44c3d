"""Snakemake's lock of the folder, where the run that took it is gone. No torch."""

import os
from pathlib import Path

import psutil

from approach.processes import works_in

LOCKS = Path(".snakemake") / "locks"


def stale_lock_line() -> str:
    """The line that says how to go on where the folder is locked and no Snakemake works in it; "" otherwise.

    Snakemake's lock does not say who took it, so only this machine's processes are looked at. Nothing is removed.
    """
    if not LOCKS.is_dir() or not any(LOCKS.iterdir()):
        return ""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    if works_in(Path.cwd(), psutil.process_iter(), own):
        return ""
    return (
        "this folder is locked by a run that is gone from this machine: type `snakemake --unlock` (or `make unlock`), "
        "then the same command; leave it if another machine works here"
    )
