"""Trackers: what is replayed, that a second replay adds nothing, and that their own libraries read it back."""

import json

import numpy as np
import pytest
from PIL import Image

from approach.errors import UserError
from approach.planning.plan import make_plan
from approach.trackers import PACKAGES, check_installed
from approach.tracking import experiment_run, replay, trajectory_runs
from helpers.paths import ROOT

LOSSES = """seed,step,loss,l2,top_class,seconds
0,0,3.0,3.0,lamp,0.5
0,1,2.0,2.0,lamp,0.25
4,0,5.0,5.0,tree,0.5
4,1,,,tree,0.25
"""
SETTING = "loss~l2+lr~0.4"


@pytest.fixture
def runs(tmp_path):
    """Two trajectories of two steps, of which one failed at the second, and the experiment."""
    (tmp_path / "losses.csv").write_text(LOSSES)
    (tmp_path / "metrics.csv").write_text("seed,start_l2,final_l2\n0,3.0,2.0\n4,5.0,5.0\n")
    images = np.arange(2 * 2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 2, 4, 4, 3)
    np.savez(tmp_path / "stills.npz", seeds=[0, 4], steps=[0, 1], images=images)
    Image.fromarray(images[0, 0]).save(tmp_path / "target.png")
    config = {"optimizer": {"lr": 0.05}, "seeds": [0, 4], "films": {}}
    files = [tmp_path / name for name in ("losses.csv", "metrics.csv", "stills.npz")]
    return [*trajectory_runs(SETTING, config, *files), experiment_run(config, [tmp_path / "target.png"])]


def test_what_is_replayed(runs):
    assert [run.name for run in runs] == [f"{SETTING}/0", f"{SETTING}/4", "experiment"]
    first, failed, whole = runs
    assert first.curves["loss"] == [(0, 3.0, 0.5), (1, 2.0, 0.75)]
    assert first.curves["final_l2"] == [(1, 2.0, 0.75)]
    assert failed.curves["loss"] == [(0, 5.0, 0.5)]
    assert first.settings == {"optimizer.lr": "0.05", "films": "{}", "seed": "0"}
    assert [step for step, _ in first.pictures.values()] == [0, 1]
    assert list(whole.pictures) == ["target"]
    assert len({run.digest() for run in runs}) == 3


def changed(run):
    """The same run after another inversion."""
    return type(run)(run.name, run.settings, {"loss": [(0, 1.0, 0.0)]}, run.pictures)


@pytest.mark.extras
def test_tensorboard_reads_it_back(runs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    folder = tmp_path / "tensorboard"
    sent = replay("tensorboard", "mine", runs, folder)
    there = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert replay("tensorboard", "mine", runs, folder) == sent
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == there

    def read(name):
        events = EventAccumulator(str(folder / name))
        events.Reload()
        return events

    events = read(f"{SETTING}/0")
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(0, 3.0), (1, 2.0)]
    assert [event.step for event in events.Images("picture")] == [0, 1]
    assert read("experiment").Tags()["images"] == ["target"]
    replay("tensorboard", "mine", [changed(runs[0])], folder)
    assert [event.value for event in read(f"{SETTING}/0").Scalars("loss")] == [1.0]


@pytest.mark.extras
def test_mlflow_reads_it_back(runs, tmp_path, monkeypatch):
    import mlflow  # noqa: PLC0415 (optional)

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()

    def stored():
        place = client.get_experiment_by_name("mine").experiment_id
        return {run.info.run_name: run for run in client.search_runs([place])}

    replay("mlflow", "mine", runs, tmp_path)
    before = {name: run.to_dictionary() for name, run in stored().items()}
    assert set(before) == {run.name for run in runs}
    replay("mlflow", "mine", runs, tmp_path)
    assert {name: run.to_dictionary() for name, run in stored().items()} == before
    first = stored()[f"{SETTING}/0"]
    history = client.get_metric_history(first.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(0, 3.0), (1, 2.0)]
    assert first.data.params["optimizer.lr"] == "0.05"
    assert {one.path for one in client.list_artifacts(first.info.run_id)} >= {"step-0.png", "step-1.png"}
    replay("mlflow", "mine", [changed(runs[0])], tmp_path)
    assert len(stored()) == 3 and stored()[f"{SETTING}/0"].data.metrics == {"loss": 1.0}


@pytest.mark.extras
def test_trackio_reads_it_back(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="it wants another Pillow than the lock's")
    storage = trackio.SQLiteStorage
    replay("trackio", "mine", runs, tmp_path)
    before = {run.name: run.id for run in trackio.Api().runs("mine")}
    assert set(before) == {run.name for run in runs}
    replay("trackio", "mine", runs, tmp_path)
    assert {run.name: run.id for run in trackio.Api().runs("mine")} == before
    logs = storage.get_logs("mine", f"{SETTING}/0", run_id=before[f"{SETTING}/0"])
    assert [entry["loss"] for entry in logs] == [3.0, 2.0]


@pytest.mark.parametrize("tracker", PACKAGES)
def test_an_absent_package_is_asked_for_in_one_line(tracker, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    with pytest.raises(UserError, match=f"track={tracker} needs .*: pip install {tracker}$"):
        check_installed(tracker)


def test_it_is_planned_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = make_plan({"loss": "l2,ssim"}, ROOT)
    tracked = make_plan({"loss": "l2,ssim", "track": "mlflow"}, ROOT)
    more = set(tracked.final_products()) - set(plain.final_products())
    settings = [f"{setting}/" for setting in tracked.settings]
    assert more == {f"results/study/{part}tracked-mlflow.json" for part in [*settings, ""]}
    assert tracked.recorded_config() == plain.recorded_config()
    assert json.dumps(tracked.base["track"]) == '"mlflow"'
