"""More steps after a finished run: what goes on, what is made anew and why, and the closest of many short ones."""

import json

import pytest
from PIL import Image

from approach.errors import UserError
from approach.planning.plan import make_plan
from approach.trajectories import TrajectoryFile

pytestmark = pytest.mark.slow

SETTING = "loss~l2+lr~0.4"
CONSTANT = "optimizer.warmup=0 optimizer.decay=0"
KEYS = {"name": "run", "loss": "l2", "target": "target.png", "seeds_per_job": 2}


def rows(folder, batch):
    """The log of a batch: its rows by seed."""
    lines = (folder / f"results/run/{SETTING}/trajectories/{batch}.csv").read_text().splitlines()[1:]
    return {seed: [line for line in lines if line.startswith(f"{seed},")] for seed in (0, 1, 2, 3)}


def test_a_finished_run_goes_on_and_its_closest_go_further(workflow):
    folder = workflow.folder
    Image.effect_noise((48, 48), 60).convert("RGB").save(folder / "target.png")
    until = ("--until", "losses")
    workflow.done(*until, **KEYS, seeds=2, steps=3, hydra=CONSTANT)
    short = rows(folder, "0-1")

    told = workflow.done(*until, **KEYS, seeds=2, steps=5, hydra=CONSTANT)
    assert "1 finished batch goes on where it ended, and keeps its steps" in told.stderr
    assert "inverted again" not in told.stderr
    longer = rows(folder, "0-1")
    for seed in (0, 1):
        assert longer[seed][:4] == short[seed] and len(longer[seed]) == 6
    assert workflow.planned(*until, **KEYS, seeds=2, steps=5, hydra=CONSTANT) == {}
    checkpoints = folder / f"results/run/{SETTING}/checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["0-1.end", "0-1.lock"]

    uninterrupted = {**KEYS, "name": "once"}
    workflow.done("--until", "invert", **uninterrupted, seeds=2, steps=5, hydra=CONSTANT)
    two = [
        TrajectoryFile(folder / f"results/{name}/{SETTING}/trajectories/0-1.safetensors") for name in ("run", "once")
    ]
    for seed in (0, 1):
        went_on, once = (file.trajectory(seed) for file in two)
        assert (went_on.z == once.z).all() and (went_on.classes == once.classes).all()
    assert {key for key in two[0].metadata if two[0].metadata[key] != two[1].metadata[key]} == {
        *("experiment", "header_sha256"),
    }

    refused = workflow.run(forked=True, **KEYS, seeds=2, steps=9, hydra="optimizer.decay=0.9")
    assert refused.returncode == 1
    assert "overwrite=true to lose those; they cannot go on, since the learning rate follows" in refused.stderr
    anew = workflow.done("-n", **KEYS, seeds=2, steps=9, hydra="optimizer.decay=0.9", overwrite="true")
    assert "1 finished batch is made anew, since the learning rate follows" in anew.stderr
    workflow.done("-n", **KEYS, seeds=2, steps=9, hydra=CONSTANT)  # a look changes nothing of what comes next
    workflow.done("-n", **KEYS, seeds=2, steps=5, hydra=f"{CONSTANT} loss.terms.l2=2", overwrite="true")
    assert not list(checkpoints.glob("*.before.*"))

    (folder / "results/run/arrivals.csv").write_text("by_closeness,seed,setting\n2,0,x\n1,1,x\n3,3,x\n,2,x\n")
    workflow.done(*until, **KEYS, seeds="closest:1", steps=7, hydra=CONSTANT)
    assert rows(folder, "1")[1][:6] == longer[1] and len(rows(folder, "1")[1]) == 8
    assert rows(folder, "0-1") == longer  # the others are left as they are
    (folder / "results/run/arrivals.csv").unlink()
    assert workflow.planned(*until, **KEYS, seeds="closest:1", steps=7, hydra=CONSTANT) == {}
    assert json.loads((folder / "results/run/chosen/closest-1.json").read_text()) == [1]


def test_closest_needs_a_finished_run(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"seeds=closest:3: results/run/arrivals\.csv is not there; make a run"):
        make_plan({"name": "run", "seeds": "closest:3"}, root)
    (tmp_path / "results/run").mkdir(parents=True)
    (tmp_path / "results/run/arrivals.csv").write_text("by_closeness,seed\n1,4\n2,4\n3,0\n")
    with pytest.raises(UserError, match="has 2 seeds"):
        make_plan({"name": "run", "seeds": "closest:3"}, root)
    assert make_plan({"name": "run", "seeds": "closest:2"}, root).seeds == [0, 4]
