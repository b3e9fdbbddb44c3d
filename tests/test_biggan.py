"""BigGAN-deep-128 in the published format, full size with seeded weights, through the same command as everything."""

import hashlib
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image

from approach.biggan.config import read_config
from approach.biggan.stand_in import seeded_state
from approach.trajectories import read_trajectory
from helpers.runs import Workflow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory, root):
    """A folder with pytorch_model.bin: 211 MB, as published, the statistics rows all distinct."""
    folder = tmp_path_factory.mktemp("published")
    config = read_config(root / "resources" / "biggan" / "biggan-deep-128.json")
    torch.save(seeded_state(config, seed=3), folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def server(published):
    """The folder over HTTP on this machine; `asked` counts the requests."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=published))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    httpd.asked = asked
    yield httpd
    httpd.shutdown()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_fetched_checked_and_inverted(tmp_path, published, server):
    url = f"http://127.0.0.1:{server.server_port}/pytorch_model.bin"
    known = digest(published / "pytorch_model.bin")
    words = f"generator.url={url} video.seconds=0.2 video.fps=10 video.size=64 start.classes=[alp,valley]"
    workflow = Workflow(tmp_path, words)
    keys = {"generator": "biggan-deep-128", "loss": "l1", "steps": 2, "seeds": 3, "name": "full"}

    wrong = ("0" if known[0] != "0" else "1") + known[1:]
    refused = workflow.run("--until", "fetch", **keys, hydra=f"generator.sha256={wrong}")
    assert refused.returncode == 1
    assert "sha256" in refused.stderr
    assert not list((tmp_path / "resources" / "downloads").glob("*"))

    # a sheet and a film: the panorama's survey is hundreds of evaluations, minutes at this size on a CPU
    setting = "loss~l1+lr~0.4"
    files = [f"results/full/{setting}/montage.png", f"results/full/films/starts+{setting}/triptych.mp4"]
    result = workflow.done(*files, **keys, hydra=f"generator.sha256={known}")
    assert "to download: biggan-deep-128-pytorch_model.bin" in result.stderr
    folder = tmp_path / "results" / "full" / setting
    trajectory = read_trajectory(folder / "trajectories" / "0-2.safetensors", 1)
    assert trajectory.classes.shape == (3, 1000)
    assert trajectory.metadata["sha256"]["weights"] == known
    assert trajectory.status == "ok"
    assert "alp" in (folder / "losses.csv").read_text()

    requests = len(server.asked)
    assert workflow.planned(*files, **keys, hydra=f"generator.sha256={known}") == {}
    assert len(server.asked) == requests


def test_first_contact_ends_in_one_report(tmp_path, published, server):
    """`make first-contact`, with weights and painting from a server of ours, and two steps."""
    Image.new("RGB", (160, 120), (90, 110, 130)).save(published / "painting.png")
    at = f"http://127.0.0.1:{server.server_port}"
    words = f"generator.url={at}/pytorch_model.bin generator.sha256=null target.picture={at}/painting.png"
    workflow = Workflow(tmp_path, words)
    keys = {"experiment": "first-contact", "generator": "biggan-deep-128", "steps": 2}
    workflow.done("first_contact", **keys)
    report = (tmp_path / "results" / "first-contact" / "first-contact.md").read_text()
    assert digest(published / "pytorch_model.bin") in report
    assert "recorded at first use" in report
    assert report.count("| ok |") == 3
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert pictures
    for picture in pictures:
        assert Image.open(tmp_path / "results" / "first-contact" / picture).width > 400
    assert {"/pytorch_model.bin", "/painting.png"} == set(server.asked)


def test_one_byte_that_differs_is_refused(tmp_path, published, server):
    path = published / "pytorch_model.bin"
    known = digest(path)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:5_000_000] + bytes([whole[5_000_000] ^ 1]) + whole[5_000_001:])
        words = f"generator.url=http://127.0.0.1:{server.server_port}/pytorch_model.bin generator.sha256={known}"
        refused = Workflow(tmp_path, words).run("--until", "fetch", generator="biggan-deep-128", loss="l1", name="full")
    finally:
        path.write_bytes(whole)
    assert refused.returncode == 1
    assert known[:12] in refused.stderr
    assert not list((tmp_path / "resources" / "downloads").glob("*"))
