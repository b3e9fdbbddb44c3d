"""An enlarger learns from painted pictures, and a grown generator's new blocks from what it makes of the old one's."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from helpers.paths import ROOT

sys.path.insert(0, str(ROOT))
from study import enlarging, exporting, measuring, networks, painter, training
from study.composing import compose_settings
from study.scripts.model_card import draw_curves

SMALL = [
    "generator.output_dim=16",
    "generator.channel_width=4",
    "generator.layers=[[true,16,8],[false,8,4],[true,4,2],[false,2,1]]",
    "generator.attention_layer_position=1",
    "discriminator.channels=[4,8]",
    "train.bfloat16=false",
    "train.compile=false",
]
LARGE = [
    *SMALL,
    "train=enlarge",
    "generator.output_dim=32",
    "generator.layers=[[true,16,8],[false,8,4],[true,4,4],[true,4,2],[false,2,1]]",
    "train.enlarger={channels: 16, blocks: 2, batch: 16, lr: 4.0e-3, minutes: 1, steps: 600, seed: 1}",
    "train.teaching={batch: 8, lr: 2.0e-3, minutes: 1, steps: 200, settle_every: 20}",
]


def trainer_of(*overrides):
    config = compose_settings(overrides)
    return training.Trainer(config["generator"], config["discriminator"], config["train"])


@pytest.fixture(scope="module")
def pictures():
    z = painter.normal(torch.Generator().manual_seed(0), 64, 128).view(16, 4, 128)
    return torch.cat([painter.paint(label, z[label], 0, size=32) for label in range(16)])


@pytest.fixture(scope="module")
def enlarger(pictures):
    trainer = trainer_of(*LARGE)
    return enlarging.learn_enlarger(pictures, trainer.settings["enlarger"], trainer.cast)


@pytest.fixture
def exported(tmp_path):
    small = trainer_of(*SMALL)
    discriminator = small.discriminator.as_discriminator()
    exporting.export(small.averaged(), discriminator, small.discriminator_config, tmp_path / "small", samples=64)
    return tmp_path / "small"


def test_worn_pictures_are_softer_and_a_weave_lies_over_some(pictures):
    whole = pictures.float() / 127.5 - 1
    worn = enlarging.worn(whole, torch.Generator().manual_seed(3))
    assert torch.equal(worn, enlarging.worn(whole, torch.Generator().manual_seed(3)))
    assert 0.005 < (worn - whole).abs().mean() < 0.1
    soft = enlarging.blurred(whole, torch.Generator().manual_seed(3))
    assert soft.diff(dim=3).abs().mean() < 0.9 * whole.diff(dim=3).abs().mean()
    assert soft.mean((1, 2, 3)).sub(whole.mean((1, 2, 3))).abs().max() < 0.02
    woven = enlarging.weave(400, 32, torch.Generator().manual_seed(3))
    strengths = woven.abs().amax((1, 2, 3))
    assert strengths.max() <= 2 * 0.12 * 1.3
    assert 0.04 < (strengths == 0).float().mean() < 0.16, "each of two waves is there in seven of ten"


def test_a_border_weighs_more_and_a_corner_most():
    images = torch.zeros(1, 3, 32, 32)

    def weight(row, column):
        other = images.clone()
        other[:, :, row, column] = 1.0
        return enlarging.border_distance(images, other).item()

    assert weight(0, 0) == weight(-1, 0) == weight(31, 31) > 4 * weight(0, 16)
    assert weight(0, 16) == weight(16, -1) > 2 * weight(2, 16)
    assert weight(16, 16) == pytest.approx(0, abs=1e-6)


def test_a_speck_in_a_corner_is_gone_and_all_else_is_as_it_was():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    before = images.clone()
    clean = enlarging.without_specks(images)
    assert torch.equal(images, before)
    for corner, neighbour in (((0, 1), (2, 2)), ((1, -1), (2, -3)), ((-2, 0), (-3, 2)), ((-1, -2), (-3, -3))):
        assert torch.equal(clean[:, :, *corner], images[:, :, *neighbour])
    assert (clean != images).any(1).sum() == 2 * 16


def test_an_enlarger_is_nearer_than_a_cubic_to_pictures_that_it_never_saw(enlarger):
    z = painter.normal(torch.Generator().manual_seed(9), 16, 128)
    whole = torch.cat([painter.paint(k, z[k : k + 1], 9, size=32) for k in range(16)]).float() / 127.5 - 1
    small = enlarging.worn(F.avg_pool2d(whole, 2), torch.Generator().manual_seed(9))
    large, cubic = enlarger(small), F.interpolate(small, scale_factor=2, mode="bicubic")
    assert large.shape == whole.shape
    assert (large - whole).abs().mean() < 0.97 * (cubic - whole).abs().mean()


def test_new_blocks_show_enlarged_samples_of_the_elder_and_the_old_ones_stay(exported, enlarger, tmp_path):
    large = trainer_of(*LARGE)
    large.begin_from(exported)
    teacher = enlarging.Teacher(large, enlarger)
    new = {id(parameter) for parameter in teacher.parameters()}
    before = {name: tensor.clone() for name, tensor in large.generator.named_parameters()}

    def distance():
        maps, condition, goal = teacher.lesson(987_654, 32)
        return (teacher.images(maps, condition) - goal).abs().mean().item()

    teacher.settle(5, 1.0)
    first = distance()
    enlarging.teach(large, enlarger, large.settings["teaching"], tmp_path)
    assert (large.step, large.images) == (200, 1600)
    assert large.seconds > 0
    assert distance() < 0.85 * first
    for name, tensor in large.generator.named_parameters():
        assert torch.equal(tensor, before[name]) == (id(tensor) not in new), name
    folder = exported.with_name("large")
    discriminator = large.discriminator.as_discriminator()
    averaged = large.averaged()
    for layer in networks.batch_norms(averaged):
        layer.still = True
    z = painter.normal(torch.Generator().manual_seed(3), 32, 128)
    taught = averaged(z, measuring.one_hot(measuring.even_labels(32, 16), 16))
    exporting.export(
        large.averaged(), discriminator, large.discriminator_config, folder, samples=64, taught_from=teacher.first
    )
    labels = measuring.even_labels(32, 16)
    samples, elders = (measuring.sample(measuring.load(place), labels, seed=3) for place in (folder, exported))
    assert samples.shape == (32, 3, 32, 32)
    goal = enlarger(elders).clamp(-1, 1)
    assert (samples - goal).abs().mean() < 0.9 * first, "also by the package's arithmetic, from the stored statistics"
    assert (samples - taught).abs().mean() < 0.02 * taught.std(), "which are those that it was taught with"
    stored, elders = (load_file(place / "generator.safetensors") for place in (folder, exported))
    rows = stored["generator.bn.running_vars"]
    assert (rows[10] != rows[-1]).any()
    name = "generator.layers.0.bn_1.running_means"
    assert torch.equal(stored[name], elders[name])


def test_half_of_a_lesson_is_of_mixed_classes_as_a_descent_passes_them(exported, enlarger):
    large = trainer_of(*LARGE)
    large.begin_from(exported)
    teacher = enlarging.Teacher(large, enlarger)
    condition = teacher.conditions(3, 400)
    assert torch.equal(condition, teacher.conditions(3, 400))
    z, embedded = condition.split([128, condition.shape[1] - 128], 1)
    shares = torch.linalg.lstsq(teacher.elder.embeddings.weight, embedded.t()).solution.t()
    assert shares.sum(1) == pytest.approx(1.0, abs=1e-3)
    samples, passed = shares.amax(1).split(200)
    assert samples == pytest.approx(1.0, abs=1e-3)
    assert passed.min() < 0.2
    assert 0.3 < passed.median() < 0.9
    reach = z[200:].std(1)
    assert reach.min() < 0.4
    assert reach.max() > 1.1
    assert z[200:].abs().max() <= 2


def test_a_killed_teaching_goes_on_to_the_same_weights(exported, enlarger, tmp_path, monkeypatch):
    def taught(folder, dies_at=None):
        trainer = trainer_of(*LARGE, "train.checkpoint_seconds=0", "train.teaching.steps=30")
        trainer.begin_from(exported)
        folder.mkdir(exist_ok=True)
        if dies_at:
            follow = trainer.follow
            monkeypatch.setattr(trainer, "follow", lambda: follow() if trainer.step < dies_at else sys.exit())
        enlarging.teach(trainer, enlarger, trainer.settings["teaching"], folder)
        return trainer

    whole = taught(tmp_path / "whole")
    with pytest.raises(SystemExit):
        taught(tmp_path / "killed", dies_at=25)
    again = taught(tmp_path / "killed")
    assert (again.step, again.images) == (30, 240)
    for network in ("generator", "average"):
        pairs = zip(
            getattr(whole, network).state_dict().items(), getattr(again, network).state_dict().values(), strict=True
        )
        for (name, mine), theirs in pairs:
            assert torch.equal(mine, theirs), (network, name)
    curves = [(tmp_path / name / "curves.csv").read_text().splitlines() for name in ("whole", "killed")]
    assert [[row.split(",")[0] for row in rows] for rows in curves] == [["step", "20"]] * 2


def test_only_a_generator_of_half_the_size_can_be_enlarged(exported, enlarger):
    same = trainer_of(*SMALL)
    same.begin_from(exported)
    with pytest.raises(ValueError, match="half the size"):
        enlarging.Teacher(same, enlarger)


@pytest.mark.slow
def test_the_script_leaves_what_the_export_reads(exported, pictures, tmp_path):
    shard = tmp_path / "train-000.npz"
    np.savez(shard, pictures=pictures.view(16, 4, 3, 32, 32).numpy(), latents=np.zeros((16, 4, 128), np.float32))
    folder = tmp_path / "training"
    library = str(ROOT / "workflow" / "scripts")
    run = {"cwd": ROOT, "env": {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": library}}
    overrides = [*LARGE, f"train.begin_from={exported}", "train.enlarger.steps=5", "train.teaching.steps=40"]
    script = [sys.executable, "-m", "study.scripts.enlarge", "--pictures", str(shard), "--folder", str(folder)]
    subprocess.run([*script, *overrides], check=True, **run)
    record = json.loads((folder / "record.json").read_text())
    assert (record["steps"], record["images"], record["pictures"], record["grown"]) == (40, 320, 64, True)
    assert record["script"] == "enlarge"
    draw_curves(folder / "curves.csv", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as drawn:
        assert np.asarray(drawn.convert("L")).std() > 5
    script = [sys.executable, "-m", "study.scripts.export", "--checkpoint", str(folder / "final.pt")]
    subprocess.run([*script, "--folder", str(tmp_path / "out"), "--samples", "64", *overrides], check=True, **run)
    assert measuring.load(tmp_path / "out").config.output_dim == 32
