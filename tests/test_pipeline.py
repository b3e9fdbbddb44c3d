"""The main job, run by Snakemake with a tiny generator: its products, and what a change reruns."""

import csv
import json
import os
import re
import subprocess
from urllib.parse import unquote

import av
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from approach.biggan.config import read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.checksums import read_checksums
from approach.film.probe import read_film, read_frames
from approach.losses.losses import build_loss
from approach.planning.estimate import Job, benchmark_seconds, run_seconds
from approach.planning.plan import make_plan
from approach.sources import sha256_of
from approach.target import read_target
from approach.trajectories import read_trajectory
from helpers.dictionary import listed_columns, listed_products, matches
from helpers.paths import SNAKEMAKE
from helpers.runs import Workflow, count_jobs

pytestmark = pytest.mark.slow

SETTINGS = ["loss~l2+lr~0.4", "loss~pyramid+lr~0.4"]
SWEEP = {"name": "sweep", "loss": "l2,pyramid", "seeds": 3, "steps": 6}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_words):
    """A finished sweep of two losses, and its crate: a film of the starts of each, and one by rank of the first."""
    words = f"{tiny_words} films.finds={{vary:rank,loss:l2,video:{{sound:loss}}}} 'title=Nach dem Nebel'"
    words += " 'artist=A. Person' year=2026 'credit=The painting is in the public domain' 'licence=CC BY 4.0'"
    workflow = Workflow(tmp_path_factory.mktemp("sweep"), words)
    workflow.result = workflow.done("all", "crate", **SWEEP)
    return workflow


@pytest.fixture
def results(finished):
    return finished.folder / "results" / "sweep"


def test_every_product_of_the_contract_is_there(results):
    whole = "experiment.yaml trajectories.csv losses.parquet losses.png montage.png starts.csv page/index.html"
    wanted = [results / file for file in whole.split()]
    for setting in SETTINGS:
        wanted += [results / setting / file for file in ("trajectories/0-2.safetensors", "losses.csv", "montage.png")]
        film = results / "films" / f"starts+{setting}"
        wanted += [film / file for file in ("film.json", "triptych.mp4", *(f"channel-{n}.mp4" for n in (1, 2, 3)))]
    missing = [str(path) for path in wanted if not path.is_file() or not path.stat().st_size]
    assert not missing


def test_the_readme_of_the_results_lists_what_is_there_and_nothing_else(results):
    always, sometimes = listed_products()
    made = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    unlisted = [path for path in made if not any(matches(pattern, path) for pattern in [*always, *sometimes])]
    assert not unlisted
    assert not [pattern for pattern in always if not any(matches(pattern, path) for path in made)]


def test_the_readme_of_the_results_names_every_column(results):
    terms = {setting: [setting.split("+")[0].removeprefix("loss~")] for setting in SETTINGS}
    names = {"axis": ["lr"], "term": [term for own in terms.values() for term in own], "metric": ["l2", "ssim"]}
    for table in ("trajectories.csv", "arrivals.csv", "starts.csv"):
        assert set(pd.read_csv(results / table).columns) == listed_columns(table, **names)
    assert set(pd.read_parquet(results / "losses.parquet").columns) == listed_columns("losses.parquet", **names)
    for setting in SETTINGS:
        own = names | {"term": terms[setting]}
        for table, file in (("losses.csv", "losses.csv"), ("losses.csv", "trajectories/0-2.csv")):
            assert set(pd.read_csv(results / setting / file).columns) == listed_columns(table, **own)
        assert set(pd.read_csv(results / setting / "metrics.csv").columns) == listed_columns("metrics.csv", **own)
    itinerary = pd.read_csv(results / "films" / f"starts+{SETTINGS[0]}" / "itinerary.csv")
    assert set(itinerary.columns) == listed_columns("itinerary.csv", **names)


def test_the_terminal_says_what_comes_and_what_came(finished):
    said = finished.result.stderr
    assert "2 settings x 3 seeds = 6 trajectories of 6 steps, 6 of them to invert; 3 films" in said
    assert re.search(
        r"the whole run: about [^(]* on 2 cores, the inversions .* of it \(a guess from this machine", said
    )
    assert "MB on disk" in said
    assert "watch it: results/sweep/live/index.html" in said
    assert "film: results/sweep/films/starts+loss~l2+lr~0.4/triptych.mp4" in said
    assert "page: results/sweep/page/index.html" in said
    assert "[invert loss~l2+lr~0.4 0-2] step 6/6" in said


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_has_as_many_files_as_planning_at_scale_reckons(finished, setting):
    """Seven of a batch and ten more, however many seeds there are: docs/scale.md."""
    folders = [finished.folder / kind / "sweep" / setting for kind in ("results", "logs", "benchmarks")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    of_the_batch = [path for path in files if path.name.startswith("0-2.")]
    assert (len(of_the_batch), len(files)) == (7, 17)


def test_a_trajectory_is_what_the_generator_received(results, tiny):
    path = results / "loss~l2+lr~0.4" / "trajectories" / "0-2.safetensors"
    trajectory = read_trajectory(path, 1)
    assert trajectory.z.shape == (7, 128)
    assert trajectory.classes.shape == (7, 5)
    assert trajectory.z.dtype == np.float32
    wanted = {"temperature", "truncation", "sha256", "seeds", "setting", "batch", "precision", "threads", "device"}
    assert wanted <= set(trajectory.metadata)
    config = read_config(tiny / "config.json")
    generator = load_generator(read_weights(tiny / "generator.safetensors", config), config, truncation=1.0)
    with torch.no_grad():
        images = generator(generator.conditioning(torch.from_numpy(trajectory.z), torch.from_numpy(trajectory.classes)))
        loss = build_loss({"name": "l2", "terms": {"l2": 1.0}}, read_target(results / "target.png"))
        again = loss(images).total
    losses = pd.read_csv(results / "loss~l2+lr~0.4" / "losses.csv")
    assert again.numpy() == pytest.approx(losses[losses["seed"] == 1]["loss"].to_numpy(), rel=1e-4)


def test_tables(results):
    losses = pd.read_csv(results / "loss~l2+lr~0.4" / "losses.csv")
    assert losses.groupby("seed")["step"].apply(list).to_dict() == {seed: list(range(7)) for seed in range(3)}
    columns = "loss l2 lr_z lr_classes gradient_norm z_norm class_entropy top_class seconds"
    assert set(columns.split()) <= set(losses.columns)
    assert np.isfinite(losses.select_dtypes("number")).all().all()
    trajectories = pd.read_csv(results / "trajectories.csv")
    assert len(trajectories) == 6
    assert set(trajectories["status"]) == {"ok"}
    assert {"start_l2", "final_l2", "final_ssim", "strangeness", "final_loss"} <= set(trajectories.columns)
    whole = pd.read_parquet(results / "losses.parquet")
    assert len(whole) == 6 * 7
    assert whole.groupby("setting")["loss_name"].first().to_dict() == {s: s.split("+")[0][5:] for s in SETTINGS}
    with (results / "starts.csv").open() as file:
        starts = list(csv.DictReader(file))
    assert len(starts) == 6
    assert {row["top_class"] for row in starts} <= {"alp", "valley", "shore", "lamp", "tree"}
    by_seed = {row["seed"]: row["z_norm"] for row in starts}
    assert all(row["z_norm"] == by_seed[row["seed"]] for row in starts)


def test_the_films_are_in_step(results):
    folder = results / "films" / "starts+loss~l2+lr~0.4"
    found = [read_film(folder / f"channel-{n}.mp4") for n in (1, 2, 3)]
    wide = read_film(folder / "triptych.mp4")
    held = 10  # a second before and after
    assert {film["frames"] for film in [*found, wide]} == {held + 4 + held}
    assert {(film["width"], film["height"], film["fps"]) for film in found} == {(64, 64, 10)}
    assert wide["width"] > 3 * 64
    choice = json.loads((folder / "film.json").read_text())
    assert [channel["seed"] for channel in choice["channels"]] == [0, 1, 2]
    assert "names three values of seed" in choice["why"]


def test_a_film_says_what_it_is(finished, results):
    """Title, artist and rights in every film's file; other words encode again and render nothing."""
    for name in ("triptych", "channel-2"):
        with av.open(str(results / "films" / f"starts+{SETTINGS[0]}" / f"{name}.mp4")) as film:
            tags = film.metadata
        assert tags["title"] == "Nach dem Nebel" and tags["artist"] == "A. Person"
        assert tags["copyright"] == "The painting is in the public domain. CC BY 4.0."
    planned = finished.planned(hydra="title=other", **SWEEP)
    assert planned.keys() >= {"encode", "page"} and not planned.keys() & {"render", "invert", "survey"}


def test_the_loss_is_heard_where_it_is_asked_for(results):
    heard = sorted(path.relative_to(results / "films").as_posix() for path in results.rglob("*-sound.mp4"))
    assert heard == [f"finds+lr~0.4/channel-{channel}-sound.mp4" for channel in (1, 2, 3)]
    for file in heard:
        with av.open(str(results / "films" / file)) as film:
            samples = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
            rate = film.streams.audio[0].rate
        assert samples.std() > 0.02 and len(samples) / rate == pytest.approx(24 / 10, abs=0.1)


def test_films_of_the_same_three_share_frames_and_survey(results, finished):
    """Of three seeds, the film by rank shows those of the film of the starts, in whatever order."""
    starts, finds = (results / "films" / name for name in (f"starts+{SETTINGS[0]}", "finds+lr~0.4"))
    seeds = [channel["seed"] for channel in json.loads((finds / "film.json").read_text())["channels"]]
    assert sorted(seeds) == [0, 1, 2]
    frames = [(finds / "frames" / f"{channel}.mkv").read_bytes() for channel in (1, 2, 3)]
    assert frames == [(starts / "frames" / f"{seed + 1}.mkv").read_bytes() for seed in seeds]
    assert finished.result.stderr.count("frames, made for another film") == 3
    assert (finds / "panorama.npz").read_bytes() == (starts / "panorama.npz").read_bytes()
    assert finished.result.stderr.count("surveyed for another film") == 1


def test_the_record_says_what_made_it(results):
    record = yaml.safe_load((results / "experiment.yaml").read_text())
    assert record["configuration"]["steps"] == 6
    assert list(record["settings"]) == SETTINGS
    assert "snakemake" in record["command"]
    assert "loss=l2,pyramid" in record["command"]
    assert record["device"] == ["cpu"]
    assert len(record["sha256"]["weights"]) == 64


def test_pictures_have_their_size(results):
    assert Image.open(results / "target.png").size == (32, 32)
    assert Image.open(results / "montage.png").width > 400


ENCODING = {"encode": 3, "invert": 0, "render": 0, "stills": 0, "survey": 0}
CHANGES = [
    ("captions", {}, "video.captions=[step,loss]", ENCODING),
    ("quality", {}, "video.crf=30", ENCODING),
    ("another rate", {"lr": "0.4,0.1"}, "", {"invert": 2}),
    ("a loss less", {"loss": "l2"}, "", {"invert": 0}),
    ("a seed more", {"seeds": "0,1,2,7"}, "", {"invert": 2, "render": 1}),  # of the film by rank
    ("steps", {"steps": 7, "overwrite": "true"}, "", {"invert": 2, "render": 3}),
]


@pytest.mark.parametrize(("what", "keys", "hydra", "wanted"), CHANGES, ids=[change[0] for change in CHANGES])
def test_what_a_change_reruns(finished, what, keys, hydra, wanted):
    jobs = finished.planned(hydra=hydra, **{**SWEEP, **keys})
    assert {rule: jobs.get(rule, 0) for rule in wanted} == wanted


def test_the_next_estimate_is_what_this_run_took(finished, root, monkeypatch):
    """The whole run once more, reckoned from its own benchmarks: the seconds of all jobs, shared by two cores."""
    monkeypatch.chdir(finished.folder)
    plan = make_plan({**SWEEP, "hydra": finished.words}, root)
    taken, jobs = 0.0, []
    for file in (finished.folder / "benchmarks" / "sweep").rglob("*.tsv"):
        rule = "invert" if file.parent.name == "invert" else file.stem.replace("-", "_")
        threads = 2 if rule == "encode" else 1
        jobs.append(Job(rule, threads))
        taken += threads * benchmark_seconds(file) / 2
    (low, high), (inverting, _), source = run_seconds(plan, jobs, 6, 2)
    assert source == "as its past jobs took"
    assert len(jobs) == sum(count_jobs(finished.result.stderr).values())
    assert 0 < inverting < low and low / 1.5 < taken < high * 1.5


def test_nothing_runs_twice(finished):
    assert finished.planned(**SWEEP) == {}


def test_the_frame_rate_renders_again_and_inverts_nothing(finished):
    jobs = finished.planned(**SWEEP, hydra="video.fps=20")
    assert jobs["render"] == 3
    assert not {"invert", "stills", "losses"} & set(jobs)


def test_going_on_with_one_more_seed_and_back(workflow):
    """Without films, which say nothing of it: films={} makes none at all."""
    keys = {"name": "grow", "loss": "l2", "steps": 3, "hydra": "films={}"}
    workflow.done(**keys, seeds=3)
    jobs = workflow.planned(**keys, seeds="0,1,2,7")
    assert jobs["invert"] == 1
    workflow.done(**keys, seeds="0,1,2,7")
    folder = workflow.folder / "results" / "grow" / "loss~l2+lr~0.4" / "trajectories"
    assert sorted(path.name for path in folder.glob("*.safetensors")) == ["0-2.safetensors", "7.safetensors"]
    assert "invert" not in workflow.planned(**keys, seeds=3)
    again = workflow.done(**keys, seeds="0,1,2,7")
    assert "Nothing to be done" in again.stderr + again.stdout
    workflow.done(**keys, seeds=3)
    assert "invert" not in workflow.planned(**keys, seeds="0,1,2,7")
    assert (folder.parent.parent / "page" / "index.html").is_file() and not (folder.parent.parent / "films").exists()


def crated(results):
    """The files that the crate describes -> the sha256 it gives them."""
    graph = json.loads((results / "ro-crate-metadata.json").read_text())["@graph"]
    return {unquote(one["@id"]): one["sha256"] for one in graph if "contentSize" in one}


def test_the_crate_of_a_run_is_valid_and_whole(results, missing_in_crate):
    assert missing_in_crate(results) == []
    recorded = read_checksums(results / "checksums.sha256")
    assert recorded.items() <= crated(results).items()
    assert {name: sha256_of(results / name) for name in crated(results)} == crated(results)


def test_verify_names_what_was_changed_lost_or_never_made(finished, results, tiny):
    assert "as they were recorded" in finished.done("verify", **SWEEP).stderr
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=results, check=False)
    assert checked.returncode == 0
    sheet, curves, latents = results / "montage.png", results / "losses.png", tiny / "generator.safetensors"
    kept = {path: (path.read_bytes(), path.stat()) for path in (sheet, curves, latents)}
    try:
        curves.unlink()
        for path in (sheet, latents):
            data = bytearray(kept[path][0])
            data[-9] ^= 1
            path.write_bytes(data)
        assert sha256_of(sheet) != crated(results)["montage.png"], "the crate disagrees, too"
        result = finished.run("verify", **{**SWEEP, "lr": "0.4,0.1"})
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        lines = {line.removeprefix("[verify] ") for line in result.stderr.splitlines() if line.startswith("[verify] ")}
        assert {line for line in lines if "0.1" not in line} == {
            "changed: results/sweep/montage.png",
            "lost: results/sweep/losses.png",
            f"changed: {latents} (weights)",
            next(line for line in lines if line.startswith("error: results/sweep is not as it was recorded")),
        }
        assert "never made: results/sweep/loss~l2+lr~0.1/losses.csv" in lines
        assert not curves.exists(), "verify makes nothing"
    finally:
        for path, (data, times) in kept.items():
            path.write_bytes(data)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "as they were recorded" in finished.done("verify", **SWEEP).stderr
    assert finished.planned(**SWEEP) == {}


def test_three_arrivals_chosen_on_the_page_make_their_film(finished, results, browser):
    """Clicked in the browser, one of them at a moment before its arrival, copied, pasted into a shell."""
    tab = browser.new_page()
    tab.goto((results / "page" / "index.html").as_uri())
    tiles = tab.locator(".arrival")
    chosen = [tiles.nth(place).get_attribute("data-trajectory") for place in (4, 0, 2)]
    for place in (4, 0, 2):
        tiles.nth(place).click()
    tab.locator("#preview input").nth(2).evaluate("(bar) => { bar.value = 3; bar.dispatchEvent(new Event('input')); }")
    moment = int(tab.locator("#preview figcaption").nth(2).inner_text().removeprefix("to step "))
    command = tab.locator("#chosen").inner_text()
    tab.close()
    environment = {**os.environ, "PYTHONPATH": ""}
    shell = ["bash", "-c", f"PATH={SNAKEMAKE.parent}:$PATH\n{command}"]
    pasted = subprocess.run(shell, env=environment, cwd=finished.folder, capture_output=True, text=True, check=False)
    assert pasted.returncode == 0, pasted.stderr[-3000:]
    made = json.loads((results / "films" / "mine" / "film.json").read_text())
    assert [f"{channel['setting']}/{channel['seed']}" for channel in made["channels"]] == chosen
    assert [channel.get("until") for channel in made["channels"]] == [None, None, moment] and 0 < moment < 6
    timing = json.loads((results / "films" / "mine" / "timing.json").read_text())
    assert timing["steps"] == [6, 6, moment] == [max(positions) for positions in timing["positions"]]
    assert read_film(results / "films" / "mine" / "triptych.mp4")["frames"] == 24
    assert "rule invert" not in pasted.stderr

    # Itinerary and poster go on to the arrival; the film's stills end where the last channel arrives.
    film, files = results / "films" / "mine", ("itinerary.csv", "share/triptych.webm", "share/poster.pdf")
    wanted = " ".join(str(film.relative_to(finished.folder) / file) for file in files)
    shell[-1] = shell[-1].replace("snakemake ", f"snakemake {wanted} ", 1)
    shared = subprocess.run(shell, env=environment, cwd=finished.folder, capture_output=True, text=True, check=False)
    assert shared.returncode == 0, shared.stderr[-3000:]
    itinerary = pd.read_csv(film / "itinerary.csv")
    third = itinerary[itinerary["channel"] == 3]
    assert set(third["label"].str.partition(", to ")[2]) == {f"step {moment}"}
    setting, seed = chosen[2].split("/")
    last = read_trajectory(results / setting / "trajectories" / "0-2.safetensors", int(seed)).classes[-1]
    assert third["arrival"].max() == pytest.approx(last.max(), abs=1e-5)
    frames = list(read_frames(film / "triptych.mp4"))
    arrived = timing["positions"][0].index(6)
    assert np.array_equal(np.asarray(Image.open(film / "share" / "still-1.png")), frames[0])
    assert np.array_equal(np.asarray(Image.open(film / "share" / "still-5.png")), frames[arrived])
    assert read_film(film / "share" / "triptych.webm")["frames"] == 24
