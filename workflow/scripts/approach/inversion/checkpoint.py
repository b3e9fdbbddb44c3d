"""Checkpoints: a killed walk goes on where it was, bit for bit, and never in two processes at once."""

import logging
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from filelock import FileLock, Timeout

from approach.errors import UserError
from approach.inversion.descent import State
from approach.inversion.starts import Latents

logger = logging.getLogger(__name__)

SHARE = 0.01  # of the time may go into writing checkpoints
SHORTEST = 0.5  # seconds between two of them
LOCK_PATIENCE = 60.0  # seconds that an orphaned walk is given to stop at its checkpoint


class Interrupted(Exception):
    """The walk was asked to stop, and has written its checkpoint."""


def write_checkpoint(path: Path, state: State, decisions: dict, fingerprint: str) -> None:
    """Write a walk's state and the decisions it was begun with; the file appears whole or not at all."""
    plain = {name: tuple(value) if isinstance(value, Latents) else value for name, value in vars(state).items()}
    payload = {"state": plain, "decisions": decisions, "of": fingerprint}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        torch.save(payload, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_checkpoint(path: Path, fingerprint: str, device: str) -> tuple[State, dict] | None:
    """The state and decisions to go on with; None where there is no checkpoint of this very walk.

    fingerprint tells one walk from another (its configuration, code, weights and target): a checkpoint of another one
    is left behind, with a line in the log.
    """
    if not path.exists():
        return None
    try:
        payload = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        logger.warning("the checkpoint %s cannot be read (%s): the walk begins anew", path, error)
        return None
    if payload["of"] != fingerprint:
        logger.info("the checkpoint %s belongs to another configuration: the walk begins anew", path)
        return None
    state = payload["state"]
    points = {name: Latents(*state[name]) for name in ("latents", "previous")}
    return State(**{**state, **points}), payload["decisions"]


@contextmanager
def only_writer(path: Path):
    """Hold the lock of a batch: a second process that wants to walk it is refused.

    Raises:
        UserError: another process walks this batch, and goes on doing so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another process still walks this batch; waiting up to %.0f s for it to stop", LOCK_PATIENCE)
        try:
            lock.acquire(timeout=LOCK_PATIENCE)
        except Timeout:
            raise UserError(f"{path}: another process is walking this batch; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


class Watch:
    """Decides after each step whether to write a checkpoint, and whether to stop.

    It stops on SIGTERM, SIGINT and SIGUSR1 (a cluster's warning before the time limit), and when the Snakemake that
    started the walk is gone.
    """

    def __init__(self):
        self.stop_reason = None
        self._written = time.monotonic()
        self._looked = time.monotonic()
        self._pause = SHORTEST
        self._snakemake = [
            parent for parent in psutil.Process().parents() if "snakemake" in " ".join(_command_line(parent))
        ]
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, number, _frame) -> None:
        self.stop_reason = signal.Signals(number).name

    def due(self) -> bool:
        """Whether a checkpoint is to be written now: it is time, or the walk has to stop."""
        now = time.monotonic()
        if now - self._looked > 1:
            self._looked = now
            if not all(parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE for parent in self._snakemake):
                self.stop_reason = self.stop_reason or "Snakemake is gone"
        return self.stop_reason is not None or now - self._written > self._pause

    def written(self, seconds: float) -> None:
        """A checkpoint took that long: the next one waits until writing stays below its share of the time."""
        self._written = time.monotonic()
        self._pause = max(SHORTEST, seconds / SHARE)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
