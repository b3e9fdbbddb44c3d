"""A trained generator's samples get the statistics of the painted pictures."""

import functools
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from helpers.backbones import stand_in
from helpers.paths import ROOT

sys.path.insert(0, str(ROOT))
from study import composing, enlarging, exporting, matching, measuring, networks, training
from study.composing import compose_settings
from study.scripts.measure import ladder

SMALL = [
    "train=match",
    "generator.output_dim=32",
    "generator.channel_width=4",
    "generator.layers=[[true,16,8],[false,8,4],[true,4,4],[true,4,2],[false,2,1]]",
    "generator.attention_layer_position=1",
    "discriminator.channels=[4,8]",
    "train.bfloat16=false",
    "train.compile=false",
    "train.enlarger={channels: 4, blocks: 1, batch: 4, lr: 4.0e-3, minutes: 1, steps: 2, seed: 1}",
    "train.matching.steps=60",
    "train.matching.lr=2.0e-3",
    "train.matching.mixtures=32",
]


def trainer_of(*overrides):
    config = compose_settings([*SMALL, *overrides])
    return training.Trainer(config["generator"], config["discriminator"], config["train"])


def begun(folder, *overrides):
    trainer = trainer_of(*overrides)
    matching.begin(trainer, folder)
    return trainer


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Six small pictures of every class."""
    path = tmp_path_factory.mktemp("pictures") / "train-000.npz"
    command = [sys.executable, "-m", "study.scripts.paint_shard", "--shard", "0", "--per-class", "6", "--size", "32"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'workflow/scripts'}"}
    subprocess.run([*command, "--output", str(path)], cwd=ROOT, env=environment, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    small = trainer_of()
    discriminator = small.discriminator.as_discriminator()
    exporting.export(
        small.averaged(), discriminator, small.discriminator_config, folder, samples=64, steps=5, images=80, seconds=9.0
    )
    return folder


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """SqueezeNet's features with seeded weights."""
    path = tmp_path_factory.mktemp("squeezenet") / "seeded.pth"
    torch.save(stand_in("squeeze"), path)
    return path


@pytest.fixture
def enlarger():
    torch.manual_seed(0)
    return enlarging.Enlarger(4, 1).requires_grad_(False)


def run(trainer, network, enlarger, shard, folder):
    folder.mkdir(exist_ok=True)
    return matching.match(trainer, network, enlarger, training.Pictures([shard]), folder)


def moments_apart(generator, network, pictures):
    """Mean squared difference between samples' and pictures' mean features, class by class."""
    total = 0.0
    for label in range(16):
        own = torch.eye(16)[label].expand(pictures.images.shape[1], -1)
        with torch.no_grad():
            a = matching.seen(network, generator(pictures.latents[label], own))
            b = matching.seen(network, pictures.images[label].float() / 127.5 - 1)
        total += sum(((x.mean(0) - y.mean(0)) / y.std()).square().mean().item() for x, y in zip(a, b, strict=True))
    return total


def test_samples_come_nearer_to_the_pictures_in_the_means_of_features(exported, squeezenet, enlarger, shard, tmp_path):
    network, pictures = measuring.SqueezeFeatures(squeezenet).network, training.Pictures([shard])
    trainer = begun(exported)
    networks.hold_norms(trainer.generator)
    before = moments_apart(trainer.generator, network, pictures)
    told = run(trainer, network, enlarger, shard, tmp_path)
    assert (told["steps"], told["images"]) == (60, 960)
    assert told["hours"] > 0
    assert (trainer.step, trainer.images) == (65, 1040), "counted on from what the exported generator had"
    assert moments_apart(trainer.generator, network, pictures) < 0.6 * before


def test_the_measures_map_takes_no_part(squeezenet):
    """Another last map: the same features."""
    features = measuring.SqueezeFeatures(squeezenet)
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    before, measured = matching.seen(features.network, images), features(images)
    with torch.no_grad():
        for parameter in features.network[12].parameters():
            parameter.add_(0.1)
    assert not torch.allclose(features(images), measured)
    for a, b in zip(before, matching.seen(features.network, images), strict=True):
        assert torch.equal(a, b)


def test_a_class_remembers_what_its_last_pictures_were_apart_by(exported, squeezenet, enlarger, shard):
    network = measuring.SqueezeFeatures(squeezenet).network
    trainer = begun(exported)
    trainer.settings["matching"]["memory"] = 0.8
    networks.hold_norms(trainer.generator)
    lessons = matching.make_lessons(trainer, network, enlarger, training.Pictures([shard]))
    matcher = matching.Matcher(trainer, network, lessons)
    index = torch.arange(4)
    own = lessons.pictures.images[2, index].float() / 127.5 - 1
    pairs, together = matcher.moments(own, 2, index, 1)
    assert max(pairs.item(), together.item()) < 1e-3, "the pictures themselves"
    assert matcher.met.tolist() == [label == 2 for label in range(16)]
    _, first = matcher.moments(-own, 3, index, 1)
    kept = matcher.apart[0][0][:, 3].clone()
    matcher.moments(lessons.pictures.images[3, index].float() / 127.5 - 1, 3, index, 1)
    assert first.item() > 0.1
    assert torch.allclose(matcher.apart[0][0][:, 3], 0.8 * kept, atol=1e-2 * kept.abs().max().item())


def test_workers_are_of_different_classes_and_steps_of_all(exported, squeezenet, enlarger, shard):
    network = measuring.SqueezeFeatures(squeezenet).network
    trainer = begun(exported)
    lessons = matching.make_lessons(trainer, network, enlarger, training.Pictures([shard]))
    matcher = matching.Matcher(trainer, network, lessons)
    drawn = [[matcher.draw(step, worker) for worker in range(2)] for step in range(60)]
    assert all(a[0] != b[0] for a, b in drawn)
    assert {label for step in drawn for label, *_ in step} == set(range(16))
    label, index, place, mixtures = matcher.draw(7, 1)
    again = matcher.draw(7, 1)
    assert (label, place) == (again[0], again[2])
    assert torch.equal(index, again[1])
    assert torch.equal(mixtures, again[3])
    assert (len(index), len(mixtures)) == (8, 3)


def test_a_killed_matching_goes_on_to_the_same_weights(exported, squeezenet, enlarger, shard, tmp_path, monkeypatch):
    network = measuring.SqueezeFeatures(squeezenet).network
    settings = ["train.matching.steps=8", "train.checkpoint_seconds=0", "train.workers=1"]
    whole = begun(exported, *settings)
    run(whole, network, enlarger, shard, tmp_path / "whole")
    advance, killed = matching.Matcher.advance, begun(exported, *settings)

    def dying(self, rate):
        if self.trainer.step == 5 + 5:
            raise KeyboardInterrupt
        return advance(self, rate)

    monkeypatch.setattr(matching.Matcher, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        run(killed, network, enlarger, shard, tmp_path / "killed")
    monkeypatch.setattr(matching.Matcher, "advance", advance)
    other = begun(exported, *settings)
    told = run(other, network, enlarger, shard, tmp_path / "killed")
    assert (other.step, told["steps"]) == (13, 8)
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, other.average.state_dict()[name]), name


@pytest.mark.parametrize("other", ["script", "begun"])
def test_a_checkpoint_of_another_training_is_refused(exported, other, tmp_path):
    trainer = begun(exported)
    training.write_checkpoint(trainer, {"met": 1}, trainer.step, tmp_path)
    assert training.resume(trainer, trainer.step, tmp_path) == {"met": 1}
    if other == "script":
        trainer.settings["script"] = "enlarge"
    with pytest.raises(ValueError, match=r"checkpoint\.pt is of another training: remove it"):
        training.resume(trainer, trainer.step + (other == "begun"), tmp_path)


def test_only_a_generator_of_the_same_form_is_gone_on_with(exported):
    wider = trainer_of("generator.channel_width=8")
    with pytest.raises(ValueError, match=r"exported\d* has not the form of generator="):
        matching.begin(wider, exported)


@pytest.mark.parametrize("way", ["match", "enlarge"])
def test_what_cannot_begin_is_refused_before_it_begins(way):
    def refused(*overrides):
        return composing.refusal(compose_settings([f"train={way}", *overrides])["train"])

    assert refused() == "train.begin_from is null: give the folder of an exported generator"
    assert refused("train.begin_from=f", "train.device=cuda").startswith("train.device=cuda: ")
    assert refused("train.begin_from=f") is None


def test_only_the_corners_are_compared_by_their_distance():
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, 2:-2] = images[:, :, :, 2:-2] = 1.0
    assert matching.corners_distance(images, torch.zeros_like(images)) == 0
    images[:, :, -1, 0] = 1.0
    assert matching.corners_distance(images, torch.zeros_like(images)) == pytest.approx(1 / 16)


def test_corners_weigh_in_a_step(exported, squeezenet, enlarger, shard):
    network = measuring.SqueezeFeatures(squeezenet).network
    trainer = begun(exported)
    lessons = matching.make_lessons(trainer, network, enlarger, training.Pictures([shard]))

    def gradients(weight):
        trainer.settings["matching"]["weight_corners"] = weight
        return matching.Matcher(trainer, network, lessons).part(0, 0)[0]

    light, heavy = gradients(0.0), gradients(3.0)
    assert not all(torch.equal(a, b) for a, b in zip(light, heavy, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(light, gradients(0.0), strict=True))


def test_a_classifier_that_took_no_part_measures_too(shard):
    pictures, labels = measuring.drawn([shard], 96)
    knowing = measuring.fit(measuring.classifier(16), pictures, labels, epochs=4)
    features = functools.partial(measuring.class_features, knowing)
    assert features(pictures).shape == (96, 384)
    assert torch.allclose(knowing[-1](features(pictures[:5])), knowing(pictures[:5]), atol=1e-5)
    noise = torch.rand(pictures.shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rungs = ladder(features, pictures.roll(1, 3), noise, pictures, pictures)
    assert rungs["drawn"] < 1e-3 * rungs["blurred 0.5 px"]
    assert rungs["blurred 0.5 px"] < rungs["blurred 2.0 px"] < rungs["untrained"]
    assert rungs["samples"] < rungs["untrained"]


@pytest.mark.slow
def test_what_was_matched_is_exported_and_its_samples_are_sought(exported, squeezenet, shard, tmp_path):
    training_folder, out = tmp_path / "training", tmp_path / "out"

    def script(name, *words):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'workflow/scripts'}"}
        command = [sys.executable, "-m", f"study.scripts.{name}", *map(str, words)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)

    overrides = [*SMALL, f"train.begin_from={exported}", "train.matching.steps=10"]
    script("match", "--pictures", shard, "--folder", training_folder, "--squeezenet", squeezenet, *overrides)
    record = json.loads((training_folder / "record.json").read_text())
    assert (record["script"], record["grown"], record["steps"], record["matched"]["steps"]) == ("match", False, 15, 10)
    assert not (training_folder / "checkpoint.pt").exists(), "the next one begins from what is exported"
    script("export", "--checkpoint", training_folder / "final.pt", "--folder", out, "--samples", 64, *overrides)
    before, after = (load_file(folder / "generator.safetensors") for folder in (exported, out))
    for name in (name for name in before if name.endswith(("running_means", "running_vars"))):
        assert torch.allclose(before[name][-1], after[name][-1], atol=1e-6), "the row that it was matched with"
    name = "generator.layers.2.bn_1.running_vars"
    assert (before[name][10] != after[name][10]).any()
    picture, optimizer = ROOT / "resources/study/target.png", ROOT / "config/optimizer/adam.yaml"
    options = ["--squeezenet", squeezenet, "--painting", picture, "--optimizer", optimizer, "--steps", 3, "--count", 2]
    files = ["--output", tmp_path / "recovery.json", "--pictures", tmp_path / "recovery.jpg"]
    script("recover", "--generator", out, *options, *files)
    recovery = json.loads((tmp_path / "recovery.json").read_text())
    assert len(recovery["recovered"]) == len(recovery["painting"]) == 2
    assert recovery["steps"] == 3
