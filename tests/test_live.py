"""The live page: what a batch tells of itself, what Snakemake's log tells of the run, and both in a real Chromium."""

import base64
import io
import logging
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from approach import live
from approach.digest import closure
from approach.inversion import preview
from approach.inversion.descent import State
from approach.inversion.preview import Preview
from approach.inversion.starts import Latents
from approach.planning.live_page import LivePage, last_line
from approach.planning.plan import make_plan
from helpers.closures import SCRIPTS
from helpers.runs import Workflow, told

# A term that is no number for the second of three seeds from some step on, and breaks for a batch of one.
TERM = """
import time
import torch

def fades(target):
    calls = []
    def term(images):
        calls.append(time.sleep(0.12))  # so slow that a page which looks every two seconds sees it
        if len(calls) > 25 and len(images) == 1:
            raise ValueError("this term has broken")
        gone = float("nan") if len(calls) > 25 else 0.0
        return (images - target).square().mean((1, 2, 3)) + torch.tensor([0, gone, 0])[: len(images)]
    return term
"""


POINTS = "(lines) => lines.map((line) => line.getAttribute('points'))"


@pytest.fixture
def watched(tmp_path):
    """A state of three seeds, at step 4 of 7, of which the second failed after step 2; and its preview."""
    Image.new("RGB", (32, 32), (0, 0, 255)).save(tmp_path / "target.png")
    latents = Latents(torch.zeros(3, 8), torch.zeros(3, 4))
    state = State.begin(latents, 7, 2)
    state.log[:, :5, 0] = torch.tensor([[5.0, 4, 3, 2, 1], [5, 4, 3, 3, 3], [9, 8, 7, 6, 5]])
    state.alive[1], state.last_step[1] = False, 2
    path = tmp_path / "loss~l2+lr~0.4" / "trajectories" / "4-6.live.js"
    return state, Preview(path, tmp_path / "target.png", [4, 5, 6], 7)


def test_a_batch_tells_pictures_losses_pace_and_which_seed_failed(watched):
    state, shown = watched
    for step in range(5):
        state.step = step + 1
        shown.look(state, torch.full((3, 3, 16, 16), -1 + step / 2))
    first = told(shown.path)
    assert first["step"] == 0, "at most once in two seconds"
    shown._next = 0
    shown.look(state, torch.ones(3, 3, 16, 16))
    said = told(shown.path)
    assert said["batch"] == "loss~l2+lr~0.4/4-6" and said["seeds"] == [4, 5, 6] and said["of"] == 3
    assert (said["step"], said["steps"]) == (4, 7) and said["per_step"] > 0
    assert said["left"] == pytest.approx(3 * said["per_step"])
    assert said["nearest"] == {"seed": 4, "loss": 1.0} and said["failed"] == [{"seed": 5, "step": 2}]
    assert said["curves"] == {"steps": [0, 1, 2, 3, 4], "losses": state.log[:, :5, 0].tolist()}
    assert said["moments"] == [0, 1, 2, 3, 4]
    sheet = Image.open(io.BytesIO(base64.b64decode(said["picture"].partition(",")[2])))
    assert sheet.size == (6 * 96, 3 * 96)
    across = [sheet.getpixel((96 * column + 48, 150)) for column in range(6)]
    assert [pixel[0] for pixel in across[:5]] == pytest.approx([0, 64, 128, 191, 255], abs=3)
    assert across[5] == pytest.approx((0, 0, 255), abs=3), "the target, last"


def test_the_last_step_is_told_however_soon_it_comes(watched):
    state, shown = watched
    for step in range(8):
        state.step = step + 1
        shown.look(state, torch.zeros(3, 3, 16, 16))
    assert told(shown.path)["step"] == 7


@pytest.mark.parametrize(("cost", "elapsed", "pause"), [(0.001, 10, 2.0), (0.1, 30, 25.0), (0.001, 1_000, 10.0)])
def test_looks_take_little_of_the_time(watched, monkeypatch, cost, elapsed, pause):
    """A look that takes long is rare, and so is one of a long inversion, whose pictures change slowly."""
    state, shown = watched
    clock = [100.0]
    monkeypatch.setattr(preview, "time", SimpleNamespace(monotonic=lambda: clock[0], time=lambda: 0.0))
    monkeypatch.setattr(shown, "_picture", lambda columns: clock.__setitem__(0, clock[0] + cost))
    for now in (100.0, 100.0 + elapsed):
        clock[0], state.step = now, state.step + 1
        shown.look(state, torch.zeros(3, 3, 16, 16))
    assert shown._next - clock[0] == pytest.approx(pause)


def test_what_cannot_be_written_stops_no_work(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    live.tell(tmp_path / "file" / "run.js", {"step": 1})
    assert "the live page stands still" in caplog.text


def test_an_edit_of_what_only_watches_inverts_nothing():
    names = {path.name for path in closure(SCRIPTS / "invert.py", SCRIPTS)}
    assert "batch.py" in names and not names & {"live.py", "preview.py", "live_page.py"}


def event(name, **said):
    record = logging.makeLogRecord({"event": name, **said})
    record.levelno = logging.INFO
    return record


@pytest.fixture
def page(tmp_path, root, monkeypatch):
    """The live page of a run, begun; it writes when the test says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LivePage, "_repeat", lambda page: None)
    page = LivePage(make_plan({"name": "live", "loss": "l2", "seeds": 2, "title": "A title"}, root))
    assert page.begin(["invert", "losses", "all"], ["losses", "invert", "all"], ["so many"]).endswith("live/index.html")
    return page


def job(number, rule, **wildcards):
    log = Path("logs") / f"{number}.log"
    made = f"results/live/{wildcards.get('setting')}/trajectories/{wildcards.get('seeds')}.safetensors"
    said = {"wildcards": {"name": "live", **wildcards}, "log": [str(log)], "output": [made]}
    return event("job_info", jobid=number, rule_name=rule, **said)


def test_the_run_tells_stages_and_what_failed(page):
    trajectories = Path("results/live/loss~l2+lr~0.4/trajectories")
    trajectories.mkdir(parents=True)
    (trajectories / "0-1.live.js").write_text("of an earlier run")
    os.utime(trajectories / "0-1.live.js", (1, 1))
    page.handle(job(1, "invert", setting="loss~l2+lr~0.4", seeds="0-1"))
    page._write()
    said = told(page.folder / "run.js")
    assert [(stage["rule"], stage["done"], stage["total"]) for stage in said["stages"]] == [
        *(("losses", 0, 1), ("invert", 0, 1)),
    ]
    assert said["stages"][1]["at_work"] == ["l2 loss, rate 0.4, starts 0-1"]
    assert (said["batches"], said["beginning"], said["summary"]) == ([], 1, ["so many"])
    (trajectories / "0-1.live.js").write_text("live({});")
    Path("logs").mkdir()
    Path("logs/1.log").write_text("12:00:00 a line\n12:00:01 error: no room\n\n")
    page._write()
    (shown,) = told(page.folder / "run.js")["batches"]
    assert (shown["batch"], shown["words"]) == ("loss~l2+lr~0.4/0-1", "l2 loss, rate 0.4, starts 0-1")
    assert shown["file"] == "loss~l2+lr~0.4/trajectories/0-1.live.js"
    page.handle(event("job_error", jobid=1))
    page.end("failed")
    said = told(page.folder / "run.js")
    assert said["state"] == "failed" and said["failed"] == 1 and not said["page"]
    assert said["failures"] == [
        {
            **{"rule": "invert", "what": "l2 loss, rate 0.4, starts 0-1"},
            **{"line": "12:00:01 error: no room", "log": "logs/1.log"},
        }
    ]


def test_batches_are_told_in_order(page):
    for number, (setting, seeds) in enumerate([("lr~0.1", "0"), ("lr~0.05", "10-11"), ("lr~0.05", "2")]):
        page.handle(job(number, "invert", setting=setting, seeds=seeds))
        file = Path("results/live") / setting / "trajectories" / f"{seeds}.live.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("live({});")
    page._write()
    shown = [one["words"] for one in told(page.folder / "run.js")["batches"]]
    assert shown == ["rate 0.05, start 2", "rate 0.05, starts 10-11", "rate 0.1, start 0"]


def test_what_is_tried_once_more_has_not_failed(page):
    left = page.folder.parent / "loss~l2+lr~0.4" / "trajectories" / ".0-1.live.js.part"
    left.parent.mkdir(parents=True)
    left.touch()
    for said in (job(1, "losses"), event("job_error", jobid=1), job(1, "losses"), event("job_finished", job_id=1)):
        page.handle(said)
    page.handle(job(2, "invert", setting="loss~l2+lr~0.4", seeds="0-1"))
    page.handle(event("job_finished", job_id=2))
    assert not left.exists(), "its writer was killed"
    page.end("done")
    said = told(page.folder / "run.js")
    assert said["failures"] == [] and said["stages"][0]["done"] == 1


def test_a_run_is_alive_though_nothing_happens(page, monkeypatch):
    before = told(page.folder / "run.js")["written"]
    page._write()
    assert told(page.folder / "run.js")["written"] == before
    page._written -= 11
    page._write()
    assert told(page.folder / "run.js")["written"] > before


def test_the_last_line_of_a_log(tmp_path):
    log = tmp_path / "a.log"
    assert last_line(log) == ""
    log.write_bytes(b"x" * 9000 + b"\nthe \xff end\n \n")
    assert last_line(log) == "the \ufffd end"


def test_at_the_end_it_leads_to_the_page(page, browser):
    made = page.folder.parent / "page" / "index.html"
    made.parent.mkdir()
    made.write_text("<title>the page</title>")
    tab = browser.new_page()
    tab.clock.install()
    tab.goto((page.folder / "index.html").absolute().as_uri())
    until(lambda: "Beginning" in tab.locator("#state").inner_text())
    page.end("done")
    tab.clock.fast_forward(2000)
    until(lambda: tab.locator("#to-page").is_visible())
    assert tab.locator("#to-page").inner_text() == "The page with films and pictures is ready and opens by itself"
    tab.clock.fast_forward(5000)
    until(lambda: tab.title() == "the page")
    tab.close()


@pytest.mark.slow
def test_a_run_is_watched_in_a_browser(tmp_path, tiny_words, browser):
    """A seed fails, then a job; the page says both, from disk, without a word in the console."""
    (tmp_path / "mine.py").write_text(TERM)
    workflow = Workflow(tmp_path, f"{tiny_words} 'loss.terms={{mine\\:fades: 1}}'")
    wanted = [f"results/watched/loss~l2+lr~0.4/trajectories/{batch}.safetensors" for batch in ("0-2", "3")]
    keys = {"name": "watched", "loss": "l2", "seeds": 4, "seeds_per_job": 3, "steps": 60}
    command = workflow.command(*wanted, "--keep-going", **keys)
    environment = {**os.environ, "PYTHONPATH": ""}
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=said, stderr=said)
    try:
        index = tmp_path / "results/watched/live/index.html"
        until(index.is_file)
        tab, complaints = browser.new_page(), []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(index.as_uri())
        words = lambda selector: tab.locator(selector).all_inner_texts()  # noqa: E731
        until(lambda: tab.wait_for_timeout(300) or "At work: invert" in " ".join(words("#state")))
        until(lambda: tab.wait_for_timeout(300) or any("left" in line for line in words(".batch.now .numbers")))
        assert tab.locator(".batch.now img").first.evaluate("(img) => img.naturalWidth") >= 2 * 96
        assert tab.locator(".batch.now polyline").count() >= 3
        label, tile = (
            tab.locator(f".batch.now .sheet {part}").first.bounding_box() for part in (".seeds span:last-child", "img")
        )
        assert label["y"] + label["height"] <= tile["y"] + tile["height"] + 1, "every row beside its label"
        assert tab.locator("#target img").evaluate("(img) => img.naturalWidth") == 32
        run.wait(timeout=240)
        until(lambda: tab.wait_for_timeout(300) or "Stopped" in " ".join(words("#state")))
        failures = "\n".join(words("#failures li"))
        assert not tab.locator("#to-page").is_visible()
        assert "error: ValueError: this term has broken" in failures and "l2+lr~0.4/invert/3.log" in failures
        assert "start 1 stopped at step" in failures and "its loss was no longer a number" in failures
        assert any("start 1 stopped at step" in line for line in words(".batch .warn"))
        ends = [line.split()[-1] for line in tab.eval_on_selector_all(".batch polyline", POINTS)]
        across = [float(end.split(",")[0]) for end in ends]
        assert across[0] == across[2] > across[1], "a curve ends where its start stopped"
        assert complaints == []
        tab.close()
    finally:
        run.terminate()
        run.wait()
    assert "watch it: results/watched/live/index.html" in (tmp_path / "said").read_text()


def until(condition):
    """Wait for a condition, a minute at most."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.3)
    raise AssertionError("never")
