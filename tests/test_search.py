"""Searches, free class embeddings, and losses and optimizers of one's own: how they are planned, and what is told."""

import numpy as np
import pandas as pd
import pytest
import torch

from approach import digest
from approach.errors import UserError
from approach.inversion.descent import make_optimizer
from approach.losses.losses import build_loss
from approach.pictures.itinerary import NO_SHARES, class_shares, itinerary_plot, itinerary_streams, itinerary_table
from approach.pictures.tables import start_rows
from approach.planning.estimate import setting_units
from approach.planning.finished import _as_now
from approach.planning.identity import inversion_config
from approach.planning.plan import make_plan
from approach.target import Target
from approach.trajectories import read_trajectory, write_trajectories
from helpers.trajectories import NAMES, random_trajectory

TERM = "def bright(target):\n    return lambda images: (images - target).mean((1, 2, 3)).abs()\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in; modules that are written into it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def planned(root, hydra="", **given):
    return make_plan({"name": "search", **given, **({"hydra": hydra} if hydra else {})}, root)


def test_halving_brings_what_it_needs_and_each_can_be_typed(root, folder):
    first, second = planned(root, search="halving,descent").settings.values()
    assert (first.id, second.id) == (
        "loss~l1-ssim-discriminator+lr~0.2+search~halving",
        "loss~l1-ssim-discriminator+lr~0.4+search~descent",
    )
    assert (first.config["steps"], second.config["steps"]) == (1050, 300)
    assert (first.config["latent"]["classes"], second.config["latent"]["classes"]) == ("embedding", "softmax")
    # The last evaluation takes no step; descent looks at eight starts, forward only.
    assert (setting_units(first), setting_units(second)) == (2301, pytest.approx(301 + 8 / 3))
    typed = planned(root, search="halving", steps=54, lr=0.02, hydra="latent.classes=softmax search.pool=48").base
    assert (typed["steps"], typed["optimizer"]["lr"], typed["search"]["pool"]) == (54, 0.02, 48)
    assert typed["latent"] == {"classes": "softmax"}


def test_starts_that_are_looked_at_are_counted(root, folder):
    (best,) = planned(root, start="best", steps=30).settings.values()
    assert setting_units(best) == pytest.approx(31 + 200 / 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"search": "halving", "steps": 4}, "steps=4: search=halving has more stages"),
        ({"search": "halving", "start": "best"}, "start.best_of: a search that looks at a pool needs none"),
        ({"hydra": "search.stages=[[2,1],[3,1],[1,1]]"}, "members of the stages fall"),
        ({"hydra": "search.stages=[[2,1]]"}, "the last stage has 1"),
        ({"hydra": "search.stages=[[2,1],[1,1]]"}, "from 1 to the pool's size"),
        ({"hydra": "latent.classes=embedding passes.films=null"}, "say passes.free=true"),
        ({"hydra": "optimizer.kind=nobodys:Own"}, "no module nobodys in this folder or on PYTHONPATH"),
        ({"hydra": "optimizer.kind=mine:Other"}, "'mine:Other': mine.py defines no Other"),
        ({"hydra": "optimizer.kind=broken:Own"}, "broken.py, line 1"),
        ({"hydra": "optimizer.kind=adamw"}, "optimizer.kind='adamw'"),
    ],
)
def test_what_cannot_be_is_one_line(root, folder, given, said):
    (folder / "mine.py").write_text("import torch\nclass Own(torch.optim.SGD): ...\n")
    (folder / "broken.py").write_text("def :\n")
    with pytest.raises(UserError, match=said) as error:
        planned(root, **given)
    assert "\n" not in str(error.value)


def test_an_edit_of_a_term_concerns_its_own_setting(root, folder):
    (folder / "bright_term.py").write_text(TERM)

    def configs():
        for kept in (digest._remembered, digest._module, digest.code_digest):  # a run reads each file once
            kept.cache_clear()
        settings = planned(root, loss="l2,l1", hydra=r"loss.terms={l1: 1, bright_term\:bright: 0.5}").settings
        return [inversion_config(setting.config) for setting in settings.values()]

    before, plain = configs(), inversion_config(planned(root, loss="l1").base)
    assert "own" not in plain and set(before[0]["own"]) == {"bright_term:bright"}
    (folder / "bright_term.py").write_text(f'"""Brightness."""\n{TERM}')
    assert configs() == before  # a docstring says nothing
    (folder / "bright_term.py").write_text(TERM.replace("abs()", "square()"))
    assert all(one["own"] != other["own"] for one, other in zip(configs(), before, strict=True))
    assert inversion_config(planned(root, loss="l1").base) == plain


def test_a_term_of_ones_own_is_part_of_the_loss(folder):
    (folder / "own_term.py").write_text(TERM)
    pixels = torch.full((3, 32, 32), 0.5)
    loss = build_loss({"name": "mine", "terms": {"l1": 1.0, "own_term:bright": 2.0}},
                      Target(pixels, torch.ones(1, 32, 32)))  # fmt: skip
    found = loss(torch.zeros(2, 3, 32, 32))
    assert found.terms["own_term:bright"].tolist() == [0.5, 0.5] and found.total.tolist() == [1.5, 1.5]


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
def test_optimizers_by_name_lower_a_square(kind):
    settings = {"kind": kind, "lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-8}
    z = torch.full((2, 4), 3.0, requires_grad=True)
    state = None
    for _ in range(60):  # made anew each time, as a checkpoint has it
        optimizer = make_optimizer([z], settings, state)
        optimizer.param_groups[0]["lr"] = 0.1
        z.grad = 2 * z.detach()
        optimizer.step()
        state = optimizer.state_dict()
    assert z.abs().max() < 0.3


def test_trajectories_of_before_are_told_in_todays_keys(root, folder):
    now = inversion_config(planned(root).base)
    old = {key: value for key, value in now.items() if key not in ("latent", "search")}
    old["optimizer"] = {**{key: value for key, value in old["optimizer"].items() if key != "kind"}, "classes": "free"}
    assert _as_now(old) == now


def test_a_free_embedding_has_no_shares_and_its_pool_is_told(tmp_path):
    z, classes = random_trajectory(6)
    search = {"name": "halving", "pool": 8, "stages": [[2, 1], [1, 1]]}
    metadata = {"seeds": [4], "status": ["ok"], "last_step": [6], "latent": {"classes": "embedding"}, "search": search,
                "orders": [5], "dropped": [[[3, 2, 0.5]]]}  # fmt: skip
    write_trajectories(tmp_path / "4.safetensors", [4], z[None], np.repeat(z[None], 1, axis=0), z[None], metadata)
    trajectory = read_trajectory(tmp_path / "4.safetensors", 4)
    kept, dropped = start_rows([trajectory], NAMES)
    assert set(kept) == {"seed", "z_norm", "begins", "order", "dropped_at", "dropped_loss"}
    assert (kept["order"], kept["dropped_at"]) == (5, None)
    assert dropped == {"seed": 4, "begins": "random", "order": 3, "dropped_at": 2, "dropped_loss": 0.5}
    shares = class_shares(trajectory, len(NAMES))
    assert shares.shape == (7, len(NAMES)) and not shares.any()
    streams = itinerary_streams([shares, classes, shares], NAMES)
    assert [channel["words"] == NO_SHARES for channel in streams["channels"]] == [True, False, True]
    labels = ["a", "b", "c"]
    assert set(itinerary_table([shares, classes, shares], labels, NAMES)["channel"]) == {2}
    nothing = itinerary_table([shares] * 3, labels, NAMES)
    assert isinstance(nothing, pd.DataFrame) and list(nothing.columns)[:3] == ["channel", "label", "category"]
    itinerary_plot([shares] * 3, labels, NAMES, tmp_path / "itinerary.png", title="Itinerary")
    assert (tmp_path / "itinerary.png").stat().st_size > 3_000
