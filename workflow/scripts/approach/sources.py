"""Files from outside: downloaded once, verified or refused, recorded.

What is already there is used without a request. A file whose sha256 is known (whole, or its first digits, as in
torchvision's file names) must have it; a file whose sha256 nobody published has it recorded at first use in
<file>.lock.json and must have it ever after.

pooch and requests are imported where a download begins: planning imports this module and need not wait for them.
"""

import contextlib
import hashlib
import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from approach.errors import UserError

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

USER_AGENT = "approaching-destination/0.1 (GAN inversion study; python-requests)"
ATTEMPTS = 4
TIMEOUT = (15, 60)  # seconds: to connect, between two bytes
PROGRESS_EVERY = 3.0  # seconds between two progress lines
_CHUNK = 1 << 16
_WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)


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
    _compare(path.name, found, path, sha256, f"delete {path} and run again")
    _record(path, found, path.stat().st_size, sha256, url)
    return found


def fetch(
    url: str, path: str | Path, *, sha256: str | None = None, attempts: int = ATTEMPTS, pause: float = 1.0
) -> Path:
    """Have a URL's file at a path, verified; nothing is asked for where the file is there already.

    The download goes to a temporary name in the same folder and is renamed when it is whole and verified. A broken
    connection is resumed where the server can (asked with If-Range, so that no two versions are joined), otherwise
    begun again.

    Args:
        url: an http(s) address.
        path: where the file shall lie; missing folders are made.
        sha256: what the sha256 is known to be: 64 hex digits, or the first few; None where nobody published it.
        attempts: how often a connection is tried before giving up, 1 or more.
        pause: seconds before the second attempt; doubled before each further one.

    Returns:
        path.

    Raises:
        UserError: the file could not be had, or is not the known or recorded one (then nothing of it is kept).
    """
    path = Path(path)
    if not is_url(url):
        raise UserError(f"{url}: not an http or https address")
    if path.is_file():
        verify(path, sha256=sha256, url=url)
        logger.info("%s is there already (verified)", path)
        return path

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, path, attempts, pause)
        found, size = sha256_of(part), part.stat().st_size
        _compare(url, found, path, sha256, f"nothing was kept; try again, or put the right file at {path}")
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); make room or mend the path") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    _record(path, found, size, sha256, url)
    logger.info("%s: %s, sha256 %s", path, _megabytes(size), found)
    return path


def _download(url: str, part: Path, path: Path, attempts: int, pause: float) -> None:
    """Fill part from url: pooch downloads, this function retries and resumes."""
    import pooch  # noqa: PLC0415
    import requests  # noqa: PLC0415

    resume: dict[str, str] = {}  # If-Range's validator, as soon as a response gave one
    with part.open("wb") as file:

        def on_response(response: "requests.Response", **_: Any) -> None:
            if response.status_code == 200:  # the whole file, asked for or not
                file.seek(0)
                file.truncate()
            etag = response.headers.get("ETag", "")
            validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
            if validator and response.ok and not response.is_redirect:
                resume["If-Range"] = validator

        for attempt in range(1, attempts + 1):
            headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
            if resume and file.tell():
                headers |= resume | {"Range": f"bytes={file.tell()}-"}
            else:
                file.seek(0)
                file.truncate()
            progress = _Progress(path.name, file)
            download = pooch.HTTPDownloader(
                progressbar=progress,
                chunk_size=_CHUNK,
                headers=headers,
                timeout=TIMEOUT,
                hooks={"response": on_response},
            )
            try:
                download(url, file, None)
            except requests.RequestException as error:
                reason, again = _explain(error)
                if not again or attempt == attempts:
                    tried = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise UserError(
                        f"{url}: {reason}{tried}; check address and network, or put the file at {path} yourself"
                    ) from error
                if isinstance(error, requests.HTTPError) and error.response.status_code == 416:
                    resume.clear()
                wait = pause * 2 ** (attempt - 1)
                logger.warning("%s: %s; attempt %d of %d in %.3g s", path.name, reason, attempt + 1, attempts, wait)
                time.sleep(wait)
            else:
                return


class _Progress:
    """pooch's progress bar as a log line every few seconds: size so far, whole size, rate."""

    def __init__(self, name: str, file: Any) -> None:
        self.total = 0  # bytes still to come when the response began; set by pooch
        self._name, self._file, self._begin = name, file, file.tell()
        self._since = self._said = time.monotonic()

    def update(self, _: int) -> None:
        now = time.monotonic()
        if now - self._said >= PROGRESS_EVERY:
            self._said = now
            self._say(now)

    def reset(self) -> None:
        """Asked for by pooch when the download is whole."""

    def close(self) -> None:
        self._say(time.monotonic())

    def _say(self, now: float) -> None:
        done = self._file.tell()
        begin = self._begin if done >= self._begin else 0
        rate = (done - begin) / max(now - self._since, 1e-3)
        whole = f" of {_megabytes(begin + self.total)}" if self.total else ""
        logger.info("%s: %s%s, %s/s", self._name, _megabytes(done), whole, _megabytes(rate))


def _explain(error: "requests.RequestException") -> tuple[str, bool]:
    """A request's failure in a few words, and whether trying again may help."""
    import requests  # noqa: PLC0415

    if isinstance(error, requests.HTTPError):
        code = error.response.status_code
        return f"the server answers {code} {error.response.reason}", code in (*_WORTH_RETRYING, 416)
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time", True
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off", True
    if isinstance(error, requests.ConnectionError):
        return "no connection", True
    return f"cannot be asked for ({type(error).__name__})", False


def _compare(what: str, found: str, path: Path, known: str | None, remedy: str) -> None:
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


def _record(path: Path, sha256: str, size: int, known: str | None, url: str | None) -> None:
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


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
