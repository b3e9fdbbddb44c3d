"""Thousands of inputs that nobody thought of: each ends in a plan, a picture, data, or one clear line (UserError).

None takes more than a minute or lets the process grow beyond 2 GB, none writes anything, and no stranger's code runs.
`make fuzz` tries 10,000 and flips 3,000 bits, `make test` a few hundred and 84. FUZZ is the number of inputs in all.
"""

import gzip
import hashlib
import io
import json
import logging
import os
import pickle
import random
import re
import signal
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from approach import fetching
from approach.biggan.config import read_config
from approach.biggan.format import read_weights
from approach.errors import UserError, one_line
from approach.inversion.checkpoint import read_checkpoint, write_checkpoint
from approach.inversion.descent import State
from approach.inversion.starts import Latents
from approach.planning.films import film_table
from approach.planning.plan import make_plan
from approach.planning.sweep import setting_id
from approach.target import check_picture, prepare_target
from approach.trajectories import TrajectoryFile, write_trajectories
from helpers.generators import TINY
from helpers.paths import ROOT

EXAMPLES = int(os.environ.get("FUZZ", "280"))
PHASES = (Phase.explicit, Phase.generate)  # what failed is shown as it was: making it smaller takes minutes
SHARES = {"configuration": 0.1, "films": 0.1, "pictures": 0.3, "weights": 0.1, "architecture": 0.1}
SHARES |= {"checkpoints": 0.1, "trajectories": 0.1, "answers": 0.1}
LONGEST, MOST_MEMORY = 60, 2_000_000_000  # seconds of an input, bytes of the process
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux tells the peak, and begins it anew


def examples(subject):
    """Settings for a share of the examples; seeded, so that a failure comes again."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    count = max(10, round(EXAMPLES * SHARES[subject]))
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=checks, phases=PHASES
    )


def ends_well(call, *arguments):
    """What a call returns, or None where it ends in one clear line within a minute; anything else is a defect."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*arguments)
        except UserError as error:
            assert one_line(error).isprintable()
            assert len(one_line(error)) <= 500
        finally:
            signal.alarm(0)
    return None


def too_long(*_):
    raise AssertionError(f"an input that takes more than {LONGEST} s")


def memory(name):
    """What this process holds [bytes]: VmRSS now, VmHWM at most since it was cleared."""
    return 1024 * int(re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())[1])


@pytest.fixture(autouse=True)
def bounds(tmp_path, monkeypatch):
    """Work in an empty folder, in which nothing is left but the test's own folder, with little memory."""
    monkeypatch.chdir(tmp_path)
    logging.disable(logging.CRITICAL)
    (tmp_path / "own").mkdir()
    before = {path.name for path in ROOT.iterdir()}
    held = 0
    if CLEAR.exists():
        CLEAR.write_text("5")
        held = memory("VmRSS")  # other tests of this process may have left much
    yield
    logging.disable(logging.NOTSET)
    if CLEAR.exists():
        assert memory("VmHWM") - held < MOST_MEMORY
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert {path.name for path in ROOT.iterdir()} == before


class Trap:
    """Unpickled, it writes a file: code of a stranger."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def damaged(data):
    """Damaged forms of a file: cut, overwritten, repeated, swapped, or replaced."""
    place = st.integers(0, max(0, len(data) - 1))

    def overwritten(edits):
        changed = bytearray(data)
        for where, what in edits:
            changed[where : where + len(what)] = what
        return bytes(changed)

    return st.one_of(
        place.map(lambda end: data[:end]),
        st.lists(st.tuples(place, st.binary(min_size=1, max_size=8)), min_size=1, max_size=6).map(overwritten),
        st.tuples(place, place).map(lambda span: data[: span[0]] + data[span[1] :]),
        st.binary(max_size=200).map(lambda tail: data + tail),
        st.binary(max_size=200),
    )


# The configuration and its films

WORDS = ["l2", "l1", "loss", "lr", "seed", "steps", "video.fps", "study", "null", "true", "1e9", "nan", "-1", "0", "7"]
WORDS += ["optimizer.lr", "start.classes", "films.starts", "films.f", "generator.weights", "generator.config", "target"]
WORDS += [
    "target.focus",
    "loss.terms.l2",
    "metrics",
    "range(3,0)",
    "range(0,1,0)",
    "range(0,1e9)",
    "glob(*)",
    "glob(l*)",
]
WORDS += ["choice(1,2)", "interval(0,1)", "${oc.env:HOME}", "${lr}", "${", "[", "]", "{", "}", ",", ":", "=", "'", '"']
WORDS += [
    "[0,1,2]",
    "{vary: seed, of: [2,1,0]}",
    "{vary: rank}",
    "sort(3,1)",
    "shuffle(1,2)",
    "tag(a,1)",
    "int(x)",
    "\\",
]
WORDS += ["+", "++", "~", "hydra.run.dir=x", "hydra/launcher=joblib", "experiment=rates", "..", "/", "\x00", "\x1b[31m"]
VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 40),
    st.sampled_from([10**9, 2**31, 10**30, 1e300]),
    st.floats(),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("".join),
    st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)).map("=".join),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(-2, 9), st.sampled_from(WORDS)), max_size=4),
    st.dictionaries(st.sampled_from(WORDS), st.sampled_from(WORDS), max_size=2),
)
KEYS = [
    "experiment",
    "generator",
    "loss",
    "optimizer",
    "start",
    "video",
    "lr",
    "steps",
    "seeds_per_job",
    "device",
    "name",
]
KEYS += ["target", "seeds", "overwrite", "hydra", "graphs", "los"]


@examples("configuration")
@given(st.dictionaries(st.sampled_from(KEYS), VALUE, min_size=1, max_size=4))
@example({"lr": "glob(*)"})
@example({"lr": "range(3,0)"})
@example({"lr": "range(0,1,0)"})
@example({"lr": "range(0,1e9)"})
@example({"seeds": 10**9})
@example({"hydra": "generator.config=7"})
@example({"hydra": "films.starts.of=[[0],[1],[2]]"})
@example({"hydra": "name=${oc.env:HOME}"})
def test_configuration(keys):
    plan = ends_well(make_plan, keys, ROOT)
    if plan is not None:
        assert plan.final_products()
        assert all(path.startswith("results/") and ".." not in path for path in plan.final_products())


MEMBER = st.one_of(
    st.integers(-1, 4), st.sampled_from(["l1", "l2", "closest", "median", "x", "loss~l2/0", None, [0], {}])
)
ENTRY = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "vary": st.one_of(st.sampled_from(["seed", "loss", "rank", "trajectory", "lr"]), MEMBER),
            "of": st.one_of(st.lists(MEMBER, max_size=4), MEMBER),
            "by": MEMBER,
            "seed": MEMBER,
            "loss": MEMBER,
        },
    ),
)


@examples("films")
@given(st.dictionaries(st.one_of(st.sampled_from(["f", "starts", "../x", ""]), st.text(max_size=6)), ENTRY, max_size=3))
def test_films(films):
    ends_well(film_table, films, {"loss": ["l1", "l2", "ssim"], "lr": [0.05]}, [0, 1, 2, 3], setting_id)


# Pictures

RANDOM = np.random.default_rng(0).integers(0, 256, (24, 30, 4), dtype=np.uint8)


def picture(form, mode):
    data = io.BytesIO()
    Image.fromarray(RANDOM).convert(mode).save(data, form)
    return data.getvalue()


FORMS = [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA")]
FORMS += [("TIFF", "RGB"), ("TIFF", "LAB"), ("TIFF", "F"), ("GIF", "P"), ("BMP", "RGB"), ("PNG", "I;16")]
PICTURES = [picture(*form) for form in FORMS]


@examples("pictures")
@given(st.sampled_from(PICTURES).flatmap(damaged))
def test_pictures(data):
    file = Path("own/picture")
    file.write_bytes(data)
    ends_well(check_picture, file)
    made = ends_well(prepare_target, file, 16)
    assert made is None or made.size == (16, 16)


# Generators

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(list(TINY)), inner, max_size=4)
    ),
    max_leaves=12,
)


def changed(key, value):
    return json.dumps(TINY | {key: value}).encode()


@examples("architecture")
@given(
    st.one_of(
        damaged(json.dumps(TINY).encode()),
        st.builds(changed, st.sampled_from(list(TINY)), st.one_of(JSON, st.integers(-(10**12), 10**12))),
        JSON.map(lambda value: json.dumps(value).encode()),
    )
)
def test_architecture(data):
    file = Path("own/config.json")
    file.write_bytes(data)
    ends_well(read_config, file)


SMALL = {"a": torch.arange(6.0), "b": torch.ones(2, 3)}


def pytorch(content, **options):
    data = io.BytesIO()
    torch.save(content, data, **options)
    return data.getvalue()


WEIGHTS = [pytorch(SMALL), pytorch(SMALL, _use_new_zipfile_serialization=False), pytorch([1, 2]), pickle.dumps(Trap())]
WEIGHTS += [save({name: tensor.numpy() for name, tensor in SMALL.items()}), pytorch({"a": Trap()}), pytorch({1: SMALL})]


@examples("weights")
@given(st.sampled_from(WEIGHTS).flatmap(lambda data: st.one_of(st.just(data), damaged(data))), st.booleans())
@example(WEIGHTS[1][:244], False)
def test_weights(tiny, data, safe):
    file = Path(f"own/weights{'.safetensors' if safe else '.bin'}")
    file.write_bytes(data)
    assert ends_well(read_weights, file, read_config(tiny / "config.json")) is None


# What inversions leave behind

CHECKPOINTS = [pytorch({"state": {}, "decisions": {}, "of": "this"}), pytorch({"of": "this"}), pytorch(SMALL)]
CHECKPOINTS += [pytorch({"state": Trap(), "of": "this"}), pytorch([])]


@examples("checkpoints")
@given(st.sampled_from(CHECKPOINTS).flatmap(lambda data: st.one_of(st.just(data), damaged(data))), st.booleans())
def test_checkpoints(data, signed):
    file = Path("own/0.pt")
    file.write_bytes(hashlib.sha256(data).digest() + data if signed else data)
    assert ends_well(read_checkpoint, file, "this") is None


def trajectory_bytes():
    latents = [np.zeros((2, 3, numbers), np.float32) for numbers in (128, 5, 512)]
    file = Path("made.safetensors")
    write_trajectories(file, [0, 1], *latents, {"seeds": [0, 1], "status": ["ok", "ok"], "last_step": [2, 2]})
    return file.read_bytes()


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory):
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("trajectories"))
    try:
        yield trajectory_bytes()
    finally:
        os.chdir(before)


@examples("trajectories")
@given(data=st.data())
def test_trajectories(trajectories, data):
    file = Path("own/0-1.safetensors")
    file.write_bytes(data.draw(damaged(trajectories)))
    opened = ends_well(TrajectoryFile, file)
    if opened is not None:
        ends_well(opened.outcome, 0)
        ends_well(opened.trajectory, 1)


# Bits


def checkpoint_bytes():
    latents = Latents(torch.rand(3, 128), torch.rand(3, 5))
    state = State.begin(latents, 40, 5)
    file = Path("made.pt")
    write_checkpoint(file, state, {"device": "cpu"}, "this")
    data = file.read_bytes()
    file.unlink()
    return data


def read_all(file):
    if file.suffix == ".pt":
        return read_checkpoint(file, "this")
    opened = TrajectoryFile(file)
    return [opened.trajectory(seed) for seed in opened.metadata["seeds"]]


@pytest.mark.parametrize("name", ["own/0-1.safetensors", "own/0-1.pt"])
def test_no_flipped_bit_is_accepted(trajectories, name):
    whole = trajectories if name.endswith("safetensors") else checkpoint_bytes()
    file, chance, accepted = Path(name), random.Random(0), []
    flips = round(EXAMPLES * 0.15)
    file.write_bytes(whole)
    assert read_all(file)
    for _ in range(flips):
        place = chance.randrange(8 * len(whole))
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        if ends_well(read_all, file) is not None:
            accepted.append(place)
    print(f"{flips} bits flipped in {file.name}, {len(accepted)} accepted")
    assert accepted == []


# HTTP


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(self.server.answer)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


HEADERS = ["Content-Length", "Content-Type", "Content-Range", "Content-Encoding", "Transfer-Encoding", "Location"]
HEADERS += ["ETag", "Last-Modified", "Retry-After", "Connection", "Set-Cookie", "X"]
VALUES = ["0", "5", "-1", "1e9", "99999999999", "5, 6", "text/html", "image/png", "gzip", "br", "chunked", "identity"]
VALUES += [
    "bytes 0-4/5",
    "bytes */5",
    "bytes 5-9/*",
    "/",
    "//",
    "http://[",
    "file:///etc/passwd",
    "data:,x",
    "W/x",
    '"x"',
]
VALUES += ["", " ", "\x00", "\xff", "soon", "a" * 3000]
BODY = st.one_of(
    st.sampled_from(
        [b"", b"<html>", b"PK\x03\x04", b"\x80\x02", b"5\r\nPK\x03\x04x\r\n0\r\n\r\n", *WEIGHTS[:2], *PICTURES[:2]]
    ),
    st.sampled_from(WEIGHTS).map(gzip.compress),
    st.binary(max_size=100),
)


def http(status, reason, headers, body):
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


ANSWER = st.one_of(
    st.builds(
        http,
        st.one_of(st.sampled_from([200, 200, 200, 204, 206, 301, 302, 304, 403, 416, 429, 503]), st.integers(0, 1200)),
        st.sampled_from(["OK", "", "\x1b[31m", "x" * 300]),
        st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(VALUES)), max_size=4),
        BODY,
    ),
    st.binary(max_size=60),
)


@examples("answers")
@given(ANSWER, st.sampled_from(["picture", "weights"]))
def test_answers(server, answer, kind):
    server.answer = answer
    place, url = Path("own/file"), f"http://127.0.0.1:{server.server_port}/"

    def fetch():
        return fetching.fetch(url, place, kind=kind, attempts=2, pause=0, longest=2)

    had = ends_well(fetch)
    assert place.exists() == (had is not None)
    for left in Path("own").iterdir():
        left.unlink()
