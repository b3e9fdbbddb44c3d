"""Downloads against a real server on this machine: verified, resumed, recorded, or refused in one line."""

import hashlib
import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from approach import sources
from approach.errors import UserError
from approach.sources import fetch, lock_path, verify

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; the first `server.breaks` answers end in the middle; with `server.ranges`, resumes."""

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
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


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.errors, server.requests = {"/weights.bin": CONTENT}, {}, []
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
    assert server.requests[0]["User-Agent"] == sources.USER_AGENT
    assert "1.0 MB of 1.0 MB" in caplog.text
    assert "/s" in caplog.text
    fetch(f"{server.url}/weights.bin", path, sha256=SHA256)
    assert len(server.requests) == 1


def test_progress_is_logged_while_it_goes_on(server, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sources, "PROGRESS_EVERY", 0.0)
    fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    lines = [r.message for r in caplog.records if r.message.startswith("weights.bin: ")]
    assert len(lines) >= 16, "16 chunks of 64 KiB"
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
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", sha256=SHA256, pause=0.01)
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == [None, "bytes=262144-", "bytes=524288-"], (
        "what had come, in whole chunks of 64 KiB, is not asked for again"
    )


def test_where_the_server_cannot_resume_the_download_begins_again(server, tmp_path):
    server.breaks, server.ranges = 1, False
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", sha256=SHA256, pause=0.01)
    assert path.read_bytes() == CONTENT


def test_two_versions_are_never_joined(server, tmp_path, monkeypatch):
    server.breaks = 1
    other = CONTENT[::-1]

    def replaced(_):
        server.files["/weights.bin"], server.etag = other, '"two"'

    monkeypatch.setattr(sources.time, "sleep", replaced)
    path = fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin")
    assert path.read_bytes() == other


def test_a_connection_that_always_breaks_ends_in_one_line(server, tmp_path):
    server.breaks, server.ranges = 9, False
    with pytest.raises(UserError, match=r"broke off \(3 attempts\)") as error:
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", attempts=3, pause=0.01)
    assert one_line(error)
    assert list(tmp_path.iterdir()) == []


def test_not_found_is_one_line_and_not_tried_again(server, tmp_path):
    with pytest.raises(UserError, match="404") as error:
        fetch(f"{server.url}/missing.bin", tmp_path / "missing.bin", pause=0.01)
    assert str(tmp_path / "missing.bin") in one_line(error), "says where to put the file by hand"
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.errors["/busy.bin"] = [503, 503, 404]
    with pytest.raises(UserError, match="404"):
        fetch(f"{server.url}/busy.bin", tmp_path / "busy.bin", pause=0.01)
    assert len(server.requests) == 3


def test_no_server_at_all_is_one_line(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="no connection") as error:
        fetch(f"{server.url}/weights.bin", tmp_path / "weights.bin", attempts=2, pause=0.01)
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
