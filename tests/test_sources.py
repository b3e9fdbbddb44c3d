"""Downloads against a real server on this machine: verified, resumed, recorded, or refused in one line."""

import gzip
import hashlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save

from approach import fetching, sources
from approach.errors import UserError
from approach.planning.downloads import kind_of
from approach.sources import lock_path, verify
from helpers.paths import ROOT

CONTENT = save({"weights": np.arange(1 << 18, dtype=np.float32)})  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fetch(url, path, kind="weights", pause=0.001, **options):
    return fetching.fetch(url, path, kind=kind, pause=pause, **options)


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; the first `server.breaks` answers end in the middle; with `server.ranges`, resumes.

    `server.odd` maps a path to a function that writes an answer of its own.
    """

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        if self.path in server.odd:
            server.odd[self.path](self)
            return
        if self.path in server.errors:
            self.send_error(server.errors[self.path].pop(0) if server.errors[self.path] else 404)
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        body, begin = server.files[self.path], 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and server.ranges and self.headers.get("If-Range") == server.etag:
            begin = int(asked[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - begin))
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            self.wfile.write(body[begin : begin + 300_000])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(body[begin:])

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of a client that has gone."""

    def handle_error(self, *_):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files, server.errors, server.odd, server.requests = {"/weights.bin": CONTENT}, {}, {}, []
        server.breaks, server.ranges, server.etag = 0, True, '"one"'
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_known_file_is_fetched_and_then_used_without_a_request(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "new" / "weights.bin"
    assert fetch(f"{server.url}/weights.bin", path, sha256=SHA256) == path
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["weights.bin"], "no lock is needed, no part is left"
    assert server.requests[0]["User-Agent"] == fetching.USER_AGENT
    assert "1.0 MB of 1.0 MB" in caplog.text
    assert "/s" in caplog.text
    fetch(f"{server.url}/weights.bin", path, sha256=SHA256)
    assert len(server.requests) == 1


def test_progress_is_logged_while_it_goes_on(server, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fetching, "PROGRESS_EVERY", 0.0)
    fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    lines = [r.message for r in caplog.records if r.message.startswith("weights.bin: ")]
    assert len(lines) >= 16, "chunks of at most 64 KiB"
    assert any(line.startswith("weights.bin: 0.5 MB of 1.0 MB, ") for line in lines)


@pytest.mark.parametrize("known", [SHA256, SHA256[:8]])
def test_one_byte_different_is_refused_and_nothing_kept(server, tmp_path, known):
    server.files["/weights.bin"] = CONTENT[:-1] + b"\x00"
    path = tmp_path / "weights.bin"
    with pytest.raises(UserError) as error:
        fetch(f"{server.url}/weights.bin", path, sha256=known)
    assert known in one_line(error)
    assert "weights.bin" in one_line(error)
    assert list(tmp_path.iterdir()) == []


def test_a_file_already_there_is_verified_too(server, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"delete .*weights\.bin"):
        fetch(f"{server.url}/weights.bin", path, sha256=SHA256)
    assert path.read_bytes() == b"something else"
    assert server.requests == []


def test_a_broken_connection_is_resumed(server, tmp_path):
    server.breaks = 2
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == [None, "bytes=300000-", "bytes=600000-"], (
        "what had come is not asked for again"
    )


def test_where_the_server_cannot_resume_the_download_begins_again(server, tmp_path):
    server.breaks, server.ranges = 1, False
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_two_versions_are_never_joined(server, tmp_path, monkeypatch):
    server.breaks = 1
    other = save({"others": np.arange(1 << 18, dtype=np.float32)[::-1]})

    def replaced(_):
        server.files["/weights.bin"], server.etag = other, '"two"'

    monkeypatch.setattr(fetching.time, "sleep", replaced)
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    assert path.read_bytes() == other


def test_a_connection_that_always_breaks_ends_in_one_line(server, tmp_path):
    server.breaks, server.ranges = 9, False
    with pytest.raises(UserError, match=r"broke off \(3 attempts\); 0.3 MB are kept, the same command") as error:
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", attempts=3)
    assert one_line(error)
    assert not (tmp_path / "weights.bin").exists()


def test_not_found_is_one_line_and_not_tried_again(server, tmp_path):
    with pytest.raises(UserError, match="404") as error:
        fetch(f"{server.url}/missing.bin", tmp_path / "missing.bin")
    assert str(tmp_path / "missing.bin") in one_line(error), "says where to put the file by hand"
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.errors["/busy.bin"] = [503, 503, 404]
    with pytest.raises(UserError, match="404"):
        fetch(f"{server.url}/busy.bin", tmp_path / "busy.bin")
    assert len(server.requests) == 3


def test_no_server_at_all_is_one_line(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="no connection") as error:
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", attempts=2)
    assert one_line(error)


def test_an_unknown_hash_is_recorded_at_first_use_and_then_expected(server, tmp_path):
    url, path = f"{server.url}/weights.bin", tmp_path / "weights.bin"
    fetch(url, path)
    lock = json.loads(lock_path(path).read_text())
    assert (lock["url"], lock["sha256"], lock["bytes"]) == (url, SHA256, len(CONTENT))
    assert lock["retrieved"].endswith("+00:00")

    path.unlink()
    server.files["/weights.bin"] = CONTENT + b"!"
    with pytest.raises(UserError, match=r"recorded at first use.*delete .*weights.bin.lock.json") as error:
        fetch(url, path)
    assert one_line(error)
    assert not path.exists()

    path.write_bytes(b"tampered")
    with pytest.raises(UserError, match="recorded at first use"):
        fetch(url, path)

    lock_path(path).unlink()
    assert fetch(url, path).read_bytes() == b"tampered", "who deletes the lock trusts what is there"
    assert json.loads(lock_path(path).read_text())["sha256"] == hashlib.sha256(b"tampered").hexdigest()


def test_a_known_prefix_is_checked_and_the_whole_recorded(server, tmp_path):
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", sha256=SHA256[:8].upper())
    assert json.loads(lock_path(path).read_text())["sha256"] == SHA256
    assert verify(path, sha256=SHA256[:8]) == SHA256


def test_a_broken_lock_says_what_to_do(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(CONTENT)
    lock_path(path).write_text("{}")
    with pytest.raises(UserError, match="delete it"):
        verify(path)


@pytest.mark.parametrize("url", ["ftp://example.org/weights.bin", "weights.bin", "file:///etc/hostname"])
def test_only_http_addresses(url, tmp_path):
    with pytest.raises(UserError, match="not an http"):
        fetch(url, tmp_path / "weights.bin")
    assert not sources.is_url(url)
    assert sources.is_url("HTTPS://example.org/x")


def answer(status=200, body=b"", *, content_type="application/octet-stream", length=True, **headers):
    """A function that answers a request so; headers' underscores are hyphens."""

    def write(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        if length:
            handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def picture(form="PNG", size=(40, 30)):
    data = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(data, form)
    return data.getvalue()


def pytorch(**options):
    data = io.BytesIO()
    torch.save({"a": torch.arange(5000.0)}, data, **options)
    return data.getvalue()


HTML = b"<!DOCTYPE html><html><body>Sign in to the network of this hotel</body></html>"
FLIPPED = bytearray(pytorch())
FLIPPED[len(FLIPPED) // 2] ^= 1
REFUSED = {
    "a page": ("weights", answer(body=HTML, content_type="text/html; charset=utf-8"), "sends text/html"),
    "a page said to be weights": ("weights", answer(body=HTML), "sends a page"),
    "a page said to be a picture": ("picture", answer(body=b"\n " + HTML, content_type="image/jpeg"), "sends a page"),
    "an error said to be a success": (
        "weights",
        answer(body=b'{"error": "no"}', content_type="application/json"),
        "application/json",
    ),
    "nothing": ("weights", answer(), "sends nothing"),
    "nothing for a picture": ("picture", answer(length=False), "sends nothing"),
    "a part that nobody asked for": (
        "weights",
        answer(206, CONTENT[500:], Content_Range=f"bytes 500-{len(CONTENT) - 1}/{len(CONTENT)}"),
        "206 Partial Content",
    ),
    "no content": ("weights", answer(204, length=False), "204"),
    "a compressed body": ("weights", answer(body=gzip.compress(CONTENT), Content_Encoding="gzip"), "compressed"),
    "a compressed file": ("weights", answer(body=gzip.compress(CONTENT)), "begins like none"),
    "half a picture": ("picture", answer(body=picture("JPEG", (400, 300))[:9000], length=False), "not a picture"),
    "half a PNG": ("picture", answer(body=picture()[:-300], length=False), "not a picture"),
    "weights for a picture": ("picture", answer(body=CONTENT), "not a picture of a known format"),
    "a picture for weights": ("weights", answer(body=picture()), "begins like none"),
    "half a zip": ("weights", answer(body=pytorch()[:-400], length=False), "cut short or damaged"),
    "a flipped bit in a zip": ("weights", answer(body=bytes(FLIPPED)), "cut short or damaged"),
    "half a safetensors file": ("weights", answer(body=CONTENT[:-4], length=False), "cut short or damaged"),
    "an old pickle of unknown length": (
        "weights",
        answer(body=pytorch(_use_new_zipfile_serialization=False)[:-4], length=False),
        "does not say how large",
    ),
    "a redirection to a local file": ("weights", answer(302, Location="file:///etc/hostname"), "InvalidSchema"),
    "a redirection without end": ("weights", answer(302, Location="/odd"), "redirected without end"),
    "too much": ("weights", answer(body=CONTENT, length=False), "more comes than it can be"),
    "too much, as it says": ("weights", answer(body=CONTENT), "at most"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_file_is_refused_and_never_recorded(server, tmp_path, monkeypatch, case):
    kind, server.odd["/odd"], said = REFUSED[case]
    if case.startswith("too much"):
        monkeypatch.setitem(fetching.LARGEST, "weights", 500_000)
    with pytest.raises(UserError, match=re.escape(said)) as error:
        fetch(f"{server.url}/odd", tmp_path / "odd", kind)
    assert len(one_line(error)) < 500
    assert list(tmp_path.iterdir()) == []


TAKEN = {
    "PNG": ("picture", picture()),
    "JPEG": ("picture", picture("JPEG")),
    "WebP": ("picture", picture("WEBP")),
    "TIFF": ("picture", picture("TIFF")),
    "GIF": ("picture", picture("GIF")),
    "BMP": ("picture", picture("BMP")),
    "PyTorch's zip": ("weights", pytorch()),
    "PyTorch's old pickle": ("weights", pytorch(_use_new_zipfile_serialization=False)),
    "safetensors": ("weights", CONTENT),
}


@pytest.mark.parametrize("form", TAKEN)
def test_what_is_the_file_is_taken_whatever_type_it_is_said_to_have(server, tmp_path, form):
    kind, body = TAKEN[form]
    server.odd["/it"] = answer(body=body, content_type="text/plain")
    assert fetch(f"{server.url}/it", tmp_path / "it", kind).read_bytes() == body
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it", "it.lock.json"]


def test_kinds_by_name():
    assert kind_of("target-0123abcd-wanderer.jpg") == "picture"
    assert kind_of("biggan-deep-128-pytorch_model.bin") == "weights"


def raw(data):
    """A function that answers with these very bytes."""

    def write(handler):
        handler.wfile.write(data)
        handler.close_connection = True

    return write


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 999 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nPK\x03\x04x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nPK\x03\x04x\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://.example.com/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a:999999/\r\n\r\n",
        b"HTTP/1.1 503 Slow \x1b[31mdown\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_whatever_a_server_writes_ends_in_one_line(server, tmp_path, data):
    server.odd["/odd"] = raw(data)
    with pytest.raises(UserError) as error:
        fetch(f"{server.url}/odd", tmp_path / "odd", attempts=2)
    assert one_line(error).isprintable()
    assert not (tmp_path / "odd").exists()
    assert not lock_path(tmp_path / "odd").exists()


def test_a_part_of_another_version_is_not_taken(server, tmp_path):
    """A server that ignores If-Range and sends the rest of what it has now."""
    other = save({"others": np.arange(1 << 18, dtype=np.float32)[::-1]})

    def careless(handler):
        begin = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        if begin:
            span = f"bytes {begin}-{len(other) - 1}/{len(other)}"
            answer(206, other[begin:], Content_Range=span, ETag='"two"')(handler)
        elif len(server.requests) == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(CONTENT)))
            handler.send_header("ETag", '"one"')
            handler.end_headers()
            handler.wfile.write(CONTENT[:300_000])
            handler.close_connection = True
        else:
            answer(body=other)(handler)

    server.odd["/weights.bin"] = careless
    assert fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin").read_bytes() == other
    assert [request.get("Range") for request in server.requests] == [None, "bytes=300000-", None]


def test_a_download_goes_on_after_a_kill(server, tmp_path):
    path = tmp_path / "weights.bin"
    goes_on = threading.Event()

    def slowly(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("ETag", server.etag)
        handler.end_headers()
        handler.wfile.write(CONTENT[:400_000])
        handler.wfile.flush()
        goes_on.wait(60)

    server.odd["/weights.bin"] = slowly
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "workflow" / "scripts")!r})
from approach.fetching import fetch
fetch({server.url + "/weights.bin"!r}, {str(path)!r}, kind="weights")
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    part = tmp_path / ".weights.bin.part"
    limit = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == 400_000):
        assert time.monotonic() < limit
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    goes_on.set()
    server.odd.clear()
    server.requests.clear()
    assert fetch(f"{server.url}/weights.bin", path).read_bytes() == CONTENT
    assert [(request["Range"], request["If-Range"]) for request in server.requests] == [("bytes=400000-", '"one"')]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["weights.bin", "weights.bin.lock.json"]


def test_a_kill_just_before_the_file_takes_its_name(server, tmp_path):
    """All of it is there, and the server has no more of it."""
    path, part = tmp_path / "weights.bin", tmp_path / ".weights.bin.part"
    part.write_bytes(CONTENT)
    note = {"url": f"{server.url}/weights.bin", "header": "ETag", "validator": '"one"', "total": len(CONTENT)}
    part.with_name(".weights.bin.part.json").write_text(json.dumps(note))
    server.odd["/weights.bin"] = answer(416, Content_Range=f"bytes */{len(CONTENT)}")
    assert fetch(f"{server.url}/weights.bin", path).read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"url": 1}', '{"url": "http://other/"}', "\x00"])
def test_a_part_that_nothing_is_known_of_is_begun_anew(server, tmp_path, note):
    path, part = tmp_path / "weights.bin", tmp_path / ".weights.bin.part"
    part.write_bytes(b"whatever")
    part.with_name(".weights.bin.part.json").write_text(note)
    assert fetch(f"{server.url}/weights.bin", path).read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_stale_parts_are_removed(server, tmp_path):
    old = [tmp_path / ".other.bin.part", tmp_path / ".other.bin.part.json", tmp_path / ".weights.bin.4711.part"]
    kept = tmp_path / ".third.bin.part"
    for part in (*old, kept):
        part.write_bytes(b"some")
    for part in old[:2]:
        os.utime(part, (0, 0))
    fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == [kept.name, "weights.bin", "weights.bin.lock.json"]


@pytest.mark.parametrize("when", ["7", "a date"])
def test_the_server_says_when_to_ask_again(server, tmp_path, monkeypatch, when):
    waits = []
    retry_after = formatdate(time.time() + 100, usegmt=True) if when == "a date" else when

    def waited(seconds):
        waits.append(seconds)
        server.odd.clear()

    monkeypatch.setattr(fetching.time, "sleep", waited)
    server.odd["/weights.bin"] = answer(429, Retry_After=retry_after)
    fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    assert len(waits) == 1
    assert waits[0] == 7 if when == "7" else 60 < waits[0] <= 100


def test_who_would_have_to_wait_too_long_gives_up_at_once(server, tmp_path):
    server.odd["/weights.bin"] = answer(503, Retry_After="86400")
    with pytest.raises(UserError, match="503 Service Unavailable, and time is up"):
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    assert len(server.requests) == 1


def test_a_download_has_an_end(server, tmp_path):
    """A server that sends a little now and then, for ever."""

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.send_header("ETag", server.etag)
        handler.end_headers()
        try:
            for place in range(0, len(CONTENT), 100):
                handler.wfile.write(CONTENT[place : place + 100])
                handler.wfile.flush()
                time.sleep(0.01)
        except OSError:
            pass

    server.odd["/weights.bin"] = drip
    with pytest.raises(UserError, match=r"takes too long.*are kept, the same command goes on from there"):
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", longest=0.3)
    server.odd.clear()
    assert fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin").read_bytes() == CONTENT
    assert server.requests[-1]["If-Range"] == server.etag


def test_every_attempt_that_brings_something_counts_anew(server, tmp_path):
    server.breaks = 3
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", attempts=2)
    assert path.read_bytes() == CONTENT
