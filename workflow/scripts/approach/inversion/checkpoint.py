"""Checkpoints: a killed inversion goes on where it was, bit for bit, and never in two processes at once."""

import errno
import hashlib
import io
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from filelock import FileLock, Timeout

from approach.errors import UserError
from approach.inversion.descent import State
from approach.inversion.starts import Latents
from approach.processes import is_snakemake

logger = logging.getLogger(__name__)

SHARE = 0.01  # of the time may go into writing checkpoints
DIGEST = 32  # bytes of a checkpoint's sha256
SHORTEST = 0.5  # seconds between two of them
LOCK_PATIENCE = 60.0  # seconds that an orphaned inversion is given to stop at its checkpoint
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK}  # a file system without flock
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # SIGUSR1: a cluster's warning before the time limit


class Interrupted(BaseException):
    """The inversion was asked to stop. Like KeyboardInterrupt it passes every `except Exception` on its way out."""


def write_checkpoint(path: Path, state: State, decisions: dict, fingerprint: str) -> None:
    """Write an inversion's state and the decisions it was begun with; the file appears whole or not at all.

    It is what torch.save makes, with the sha256 of that in front.
    """
    plain = {name: tuple(value) if isinstance(value, Latents) else value for name, value in vars(state).items()}
    payload = {"state": plain, "decisions": decisions, "of": fingerprint}
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, fingerprint: str) -> tuple[State, dict] | None:
    """Read what an inversion goes on with.

    Args:
        path: the checkpoint.
        fingerprint: tells one inversion from another (its configuration, code, weights and target). A checkpoint of
            another inversion is left behind, with a line in the log.

    Returns:
        The state, on the CPU whatever it was computed on, and the decisions, which say where it goes on. None where
        there is no checkpoint of this very inversion.
    """
    if not path.exists():
        return None
    try:
        data = path.read_bytes()
        if hashlib.sha256(memoryview(data)[DIGEST:]).digest() != data[:DIGEST]:
            raise ValueError("it is not what was written")
        payload = torch.load(io.BytesIO(memoryview(data)[DIGEST:]), map_location="cpu", weights_only=True)
        if payload["of"] != fingerprint:
            logger.info("the checkpoint %s belongs to another configuration: the inversion begins anew", path)
            return None
        state = payload["state"]
        points = {name: Latents(*state[name]) for name in ("latents", "previous")}
        return State(**{**state, **points}), payload["decisions"]
    except Exception as error:
        logger.warning("the checkpoint %s cannot be read (%s): the inversion begins anew", path, error)
        return None


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the lock of a batch: a second process that wants to invert it is refused.

    On a file system without locks the work goes on, with a warning: Snakemake's own lock of the folder still keeps a
    second run out.

    Args:
        path: the batch's checkpoint; the lock lies beside it.

    Raises:
        UserError: another process inverts this batch, and goes on doing so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        _acquire(lock, path)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        logger.warning("%s: this file system has no locks; see to it that no second run inverts this batch", path)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another process still inverts this batch; waiting up to %.0f s for it to stop", LOCK_PATIENCE)
        try:
            lock.acquire(timeout=LOCK_PATIENCE)
        except Timeout:
            raise UserError(f"{path}: another process is inverting this batch; wait for it, or stop it") from None


class Watch:
    """Decides after each step whether to write a checkpoint, and whether to stop.

    It stops on SIGNALS, and when the Snakemake that started the inversion is gone. As a context manager it takes the
    signals over and gives them back in the end. Until the first step is done there is nothing to keep, and a signal
    ends the work at once.
    """

    def __init__(self):
        self.stop_reason: str | None = None
        self._has_state = False
        self._written = time.monotonic()
        self._looked = time.monotonic()
        self._pause = SHORTEST
        self._snakemake = snakemake_of(psutil.Process().parents())
        self._handlers: dict = {}

    def __enter__(self) -> "Watch":
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_exception) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame) -> None:
        self.stop_reason = signal.Signals(number).name
        if not self._has_state:
            raise Interrupted(
                f"stopped before a step was done ({self.stop_reason}); nothing is lost, the same command starts again"
            )

    def due(self) -> bool:
        """Whether a checkpoint is to be written now: it is time, or the inversion has to stop."""
        self._has_state = True
        now = time.monotonic()
        if now - self._looked > 1:
            self._looked = now
            if not all(map(_runs, self._snakemake)):
                self.stop_reason = self.stop_reason or "Snakemake is gone"
        return self.stop_reason is not None or now - self._written > self._pause

    def written(self, seconds: float) -> None:
        """A checkpoint took that long: the next one waits until writing stays below its share of the time."""
        self._written = time.monotonic()
        self._pause = max(SHORTEST, seconds / SHARE)


def snakemake_of(ancestors: list[psutil.Process]) -> list[psutil.Process]:
    """The Snakemake that a process works for: the run itself, and its helpers (--mode) between the two.

    Args:
        ancestors: the process's parents, the nearest first. A shell, make or a script that started Snakemake may end
            while Snakemake goes on, whatever it is called; so may a Snakemake that started another one.
    """
    found = []
    for process in ancestors:
        words = _command_line(process)
        if is_snakemake(words):
            found.append(process)
            if "--mode" not in words:
                break
    return found


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
