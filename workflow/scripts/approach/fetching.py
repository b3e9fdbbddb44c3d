"""Downloads: resumed across kills, bounded in size and time, checked to be what was asked for, or refused in one line.

requests asks, urllib3's Retry counts attempts and reads Retry-After. What has come is kept beside the file's place
under a stable name, with the validator (ETag or Last-Modified) that the server gave: the next attempt, or the same
command after a kill, asks for the rest with If-Range (RFC 9110, section 13.1.5), so that no two versions are joined.
"""

import contextlib
import http.client
import json
import logging
import os
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import requests
import urllib3
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from approach.errors import UserError
from approach.sources import compare, is_url, record, sha256_of, verify
from approach.target import MAX_PIXELS, check_picture

logger = logging.getLogger(__name__)

Kind = Literal["picture", "weights"]

USER_AGENT = "approaching-destination/0.1 (GAN inversion study; python-requests)"
ATTEMPTS = 4
TIMEOUT = (15, 60)  # seconds: to connect, between two bytes
LONGEST = 100 * 60.0  # seconds for a whole download; the rule's runtime is two hours
PROGRESS_EVERY = 3.0  # seconds between two progress lines
STALE = 7 * 86_400  # seconds after which a part that nobody went on with is removed
# The largest picture that is accepted at 16 bits, four channels, uncompressed; the largest backbone (VGG) has 0.55 GB.
LARGEST = {"picture": MAX_PIXELS * 8, "weights": 2_000_000_000}
WANTED = {"picture": "a picture", "weights": "weights"}
_CHUNK = 1 << 16
_HEAD = 64  # bytes by which a file is known
_WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)
_PAGES = ("text/html", "application/xhtml+xml", "application/json", "application/xml", "text/xml")
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError)


class _Broken(Exception):
    """An attempt failed, and another one may not: why, and the seconds that the server asked to wait."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


def fetch(
    url: str,
    path: str | Path,
    *,
    kind: Kind,
    sha256: str | None = None,
    attempts: int = ATTEMPTS,
    pause: float = 1.0,
    longest: float = LONGEST,
) -> Path:
    """Have a URL's file at a path, verified; nothing is asked for where the file is there already.

    Args:
        url: an http(s) address.
        path: where the file shall lie; missing folders are made.
        kind: what it must be: a picture, or weights (PyTorch's or safetensors).
        sha256: what the sha256 is known to be: 64 hex digits, or the first few; None where nobody published it.
        attempts: how often in a row an attempt may bring nothing new, 1 or more.
        pause: factor of the time between two attempts, in seconds; it doubles from one to the next.
        longest: seconds for the whole download.

    Returns:
        path.

    Raises:
        UserError: the file could not be had (what has come is kept where it can be gone on with), or is not what was
            asked for, or not the known or recorded one (then nothing of it is kept).
    """
    path = Path(path)
    if not is_url(url):
        raise UserError(f"{url}: not an http or https address")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        # A fetch whose Snakemake was killed may still be at work: this one waits, and finds its file.
        with _only_one(path, longest):
            if path.is_file():
                verify(path, sha256=sha256, url=url)
                logger.info("%s is there already (verified)", path)
                return path
            part = _Part(path, url)
            _download(part, kind, attempts, pause, time.monotonic() + longest)
            found, size = _accept(part, kind, sha256)
    except Timeout:
        raise UserError(f"{path}: another process has been fetching it for {longest:.0f} s; stop it first") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); make room or mend the path") from error
    record(path, found, size, sha256, url)
    logger.info("%s: %s, sha256 %s", path, _megabytes(size), found)
    return path


@contextlib.contextmanager
def _only_one(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of a download; its file is removed in the end (FileLock tries anew where it got a removed one)."""
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock, timeout=patience):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


class _Part:
    """What has come of a download so far, and a note of what it is a part of: url, validator, whole size."""

    def __init__(self, path: Path, url: str):
        self.path, self.url = path, url
        self.file = path.with_name(f".{path.name}.part")
        self.note = path.with_name(f".{path.name}.part.json")
        self.sized = False  # whether the server said how large the whole is

    def size(self) -> int:
        """Bytes that are here."""
        return self.file.stat().st_size if self.file.is_file() else 0

    def kept(self) -> dict | None:
        """The note, where there is something that can be gone on with."""
        try:
            note = json.loads(self.note.read_bytes())
            usable = note["url"] == self.url and all(isinstance(note[key], str) for key in ("header", "validator"))
            # as a header's value it must be one line
            usable = usable and note["validator"].isascii() and note["validator"].isprintable()
            usable = usable and (note["total"] is None or isinstance(note["total"], int))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return note if usable and self.size() else None

    def begin(self, response: requests.Response, total: int | None) -> None:
        """Begin anew with a response that holds the whole file."""
        self.file.write_bytes(b"")
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        strong = bool(etag) and not etag.startswith("W/")
        note = {"url": self.url, "header": "ETag" if strong else "Last-Modified", "total": total}
        note["validator"] = etag if strong else modified
        if note["validator"]:
            written = self.note.with_suffix(".new")
            written.write_text(json.dumps(note))
            written.replace(self.note)
        else:
            self.note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget it."""
        for file in (self.file, self.note, self.note.with_suffix(".new")):
            file.unlink(missing_ok=True)


def _download(part: _Part, kind: Kind, attempts: int, pause: float, deadline: float) -> None:
    """Fill the part: as many attempts in a row as are given may bring nothing new."""
    fresh = urllib3.Retry(total=attempts - 1, backoff_factor=pause)
    retry, furthest, tried = fresh, 0, 0
    with requests.Session() as session:
        while True:
            tried += 1
            try:
                _receive(session, part, kind, deadline)
                return
            except UserError:
                part.remove()
                raise
            except _Broken as error:
                if part.size() > furthest:
                    retry, furthest = fresh, part.size()
                try:
                    retry = retry.increment("GET", part.url, error=error)
                except urllib3.exceptions.MaxRetryError:
                    raise _given_up(part, f"{error}" + (f" ({tried} attempts)" if tried > 1 else "")) from error
                wait = max(error.wait, retry.get_backoff_time())
                if wait > deadline - time.monotonic():
                    raise _given_up(part, f"{error}, and time is up") from error
                logger.warning("%s: %s; attempt %d in %.3g s", part.path.name, error, tried + 1, wait)
                time.sleep(wait)


def _given_up(part: _Part, reason: str) -> UserError:
    """The error of a download that may work another time; what can be gone on with is kept."""
    if part.kept():
        rest = f"{_megabytes(part.size())} are kept, the same command goes on from there"
    else:
        part.remove()
        rest = f"check address and network, or put the file at {part.path} yourself"
    return UserError(f"{part.url}: {reason}; {rest}")


def _receive(session: requests.Session, part: _Part, kind: Kind, deadline: float) -> None:
    """Ask once for what is missing and add what comes to the part.

    Raises:
        _Broken: another attempt may do better.
        UserError: none will.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    note = part.kept()
    if note:
        headers |= {"Range": f"bytes={part.size()}-", "If-Range": note["validator"]}
    try:
        with session.get(part.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            total = _begin(response, part, note, kind)
            part.sized = total is not None
            if part.size() != total:
                _copy(response.raw, part, kind, total, deadline)
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        reason, again = _explain(error)
        if again:
            raise _Broken(reason) from error
        raise UserError(f"{part.url}: {reason}; check the address") from error
    except ValueError as error:  # an address or a header that cannot be read
        raise UserError(f"{part.url}: cannot be asked for ({type(error).__name__}); check the address") from error


def _begin(response: requests.Response, part: _Part, note: dict | None, kind: Kind) -> int | None:
    """Judge a response by its head, and make the part ready for its body.

    Returns:
        The size of the whole file, where the server says it.
    """
    code = response.status_code
    content_range = response.headers.get("Content-Range", "")
    if code == 206 and note:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        same = match and int(match[1]) == part.size() and match[2] in ("*", str(note["total"] or match[2]))
        if not same or response.headers.get(note["header"], note["validator"]) != note["validator"]:
            part.remove()
            raise _Broken("the server sends a part of something else")
        total = int(match[2]) if match[2] != "*" else note["total"]
    elif code == 416 and note:
        if content_range == f"bytes */{part.size()}":
            return part.size()
        part.remove()
        raise _Broken("the server cannot go on from here")
    elif code == 200:
        total = response.raw.length_remaining
        part.begin(response, total)
    elif code in _WORTH_RETRYING:
        raise _Broken(_status(code), _retry_after(response))
    else:
        unasked = " (a part that nobody asked for)" if code == 206 else ""
        place = f"check the address, or put the file at {part.path} yourself"
        raise UserError(f"{part.url}: {_status(code)}{unasked}; {place}")
    _check_head(response, part, kind, total)
    return total


def _check_head(response: requests.Response, part: _Part, kind: Kind, total: int | None) -> None:
    """Refuse what cannot be the file, before its body is read."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type in _PAGES:
        raise _not_wanted(part, kind, f"the server sends {content_type}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _not_wanted(part, kind, "the server sends it compressed, which nobody asked for")
    if total is not None and total > LARGEST[kind]:
        raise _not_wanted(part, kind, f"it has {_megabytes(total)}, and at most {_megabytes(LARGEST[kind])} are taken")


def _copy(raw: urllib3.BaseHTTPResponse, part: _Part, kind: Kind, total: int | None, deadline: float) -> None:
    """Add a response's body to the part, as it comes."""
    progress = _Progress(part.path.name, part.size(), total)
    looked = False
    with part.file.open("ab") as file:
        while chunk := raw.read1(_CHUNK, decode_content=False):
            file.write(chunk)
            file.flush()
            progress.say(file.tell())
            if file.tell() > (LARGEST[kind] if total is None else total):
                raise _not_wanted(part, kind, "more comes than it can be")
            if not looked and file.tell() >= _HEAD:
                looked = True
                _check_beginning(part, kind)
            if time.monotonic() > deadline:
                raise _Broken("it takes too long", float("inf"))
        progress.say(file.tell(), last=True)
        if total is not None and file.tell() < total:
            raise _Broken("the connection broke off")


def _accept(part: _Part, kind: Kind, sha256: str | None) -> tuple[str, int]:
    """Check a part that is whole and give it its name; nothing of it is kept where it is not what was asked for.

    Returns:
        Its sha256, and its size in bytes.
    """
    try:
        if not part.size():
            raise _not_wanted(part, kind, "the server sends nothing")
        _check_beginning(part, kind)
        found, size = sha256_of(part.file), part.size()
        remedy = f"nothing was kept; try again, or put the right file at {part.path}"
        compare(part.url, found, part.path, sha256, remedy)
        _check_whole(part, kind)
        with part.file.open("rb") as file:
            os.fsync(file.fileno())
        part.file.replace(part.path)
    finally:
        part.remove()
    return found, size


def _check_beginning(part: _Part, kind: Kind) -> None:
    """Refuse what does not begin as its kind does (a picture's decoder has the last word)."""
    with part.file.open("rb") as file:
        beginning = file.read(_HEAD)
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise _not_wanted(part, kind, "the server sends a page")
    if kind == "weights" and not _is_weights(beginning):
        raise _not_wanted(part, kind, "what comes begins like none of PyTorch's and safetensors files")


def _is_weights(beginning: bytes) -> bool:
    return beginning.startswith((b"PK\x03\x04", b"\x80\x02")) or beginning[8:9] == b"{"


def _check_whole(part: _Part, kind: Kind) -> None:
    """Refuse what is cut short or damaged, as far as its format tells."""
    file = part.file
    if kind == "picture":
        try:
            check_picture(file)
        except UserError as error:
            raise _not_wanted(part, kind, str(error).removeprefix(f"{file}: ")) from None
    elif zipfile.is_zipfile(file) or _starts(file, b"PK"):
        try:
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
                damaged = "it unpacks to too much" if unpacked > LARGEST[kind] else archive.testzip()
        except _BAD_ZIP as error:
            damaged = f"{error}" or type(error).__name__
        if damaged:
            raise _not_wanted(part, kind, f"it is cut short or damaged ({damaged[:80]!r})")
    elif _starts(file, b"\x80\x02"):
        if not part.sized:
            raise _not_wanted(part, kind, "the server does not say how large it is, nor does this old format")
    else:
        try:
            with safe_open(file, framework="np") as tensors:
                tensors.keys()
        except (SafetensorError, OSError, ValueError) as error:
            raise _not_wanted(part, kind, f"it is cut short or damaged ({str(error)[:80]!r})") from None


def _starts(file: Path, magic: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(magic)) == magic


def _not_wanted(part: _Part, kind: Kind, reason: str) -> UserError:
    return UserError(f"{part.url}: {reason}: not {WANTED[kind]}; nothing was kept; see what the address gives")


def _remove_stale(path: Path) -> None:
    """Remove the parts in the file's folder that nobody goes on with: old ones, and those of earlier versions."""
    for part in path.parent.glob(".*.part*"):
        with contextlib.suppress(OSError):
            earlier = re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.part", part.name)
            if earlier or time.time() - part.stat().st_mtime > STALE:
                part.unlink()
                logger.info("%s: an old part, removed", part)


def _retry_after(response: requests.Response) -> float:
    """The seconds that a server asks to wait."""
    try:
        return urllib3.Retry(retry_after_max=2**31).get_retry_after(response) or 0.0
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0


def _status(code: int) -> str:
    return f"the server answers {code} {http.client.responses.get(code, '')}".rstrip()


def _explain(error: Exception) -> tuple[str, bool]:
    """A request's failure in a few words, and whether trying again may help."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "the server does not answer in time", True
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "no secure connection", False
    if isinstance(error, requests.TooManyRedirects):
        return "it is redirected without end", False
    cause = error.args[0] if error.args else None
    broke_off = isinstance(cause, urllib3.exceptions.ProtocolError) or not isinstance(error, requests.RequestException)
    if broke_off or isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off", True
    if isinstance(error, requests.ConnectionError):
        return "no connection", True
    return f"cannot be asked for ({type(error).__name__})", False


class _Progress:
    """A log line every few seconds: size so far, whole size, rate."""

    def __init__(self, name: str, begin: int, total: int | None):
        self._name, self._begin = name, begin
        self._whole = f" of {_megabytes(total)}" if total else ""
        self._since = self._said = time.monotonic()

    def say(self, done: int, *, last: bool = False) -> None:
        """Say how far it is, if it is time or the last time."""
        now = time.monotonic()
        if last or now - self._said >= PROGRESS_EVERY:
            self._said = now
            rate = (done - self._begin) / max(now - self._since, 1e-3)
            logger.info("%s: %s%s, %s/s", self._name, _megabytes(done), self._whole, _megabytes(rate))


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
