"""Starts that are named: the latents of a stored trajectory, and a picture that is inverted first."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from approach.errors import UserError
from approach.planning.checks import check_before_jobs
from approach.planning.identity import inversion_config
from approach.planning.plan import make_plan
from approach.sources import sha256_of
from approach.trajectories import TrajectoryFile
from helpers.trajectories import store

SETTING = "loss~l2+lr~0.4"
ARRIVED = f"trajectory:results/old/{SETTING}/1"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(root, **given):
    return make_plan({"name": "new", "loss": "l2", "seeds": 1, **given}, root)


def test_a_start_says_which_latents_it_is(root, folder):
    weights = sha256_of(root / "resources/study/generator.safetensors")
    file = store(folder / "results/old" / SETTING, [0, 1], generator=weights)
    at = {where: planned(root, start=f"{ARRIVED}{where}") for where in ("", "@6", "@2")}
    for plan in at.values():
        check_before_jobs(plan)
    configs = {where: inversion_config(plan.base) for where, plan in at.items()}
    assert configs[""] == configs["@6"] != configs["@2"]
    assert at["@2"].begin(SETTING) == {
        **{"said": f"{ARRIVED}@2", "seed": 1, "step": 2},
        "file": str(file.relative_to(folder)),
    }
    shutil.rmtree(file.parent.parent)
    store(folder / "results/old" / SETTING, [0, 1], steps=9, generator=weights)
    assert inversion_config(at[""].base) != configs[""]  # other latents under the same name
    assert "from" not in inversion_config(planned(root).base)["start"]


@pytest.mark.parametrize(
    ("given", "made", "said"),
    [
        ({"start": f"trajectory:results/old/{SETTING}/7"}, {}, "holds no trajectory of seed 7"),
        ({"start": f"trajectory:results/gone/{SETTING}/0"}, {}, "holds no trajectory of seed 0"),
        ({"start": f"{ARRIVED}@7"}, {}, "ends at step 6"),
        ({"start": ARRIVED}, {"generator": "0" * 64}, "was made with another generator than"),
        ({"start": ARRIVED}, {"truncation": 0.5}, "generator.truncation=0.5 and not 1.0"),
        ({"start": ARRIVED}, {"latent": {"classes": "embedding"}}, "latent.classes=embedding and has no shares"),
        ({"start": ARRIVED, "seeds": 2}, {}, "2 seeds would make one and the same trajectory; take seeds=1"),
        ({"start": ARRIVED, "name": "old"}, {}, "this run makes it itself"),
        ({"start": ARRIVED, "hydra": "start.best_of=3"}, {}, "start.best_of is about random starts"),
        ({"start": "picture:gone.png"}, {}, "picture:gone.png: there is no such file"),
        ({"start": "picture:me.png", "search": "halving"}, {}, "search=halving begins at random starts"),
        ({"start": "picture:me.png", "hydra": "start.classes=[shore]"}, {}, "start.classes is about random starts"),
        ({"start": "picture:me.png", "hydra": "start.picture.steps=3"}, {}, "steps=3: search=halving has more stages"),
        ({"hydra": "start.from=elsewhere"}, {}, "start.from='elsewhere'"),
    ],
)
def test_a_start_that_cannot_be_is_one_line_before_the_first_job(root, folder, given, made, said):
    Image.new("RGB", (40, 40), "red").save("me.png")
    weights = sha256_of(root / "resources/study/generator.safetensors")
    store(folder / "results/old" / SETTING, [0, 1], **{"generator": weights, **made})
    with pytest.raises(UserError, match=said) as error:
        check_before_jobs(planned(root, **given))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_from_a_picture_and_from_there_on(workflow):
    """A run that starts at a picture, and one that starts where the first one was at step 1."""
    for name, deviation in (("target", 60), ("me", 90)):
        Image.effect_noise((48, 48), deviation).convert("RGB").save(workflow.folder / f"{name}.png")
    keys = {"loss": "l2", "target": "target.png", "steps": 2, "name": "one", "start": "picture:me.png", "seeds": 2}
    hydra = "start.picture.steps=5 start.picture.search.pool=6 start.picture.search.stages=[[2,1],[1,1]]"
    jobs = workflow.planned("--until", "starts", **keys, hydra=hydra)
    assert jobs == dict.fromkeys(("prepare_target", "prepare_start", "invert_start", "invert", "starts"), 1)
    workflow.done("--until", "starts", **keys, hydra=hydra)
    assert workflow.planned("--until", "starts", **keys, hydra=hydra) == {}

    results = workflow.folder / "results" / "one"
    made = TrajectoryFile(results / SETTING / "trajectories" / "0-1.safetensors")
    (picture,) = (results / "starts").glob("me-*/trajectories/0-1.safetensors")
    inverted = TrajectoryFile(picture)
    assert made.metadata["begins"] == {
        **{"from": "picture:me.png", "of": [0, 1], "loss": inverted.metadata["loss"]},
        "arrival_loss": inverted.metadata["arrival_loss_float32"],
    }
    assert made.metadata["sha256"]["start"] == sha256_of(picture)
    assert inverted.metadata["search"]["pool"] == 6 and inverted.metadata["made_from"] != made.metadata["made_from"]
    for seed in (0, 1):
        begins, arrives = made.trajectory(seed), inverted.trajectory(seed)
        assert np.array_equal(begins.z[0], arrives.z[-1])
        assert begins.classes[0] == pytest.approx(arrives.classes[-1], rel=2e-6)
    with (results / "starts.csv").open() as table:
        assert [row["begins"] for row in csv.DictReader(table)] == ["picture:me.png"] * 2
    assert not list((results / "starts").rglob("checkpoints/*.pt"))

    keys |= {"name": "two", "start": f"trajectory:results/one/{SETTING}/1@1", "seeds": 1}
    workflow.done("--until", "invert", **keys)
    gone_on = TrajectoryFile(workflow.folder / "results" / "two" / SETTING / "trajectories" / "0.safetensors")
    assert np.array_equal(gone_on.trajectory(0).z[0], made.trajectory(1).z[1])
    assert gone_on.metadata["begins"] == {"from": keys["start"], "of": [1], "step": 1}

    shutil.copy2(workflow.folder / "target.png", workflow.folder / "me.png")
    keys |= {"name": "one", "start": "picture:me.png", "seeds": 2}
    refused = workflow.run(forked=True, **keys, hydra=hydra)
    assert refused.returncode == 1
    assert "made with start.from=picture:me-" in refused.stderr
