"""Training goes on after a kill as if nothing had been; what it exports is a BigGAN."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_pretrained_biggan import BigGAN, BigGANConfig
from safetensors.torch import load_file

from helpers.paths import ROOT, SNAKEMAKE

sys.path.insert(0, str(ROOT))
from approach.biggan.config import read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.errors import UserError
from approach.losses.discriminator import Discriminator, load_discriminator
from approach.sources import sha256_of
from study import exporting, measuring, networks, painter, training
from study.composing import compose_settings

TINY = {
    "output_dim": 16,
    "z_dim": 128,
    "class_embed_dim": 128,
    "channel_width": 4,
    "num_classes": 16,
    "layers": [[True, 16, 8], [False, 8, 4], [True, 4, 2], [False, 2, 1]],
    "attention_layer_position": 1,
    "eps": 1e-4,
    "n_stats": 51,
}
OVERRIDES = [
    "generator.output_dim=16",
    "generator.channel_width=4",
    "generator.layers=[[true,16,8],[false,8,4],[true,4,2],[false,2,1]]",
    "generator.attention_layer_position=1",
    "discriminator.channels=[4,8]",
    "train.images=400",
    "train.coarse_lessons=96",
    "train.coarse_layers=1",
    "train.lessons=192",
    "train.steady_from=256",
    "train.steady_every=4",
    "train.steady_samples=64",
    "train.batch=16",
    "train.bfloat16=false",
    "train.compile=false",
    "train.checkpoint_seconds=0",
]


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "train-000.npz"
    z = painter.normal(torch.Generator().manual_seed(0), 32, 128).view(16, 2, 128)
    pictures = np.stack([painter.paint(label, z[label], 0, size=16).numpy() for label in range(16)])
    np.savez(path, pictures=pictures, latents=z.numpy())
    return path


def training_run(shard, folder):
    command = [
        sys.executable,
        "-m",
        "study.scripts.train",
        "--pictures",
        str(shard),
        "--folder",
        str(folder),
        *OVERRIDES,
    ]
    library = str(ROOT / "workflow" / "scripts")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": library}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd=ROOT)


def finished(process):
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()[-3000:]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(shard, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finished(training_run(shard, whole))
    process = training_run(shard, killed)
    while process.poll() is None and not (killed / "checkpoint.pt").exists():
        time.sleep(0.02)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    assert not (killed / "final.pt").exists(), "it ended before it was killed"
    finished(training_run(shard, killed))
    ends = [torch.load(folder / "final.pt", weights_only=True) for folder in (whole, killed)]
    assert ends[0]["step"] == ends[1]["step"] == 25
    for network in ("generator", "discriminator", "average"):
        for name, tensor in ends[0][network].items():
            assert torch.equal(tensor, ends[1][network][name]), (network, name)
    steps = [
        [row.split(",")[0] for row in (folder / "curves.csv").read_text().splitlines()] for folder in (whole, killed)
    ]
    assert steps[0] == steps[1]


def test_a_generator_that_the_pipeline_cannot_load_is_refused_before_the_first_step(tmp_path):
    for config in sorted((ROOT / "study" / "config" / "generator").glob("*.yaml")):
        (tmp_path / "config.json").write_text(json.dumps(OmegaConf.to_container(OmegaConf.load(config))))
        assert read_config(tmp_path / "config.json").output_dim in (64, 128)
    leap = "generator.layers=[[true,16,8],[false,8,4],[true,4,1]]"  # a block keeps its width or halves it
    command = [sys.executable, "-m", "study.scripts.train", "--pictures", "none.npz", "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    run = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    said = subprocess.run([*command, *OVERRIDES, leap], check=False, **run)
    assert said.returncode and "layer 2 does not fit its neighbours" in said.stderr


@pytest.mark.slow
def test_without_a_checkpoint_training_goes_on_from_what_was_exported(shard, tmp_path):
    overrides = [*OVERRIDES, f"train.begin_from={tmp_path}", "train.images=332"]
    config = compose_settings(overrides)
    networks_of = config["generator"], config["discriminator"], config["train"]
    first = training.Trainer(*networks_of)
    exporting.export(
        first.average,
        first.discriminator.as_discriminator(),
        config["discriminator"],
        tmp_path,
        samples=64,
        steps=20,
        images=300,
        seconds=7.5,
    )
    second = training.Trainer(*networks_of)
    second.begin_from(tmp_path)
    assert (second.step, second.images, second.seconds) == (20, 300, 7.5), "images are not steps times a batch"
    for mine, theirs in zip(second.generator.parameters(), first.average.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    stored = first.discriminator.score.weight_orig.half().float()  # linear maps are stored in half precision
    assert torch.equal(second.discriminator.score.weight_orig, stored)
    training.train(second, training.Pictures([shard]), tmp_path / "training")
    record = json.loads((tmp_path / "training" / "record.json").read_text())
    assert record["steps"] == 22 and record["images"] == 332 and record["hours"] > 7.5 / 3600
    assert not torch.equal(second.generator.embeddings.weight, first.average.embeddings.weight)


def composed(*overrides):
    return compose_settings([*OVERRIDES, *overrides])


def trainer_of(*overrides, perceptual=None):
    config = composed(*overrides)
    return training.Trainer(config["generator"], config["discriminator"], config["train"], perceptual)


GROWN = [  # between and behind the blocks of OVERRIDES: one new, and the last of them up-samples
    "generator.output_dim=32",
    "generator.layers=[[true,16,8],[false,8,4],[false,4,4],[true,4,2],[true,2,1]]",
    "discriminator.channels=[6,4,8]",
]


def test_a_larger_generator_grows_from_an_exported_one_and_says_what_is_new(tmp_path, caplog):
    small = trainer_of()
    exporting.export(
        small.averaged(),
        small.discriminator.as_discriminator(),
        small.discriminator_config,
        tmp_path,
        samples=64,
        steps=20,
        images=300,
    )
    large, untouched = trainer_of(*GROWN, "train.seed=5"), trainer_of(*GROWN, "train.seed=5")
    with caplog.at_level("INFO", "train"):
        large.begin_from(tmp_path)
    assert (large.step, large.images, large.seconds) == (0, 0, 0), "it begins with lessons of its own"

    old, mine, before = exporting.read_export(tmp_path), large.generator.state_dict(), untouched.generator.state_dict()
    moved = {"0": "0", "1": "1", "2": "2", "3": None, "4": "3", "5": "4"}  # 1 is the attention
    for name, tensor in mine.items():
        if name.endswith(("weight_u", "weight_v")):
            continue  # iterated
        layer = name.split(".")[2] if name.startswith("generator.layers.") else None
        if layer and moved[layer] is None:
            assert torch.equal(tensor, before[name]), name
        else:
            was = name.replace(f"layers.{layer}.", f"layers.{moved[layer]}.") if layer else name
            assert torch.equal(tensor, old.generator[was]), name
    assert torch.equal(large.average.generator.conv_to_rgb.weight(), large.generator.generator.conv_to_rgb.weight())
    judge = large.discriminator.state_dict()
    assert torch.equal(judge["blocks.2.conv_0.weight_orig"], old.discriminator["blocks.1.conv_0.weight_orig"])
    assert torch.equal(judge["score.weight_orig"], old.discriminator["score.weight_orig"])

    said = {line.split(" from ")[0]: line.split("made new: ")[1] for line in caplog.messages}
    count = sum(name.startswith("generator.layers.3.") for name in mine)
    assert said["generator"] == f"generator.layers.3 ({count} tensors)"
    assert [part.split(" (")[0] for part in said["discriminator"].split("), ")] == [
        "blocks.0",
        "blocks.1",
        "latents",
        "places.0",
        "places.1",
    ]


def test_what_stands_before_the_first_new_block_learns_slowly_in_the_lessons(tmp_path):
    small = trainer_of()
    exporting.export(
        small.averaged(), small.discriminator.as_discriminator(), small.discriminator_config, tmp_path, samples=64
    )
    large = trainer_of(*GROWN, "train.coarse_lessons=0", "train.lessons=16", "train.steady_from=1000")
    large.begin_from(tmp_path)
    z = painter.normal(torch.Generator().manual_seed(0), 32, 128).view(16, 2, 128).numpy()
    drawn = np.random.default_rng(0).integers(0, 256, (16, 2, 3, 32, 32), np.uint8)
    np.savez(tmp_path / "shard.npz", pictures=drawn, latents=z)
    pictures = training.Pictures([tmp_path / "shard.npz"])
    begun = {name: tensor.clone() for name, tensor in large.generator.named_parameters()}
    large.advance(pictures)
    rates = [group["lr"] for group in large.generator_optimizer.param_groups]
    slow, fast = large.settings["lr_kept"], large.settings["lr_lessons"]
    for (name, tensor), rate in zip(large.generator.named_parameters(), rates, strict=True):
        kept = name.startswith(("embeddings", "generator.gen_z", *(f"generator.layers.{k}." for k in range(3))))
        assert rate == (slow if kept else fast), name
        step = (tensor - begun[name]).abs().max()
        assert step <= 1.01 * rate, "Adam's first step is the rate"

    again = trainer_of(*GROWN, "train.coarse_lessons=0", "train.lessons=64", "train.steady_from=1000")
    again.restore(large.state())
    again.advance(pictures)
    assert [group["lr"] for group in again.generator_optimizer.param_groups] == rates, "the checkpoint knows"
    large.advance(pictures)
    assert {group["lr"] for group in large.generator_optimizer.param_groups} == {large.settings["lr_generator"]}


def test_a_new_discriminator_learns_alone_before_the_generator_listens(shard):
    trainer = trainer_of("train.coarse_lessons=0", "train.lessons=0", "train.discriminator_alone=32")
    pictures, networks_of = training.Pictures([shard]), (trainer.generator, trainer.discriminator)
    for alone in (True, True, False):
        before = [[parameter.clone() for parameter in network.parameters()] for network in networks_of]
        trainer.advance(pictures)
        still = [
            all(torch.equal(a, b) for a, b in zip(old, network.parameters(), strict=True))
            for old, network in zip(before, networks_of, strict=True)
        ]
        assert still == [alone, False]
    assert trainer.images == 48


def test_the_generator_begins_to_listen_with_small_steps(shard):
    trainer = trainer_of("train.coarse_lessons=0", "train.lessons=0", "train.discriminator_alone=16", "train.ramp=64")
    pictures, full = training.Pictures([shard]), trainer.settings["lr_generator"]
    rates, moves = [], []
    for _ in range(6):
        before = [parameter.clone() for parameter in trainer.generator_parameters]
        trainer.advance(pictures)
        rates.append(trainer.generator_optimizer.param_groups[0]["lr"])
        pairs = zip(before, trainer.generator_parameters, strict=True)
        moves.append(max(float((a - b).abs().max().detach()) for a, b in pairs))
    assert rates == pytest.approx([0, full / 4, full / 2, full * 3 / 4, full, full])
    assert moves[0] == 0
    assert moves[1] <= 1.01 * full / 4, "Adam's first step is the rate"


def test_a_grown_generator_is_taught_to_show_what_the_old_one_showed(tmp_path, shard):
    small = trainer_of()
    exporting.export(
        small.averaged(), small.discriminator.as_discriminator(), small.discriminator_config, tmp_path, samples=64
    )
    large = trainer_of(*GROWN, "train.weight_elder=20", "train.seed=5")
    large.begin_from(tmp_path)
    z = painter.normal(torch.Generator().manual_seed(0), 4, 128)
    classes = torch.eye(16)[:4]
    known = measuring.load(tmp_path)
    shown = known(known.conditioning(z, classes))
    fakes = F.interpolate(shown, scale_factor=2, mode="nearest")
    weave = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)
    distance, finest = large.elder_distance(fakes + 0.1 * weave, fakes + 0.3, z, classes)
    assert distance < 2e-3, "the old one by the package's own arithmetic, at the size it has"
    assert finest == pytest.approx(0.1, abs=1e-4), "the pictures teach only what is finer"
    assert large.elder_distance(fakes + 0.5, fakes, z, classes)[0] > 0.1


class Means:
    """Stands for LPIPS: the squared difference of two images' means."""

    def features(self, images):
        return images.mean((1, 2, 3))

    def distance(self, images, goal):
        return (images.mean((1, 2, 3)) - goal) ** 2


def test_lessons_and_training_take_lpips_where_it_weighs(shard):
    pictures = training.Pictures([shard])
    for lessons in (0, 1000):
        ways = []
        for weight in (0.0, 1e6):
            trainer = trainer_of(
                "train.coarse_lessons=0",
                f"train.lessons={lessons}",
                f"train.weight_lpips={weight}",
                perceptual=Means() if weight else None,
            )
            figures = dict(zip(training.COLUMNS[3:], trainer.advance(pictures), strict=True))
            assert (figures["lpips"] > 0) == (weight > 0)
            ways.append([parameter.clone() for parameter in trainer.generator_parameters])
        assert any(not torch.equal(a, b) for a, b in zip(*ways, strict=True))


def test_pairs_are_compared_whole_and_from_different_places():
    images = torch.rand(2, 3, 16, 16)
    offsets = {tuple(training.displacement(1, step)) for step in range(500)}
    assert offsets == {(a, b) for a in range(training.MARGIN + 1) for b in range(training.MARGIN + 1)}
    for top, left in ((0, 0), (training.MARGIN, 3)):
        seen = training.displaced(images, [top, left])
        assert seen.shape == (2, 3, 16 + training.MARGIN, 16 + training.MARGIN)
        y, x = training.MARGIN - top, training.MARGIN - left
        assert torch.equal(seen[:, :, y : y + 16, x : x + 16], images)


def test_a_weave_costs_something_also_where_the_colour_is_wrong():
    pictures = torch.zeros(1, 3, 32, 32)
    weave = 0.1 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float())
    plain, woven = (training.pyramid_distance(pictures + 0.5 + part, pictures) for part in (0.0, weave))
    assert woven > plain + 0.02


@pytest.mark.parametrize("able", [True, False])
def test_training_takes_bfloat16_where_the_processor_has_units_for_it(able, monkeypatch):
    with initialize_config_dir(str(ROOT / "study" / "config"), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", [*OVERRIDES, "train.bfloat16=null"]), resolve=True)
    monkeypatch.setattr(training, "has_bfloat16", lambda device: able)
    trainer = training.Trainer(config["generator"], config["discriminator"], config["train"])
    with trainer.cast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is (torch.bfloat16 if able else torch.float32)


def test_every_step_has_three_pairs_of_four(shard):
    pictures = training.Pictures([shard])
    batch = training.draw_batch(pictures, seed=1, step=7, count=8)
    again = training.draw_batch(pictures, seed=1, step=7, count=8)
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    images, classes, own, z = batch
    paired = (z == own).all(1)
    assert paired.tolist() == [True, True, True, False] * 2
    for image, label, latents in zip(images, classes.argmax(1), own, strict=True):
        at = (pictures.latents[label] == latents).all(1).nonzero().item()
        assert torch.equal(image, pictures.images[label, at].float() / 127.5 - 1)


def test_features_that_only_some_pictures_have_are_learned_by_their_mean_and_not_their_median():
    torch.manual_seed(0)
    pictures = [(torch.rand(4000, 1, 1, 1) < 0.25).float().expand(-1, 1, 4, 4)]
    guesses = torch.linspace(0, 1, 41)
    for distance, best in ((training.feature_distance, 0.0), (training.mean_distance, pictures[0].mean().item())):
        costs = torch.stack([distance([torch.full_like(pictures[0], float(guess))], pictures) for guess in guesses])
        assert abs(guesses[costs.argmin()].item() - best) <= 0.025
    maps = [torch.rand(8, 3, 4, 4)]
    moved = [maps[0].roll(1, 3)]
    assert training.mean_distance(moved, maps) < 1e-9 < training.feature_distance(moved, maps), "places do not matter"


def test_only_a_step_that_finds_its_graphs_compiled_uses_threads(shard, monkeypatch):
    with initialize_config_dir(str(ROOT / "study" / "config"), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", [*OVERRIDES, "train.lessons=0"]), resolve=True)
    trainer = training.Trainer(config["generator"], config["discriminator"], config["train"])
    trainer.settings["compile"] = True
    seen = []
    for name in ("discriminator_gradients", "generator_gradients"):
        work = getattr(trainer, name)
        monkeypatch.setattr(trainer, name, lambda *part, work=work: seen.append(threading.get_ident()) or work(*part))
    pictures, main = training.Pictures([shard]), threading.get_ident()
    trainer.advance(pictures)
    assert seen == [main] * 4, "two workers, two turns, all on the main thread"
    trainer.advance(pictures)
    assert main not in seen[4:] and len(seen) == 8


def test_a_free_linear_map_has_any_norm_and_the_packages_arithmetic():
    torch.manual_seed(0)
    layer = networks.FreeLinear(6, 4)
    networks.iterate(layer, 20)
    assert torch.allclose(torch.linalg.svdvals(layer.weight()), torch.ones(4), atol=1e-5), "begins like the others"
    with torch.no_grad():
        layer.weight_orig.mul_(torch.tensor([[3.0], [1.0], [1.0], [1.0]]))
    networks.iterate(layer)
    assert torch.allclose(torch.linalg.svdvals(layer.weight()), torch.tensor([3.0, 1, 1, 1]), atol=1e-5)
    sigma = layer.weight_u @ layer.weight_orig @ layer.weight_v
    assert torch.allclose(layer.weight_orig / sigma, layer.weight(), rtol=1e-5)
    named = networks.TrainableGenerator(TINY).named_modules()
    maps = [module for name, module in named if name.endswith((".gen_z", ".scale", ".offset"))]
    assert len(maps) > 1 and all(isinstance(module, networks.FreeLinear) for module in maps)


def test_the_discriminator_goes_out_without_its_eye_for_z():
    discriminator = networks.PairDiscriminator([4, 8], 16, z_dim=128)
    plain = discriminator.as_discriminator()
    x, classes = discriminator.features(torch.rand(4, 3, 16, 16))[-1], F.one_hot(torch.arange(4), 16).float()
    assert torch.equal(plain.judge(x, classes), discriminator.judge(x, classes))
    assert torch.equal(discriminator.judge_pair(x, classes, torch.zeros(4, 128)), discriminator.judge(x, classes))
    assert not torch.equal(discriminator.judge_pair(x, classes, torch.ones(4, 128)), discriminator.judge(x, classes))


def test_the_discriminator_judges_places_by_what_lies_around_them():
    torch.manual_seed(0)
    discriminator = networks.PairDiscriminator([4, 8, 8], 16, z_dim=128)
    images, classes = torch.rand(4, 3, 32, 32) * 2 - 1, F.one_hot(torch.arange(4), 16).float()
    altered = images.clone()
    altered[:, :, :8, :8] *= -1
    before, after = (discriminator.judge_places(discriminator.features(x), classes) for x in (images, altered))
    assert [scores.shape for scores in before] == [(4, 1, 16, 16), (4, 1, 8, 8)]
    for a, b in zip(before, after, strict=True):
        assert not torch.equal(a[:, :, 0, 0], b[:, :, 0, 0])
        assert torch.allclose(a[:, :, -1, -1], b[:, :, -1, -1], atol=1e-6)
    others = discriminator.judge_places(discriminator.features(images), classes.roll(1, 0))
    assert all(not torch.equal(a, b) for a, b in zip(before, others, strict=True))


def test_the_trained_network_is_the_packages(tmp_path):
    """With the statistics of a batch stored, the package and our loader draw what the training network draws."""
    torch.manual_seed(0)
    generator = networks.TrainableGenerator(TINY).eval()
    for parameter in generator.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    for module in generator.modules():
        if isinstance(module, networks.FreeLinear):
            module.weight_orig.data *= 1.5  # what a spectral norm would take back
    discriminator = Discriminator([4, 8], 16)
    exporting.export(
        generator, discriminator, {"channels": [4, 8], "num_classes": 16}, tmp_path, samples=networks.STATISTICS_BATCH
    )

    config = read_config(tmp_path / "config.json")
    package = BigGAN(BigGANConfig.from_json_file(str(tmp_path / "config.json"))).eval()
    state = {name: tensor.float() for name, tensor in load_file(tmp_path / "generator.safetensors").items()}
    package.load_state_dict(state)
    z = painter.normal(torch.Generator().manual_seed(0), networks.STATISTICS_BATCH, 128)
    classes = F.one_hot(torch.arange(networks.STATISTICS_BATCH) % 16, 16).float()
    ours = load_generator(read_weights(tmp_path / "generator.safetensors", config), config, truncation=1.0)
    with torch.no_grad():
        trained, theirs = generator(z, classes), package(z, classes, 1.0)
        folded = ours(ours.conditioning(z, classes))
        for layer in networks.batch_norms(generator):
            layer.steady = True
        alone = generator(z[:3], classes[:3])
    stored = load_file(tmp_path / "generator.safetensors")
    for name, tensor in stored.items():
        weight = name == "embeddings.weight" or name.endswith("weight_orig")
        assert tensor.dtype == (torch.float16 if weight else torch.float32), name
    assert (trained - theirs).abs().max() < 2e-3
    assert (trained - folded).abs().max() < 2e-3
    assert (alone - theirs[:3]).abs().max() < 2e-3


def test_a_small_move_moves_a_generator_that_was_stored_in_half_precision(tmp_path):
    """Weights are rounded once, and computed with in float32: a latent's small step is not rounded away."""
    trainer = trainer_of()
    exporting.export(
        trainer.averaged(), trainer.discriminator.as_discriminator(), trainer.discriminator_config, tmp_path, samples=64
    )
    config = read_config(tmp_path / "config.json")
    weights = read_weights(tmp_path / "generator.safetensors", config)
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())
    generator = load_generator(weights, config, truncation=1.0)
    z = painter.normal(torch.Generator().manual_seed(0), 2, 128).requires_grad_()
    classes, direction = F.one_hot(torch.arange(2), 16).float(), torch.randn(2, 128)

    def brightness(z):
        return generator(generator.conditioning(z, classes)).double().square().sum()

    (slope,) = torch.autograd.grad(brightness(z), z)
    with torch.no_grad():
        difference = (brightness(z + 1e-3 * direction) - brightness(z - 1e-3 * direction)) / 2e-3
    assert abs(difference - (slope * direction).sum()) < 0.02 * slope.norm() * direction.norm()


def test_a_steady_batch_norm_is_used_as_stored_and_learns_as_a_batchs():
    torch.manual_seed(0)
    norm, x, condition = networks.BatchNorm(6, 8, 3, 1e-5), torch.randn(5, 6, 4, 4) * 2 + 1, torch.randn(5, 8)
    networks.iterate(norm, 20)
    norm.running_means[-1], norm.running_vars[-1] = torch.randn(6), torch.rand(6) + 0.5
    gradients, outputs = [], []
    for norm.steady in (False, True):
        leaf = x.clone().requires_grad_()
        outputs.append(norm(leaf, condition))
        gradients.append(torch.autograd.grad((outputs[-1] * x**2).sum(), leaf)[0])
    as_stored = F.batch_norm(x, norm.running_means[-1], norm.running_vars[-1], eps=norm.eps)
    gain, offset = 1 + norm.scale(condition), norm.offset(condition)
    assert torch.allclose(outputs[1], as_stored * gain[:, :, None, None] + offset[:, :, None, None], atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[1], atol=0.1)
    variance = x.var((0, 2, 3), correction=0)
    ratio = ((variance + norm.eps) / (norm.running_vars[-1] + norm.eps)).sqrt()
    assert torch.allclose(gradients[1], gradients[0] * ratio[:, None, None], atol=1e-4)


def test_the_discriminator_comes_back_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    generator, discriminator = networks.TrainableGenerator(TINY), Discriminator([4, 8], 16)
    exporting.export(
        generator, discriminator, {"channels": [4, 8], "num_classes": 16}, tmp_path, samples=networks.STATISTICS_BATCH
    )
    loaded = load_discriminator(tmp_path / "discriminator.safetensors", tmp_path / "discriminator.json")
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    for mine, theirs in zip(discriminator.features(images), loaded.features(images), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    (tmp_path / "discriminator.json").write_text(json.dumps({"channels": [4, 9], "num_classes": 16}))
    with pytest.raises(UserError, match=r"does not fit"):
        load_discriminator(tmp_path / "discriminator.safetensors", tmp_path / "discriminator.json")


def test_the_embedded_generators_statistics_are_those_of_each_truncation():
    """Rows that differ by truncation; the last is the one that the weights were trained with (see the model card)."""
    state = load_file(ROOT / "resources" / "study" / "generator.safetensors")
    tables = [state[name].float() for name in state if name.endswith("running_vars")]
    apart = [[(table[row] - table[50]).abs().mean().item() for row in (10, 30, 45)] for table in tables[1:]]
    assert all(far > near > nearest > 0 for far, near, nearest in apart)


def test_the_statistics_of_the_64_px_generator_are_those_of_its_weights():
    """Rows of truncation statistics, stored and computed anew from other samples."""
    folder = ROOT / "resources" / "study64"
    state = {name: tensor.float() for name, tensor in load_file(folder / "generator.safetensors").items()}
    generator = networks.TrainableGenerator(json.loads((folder / "config.json").read_text())).eval()
    generator.load_state_dict(state)
    names = [name for name, module in generator.named_modules() if isinstance(module, networks.BatchNorm)]
    for row in (10, 30, 50):
        fresh = networks.standing_statistics(generator, row / 50, samples=2 * networks.STATISTICS_BATCH, seed=1000)
        for name, (mean, variance) in zip(names, fresh, strict=True):
            stored_mean, stored_variance = state[f"{name}.running_means"][row], state[f"{name}.running_vars"][row]
            deviation = (stored_variance.mean() + 1e-4).sqrt()
            assert (mean - stored_mean).abs().mean() < 0.1 * deviation, (row, name)
            assert (variance - stored_variance).abs().mean() < 0.25 * (stored_variance.mean() + 1e-4), (row, name)
    tables = [state[f"{name}.running_vars"] for name in names]
    assert all((table[10] - table[50]).abs().sum() > 0 for table in tables[1:]), "the rows are copies of one"


@pytest.mark.parametrize("name", ["study", "study64"])
def test_the_embedded_files_are_small_and_named(name):
    folder = ROOT / "resources" / name
    assert 0 < sum(file.stat().st_size for file in folder.glob("*.safetensors")) <= 12e6
    assert (folder / "generator.safetensors").stat().st_size <= (6e6 if name == "study64" else 7e6)
    assert json.loads((folder / "classes.json").read_text()) == painter.CLASSES


@pytest.mark.parametrize("truncation", [1.0, 0.6, 0.3])
def test_the_embedded_generator_shows_the_pictures_of_the_old_one_larger_and_sharper(truncation):
    small, large = (measuring.load(ROOT / "resources" / name, truncation) for name in ("study64", "study"))
    labels = measuring.even_labels(32, 16)
    a, b = (measuring.sample(generator, labels, seed=8) for generator in (small, large))
    assert a.shape == (32, 3, 64, 64)
    assert b.shape == (32, 3, 128, 128)
    reduced = F.avg_pool2d(b, 2)
    apart = torch.cdist(reduced.flatten(1), a.flatten(1), p=1)
    assert apart.argmin(1).tolist() == list(range(32)), "another picture"
    assert apart.diag().mean() < 0.2 * apart.mean()
    assert apart.diag().max() < 0.35 * apart.mean()
    cubic = F.interpolate(a, scale_factor=2, mode="bicubic")
    steep, soft = (images.diff(dim=3).square().mean() for images in (b, cubic))
    assert steep > 1.3 * soft, "edges are no steeper than enlarged by a cubic"


@pytest.mark.slow
def test_the_pipeline_inverts_in_the_old_generator_too(tmp_path):
    given = ["generator=study64", "loss=l2,discriminator", "steps=3", "seeds=2", "name=smaller"]
    command = [str(SNAKEMAKE), "-s", str(ROOT / "Snakefile"), "--cores", "2", "--config", *given, "hydra=films={}"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    sheets = sorted((tmp_path / "results/smaller").glob("*/montage.png"))
    assert [sheet.parent.name for sheet in sheets] == ["loss~discriminator+lr~0.4", "loss~l2+lr~0.4"]
    record = yaml.safe_load((tmp_path / "results/smaller/experiment.yaml").read_text())
    assert record["sha256"]["weights"] == sha256_of(ROOT / "resources/study64/generator.safetensors")


@pytest.mark.parametrize(
    ("target", "hydra", "missing"),
    [
        ("{resources}/generator.safetensors", "", None),
        ("{resources}/generator.safetensors", "train=grow", "squeezenet"),
        ("{resources}/generator.safetensors", "train=match", "squeezenet"),
        ("{work}/measures/figures.json", "", "squeezenet"),
        ("{work}/measures/recovery.json", "", "painting"),
    ],
)
def test_what_needs_a_file_from_outside_says_which_key_it_lacks(target, hydra, missing, tmp_path):
    keys = {key: tmp_path / key for key in ("work", "docs", "resources")}
    given = {} if missing == "squeezenet" else {"squeezenet": tmp_path / "squeezenet"}
    (tmp_path / "squeezenet").touch()
    command = [str(SNAKEMAKE), "-s", str(ROOT / "study" / "Snakefile"), "-n", "--cores", "2", target.format(**keys)]
    words = [f"{key}={value}" for key, value in {**keys, **given, "hydra": f"pictures.shards=1 {hydra}"}.items()]
    result = subprocess.run([*command, "--config", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    if missing is None:
        assert result.returncode == 0, result.stdout + result.stderr
    else:
        said = [line for line in result.stderr.splitlines() if "error" in line.lower() or "Traceback" in line]
        assert result.returncode == 1 and len(said) == 1, result.stderr
        assert said[0].startswith(f"error: --config {missing}=FILE is needed: ")


def test_the_studys_own_pipeline_is_planned(tmp_path):
    for name in ("squeezenet", "painting"):
        (tmp_path / name).touch()
    keys = [f"{key}={tmp_path / key}" for key in ("squeezenet", "painting", "work", "docs", "resources")]
    command = [str(SNAKEMAKE), "-s", str(ROOT / "study" / "Snakefile"), "-n", "--cores", "2", "--config", *keys]
    result = subprocess.run(
        [*command, "hydra=pictures.shards=3 pictures.held_out=2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines() if len(line.split()) == 2}
    assert jobs["paint"] == "5"
    assert {"train", "export", "export_untrained", "measure", "recover", "draw_sheets", "model_card"} <= jobs.keys()
