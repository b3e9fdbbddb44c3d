"""What every script does around its work: log file, lines on the terminal, one clear last line when it fails."""

import gc
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from approach.errors import UserError, lacks_room, one_line

logger = logging.getLogger("approach")


@contextmanager
def job(log_file: str, title: str) -> Iterator[logging.Logger]:
    """Run a script's work: log lines go to log_file and, prefixed with the title, to the terminal.

    An error's last line in the log says what was wrong; the script then ends with exit code 1.

    Args:
        log_file: emptied first, then only appended to, so that ffmpeg may append its own words to it.
        title: which job this is, in a few words.
    """
    logging.raiseExceptions = False  # a line that cannot be written, on a full disk, is no reason for a traceback
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{title}] %(message)s"))
    logger.setLevel(logging.INFO)
    logger.handlers = [to_terminal]
    path = Path(log_file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        to_file = logging.FileHandler(path, mode="a", encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.handlers = [to_file, to_terminal]
        yield logger
        gc.freeze()  # the interpreter, ending, would look through all of torch for cycles: 0.3 s
    except Exception as error:
        if not isinstance(error, UserError) and not lacks_room(error):
            with suppress(OSError), path.open("a", encoding="utf-8") as file:
                file.write(traceback.format_exc())
        logger.error("error: %s", one_line(error))
        sys.exit(1)
    finally:
        for handler in logger.handlers:
            with suppress(OSError):
                handler.close()


class Pace:
    """Says every few seconds that it is time for a line, and how long the rest takes."""

    def __init__(self, total: int, done: int = 0, every: float = 5.0):
        self.total, self.every = total, every
        self._first = done
        self._began = self._said = time.monotonic()

    def due(self) -> bool:
        """Whether the last line is old enough for another."""
        now = time.monotonic()
        if now - self._said < self.every:
            return False
        self._said = now
        return True

    def left(self, done: int) -> str:
        """The time that the rest takes at the pace so far, in words."""
        per_item = (time.monotonic() - self._began) / max(1, done - self._first)
        return duration(per_item * (self.total - done))


def progress(what: str) -> Callable[[int, int], None]:
    """A function that, told how many are done of how many, says it every few seconds: "point 3 of 9, 40 s left"."""
    pace = Pace(1)

    def say(done: int, total: int) -> None:
        pace.total = total
        if pace.due():
            logger.info("%s %d of %d, %s left", what, done, total, pace.left(done))

    return say


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "3 min", "2.5 h", "4.0 days"."""
    for limit, unit, text in ((90, 1, "{:.0f} s"), (5400, 60, "{:.0f} min"), (172_800, 3600, "{:.1f} h")):
        if seconds < limit:
            return text.format(seconds / unit)
    return f"{seconds / 86_400:.1f} days"
