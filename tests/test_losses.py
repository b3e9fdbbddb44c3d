"""What every loss promises: per image, zero at the target, blind to padding, a finite gradient."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from approach.errors import UserError
from approach.losses import discriminator as discriminators
from approach.losses.loading import open_loss
from approach.losses.losses import _SSIM_WEIGHTS, KINDS, build_loss
from approach.losses.metrics import METRICS, measure
from approach.losses.perceptual import Perceptual
from approach.target import Target, read_target
from approach.torchvision_guard import import_torchvision

import_torchvision()
import piq  # noqa: E402
from torchvision.models import squeezenet1_1  # noqa: E402

DOUBLE = torch.float64


def pictures(*seeds, size=64, dtype=torch.float32) -> torch.Tensor:
    """Smooth seeded images [N, 3, size, size] in [-1, 1]."""
    coarse = [torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return F.interpolate(torch.cat(coarse) * 2 - 1, size=size, mode="bicubic").clamp(-1, 1).to(dtype)


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    """A SqueezeNet with seeded weights."""
    path = tmp_path_factory.mktemp("lpips") / "squeeze.pth"
    with torch.random.fork_rng():
        torch.manual_seed(5)
        torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def perceptual(backbone_file):
    """LPIPS on that SqueezeNet."""
    return Perceptual("squeeze", backbone_file, dtype=DOUBLE)


class Discriminator:
    """Two strided convolutions with seeded weights, as a discriminator has them."""

    def __init__(self):
        generator = torch.Generator().manual_seed(3)
        self.first = torch.randn(8, 3, 4, 4, generator=generator, dtype=DOUBLE) / 7
        self.second = torch.randn(16, 8, 4, 4, generator=generator, dtype=DOUBLE) / 11

    def features(self, images):
        a = F.leaky_relu(F.conv2d(images, self.first, stride=2, padding=1), 0.2)
        return [a, F.conv2d(a, self.second, stride=2, padding=1)]


def target_of(size=64, seen=slice(None)) -> Target:
    """A target whose rows ``seen`` are seen, the rest padding."""
    mask = torch.zeros(1, size, size)
    mask[:, seen] = 1
    return Target(pictures(9, size=size)[0], mask)


@pytest.fixture
def make(perceptual):
    def make(kind, target=None, **options):
        loss = {"name": kind, "terms": {kind: 1.0}}
        return build_loss(
            loss,
            target or target_of(),
            perceptual=perceptual,
            discriminator=Discriminator(),
            **{"dtype": DOUBLE} | options,
        )

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_zero_at_the_target_and_positive_elsewhere_with_finite_gradients(kind, make):
    loss = make(kind)
    images = torch.cat([target_of().pixels[None], pictures(0, 1), torch.ones(1, 3, 64, 64), -target_of().pixels[None]])
    images = images.to(DOUBLE).requires_grad_()
    total, terms = loss(images)
    assert total.shape == (5,)
    assert abs(total[0].item()) < 1e-9
    assert (total[1:] > 1e-3).all()
    assert torch.equal(total, terms[kind])
    total.sum().backward()
    assert images.grad.isfinite().all()
    assert all(gradient.abs().max() > 0 for gradient in images.grad[1:3])


@pytest.mark.parametrize("kind", KINDS)
def test_one_images_value_does_not_depend_on_its_batch(kind, make):
    loss = make(kind)
    images = pictures(0, 1, 2, 3, dtype=DOUBLE)
    alone = torch.cat([loss(image[None]).total for image in images])
    torch.testing.assert_close(loss(images).total, alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_neither_loss_nor_gradient(kind, make):
    seen = slice(16, 48)
    loss = make(kind, target_of(seen=seen))
    images = pictures(0, 1, dtype=DOUBLE)
    other = pictures(5, 6, dtype=DOUBLE)
    other[:, :, seen] = images[:, :, seen]
    broken = other.clone()
    broken[:, :, 3] = torch.nan
    values, gradients = [], []
    for batch in (images, other, broken):
        batch.requires_grad_()
        total = loss(batch).total
        values.append(total.detach())
        gradients.append(torch.autograd.grad(total.sum(), batch)[0])
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        assert torch.equal(value, values[0])
        assert torch.equal(gradient, gradients[0])
    assert (gradients[0][:, :, :16] == 0).all()
    assert (gradients[0][:, :, seen] != 0).any()
    at_target = target_of().pixels.to(DOUBLE)[None].clone()
    at_target[:, :, 48:] = 0.7
    assert loss(at_target).total.abs().item() < 1e-9


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_the_mean_is_taken_over_what_is_seen(kind, make):
    images = pictures(0, dtype=DOUBLE)
    crop = Target(target_of().pixels[:, 16:48, 16:48], torch.ones(1, 32, 32))
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1
    masked = make(kind, Target(target_of().pixels, mask))(images).total
    torch.testing.assert_close(masked, make(kind, crop)(images[:, :, 16:48, 16:48]).total)


def test_the_plain_values(make):
    target = Target(torch.zeros(3, 64, 64), torch.ones(1, 64, 64))
    images = torch.full((1, 3, 64, 64), -0.5, dtype=DOUBLE)
    values = {kind: make(kind, target)(images).total.item() for kind in ("l1", "l2", "pyramid")}
    assert values == pytest.approx({"l1": 0.5, "l2": 0.25, "pyramid": 0.5})


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize("kind", ["pyramid", "ssim"])
def test_every_size(kind, size, make):
    loss = make(kind, target_of(size), dtype=torch.float32)
    images = pictures(0, size=size).requires_grad_()
    total = loss(images).total
    total.sum().backward()
    assert 0.01 < total.item() < 3
    assert images.grad.isfinite().all()


@pytest.mark.parametrize(("size", "scales"), [(64, 3), (128, 4), (256, 5)])
def test_ssim_is_the_librarys_where_that_has_a_gradient(size, scales, make):
    target = target_of(size)
    images = 0.7 * target.pixels[None] + 0.3 * pictures(1, size=size)
    expected = piq.multi_scale_ssim(
        (images + 1) / 2,
        (target.pixels[None] + 1) / 2,
        reduction="none",
        scale_weights=torch.tensor(_SSIM_WEIGHTS[:scales]),
    )
    torch.testing.assert_close(make("ssim", target, dtype=torch.float32)(images).total, 1 - expected)


def test_ssim_can_leave_an_anti_correlated_start(make):
    target = target_of()
    images = -target.pixels[None]
    loss = make("ssim", target, dtype=torch.float32)
    begin = loss(images).total.item()
    for _ in range(4):
        images.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(images).total.sum(), images)
        images = (images - 0.05 * gradient.sign()).detach()  # as Adam's first steps
    assert loss(images).total.item() < begin - 2e-4


def test_a_nan_image_leaves_the_others_alone(make):
    for kind in KINDS:
        loss = make(kind)
        images = pictures(0, 1, 2, dtype=DOUBLE)
        expected = loss(images).total
        images[1, 0, 5, 5] = torch.nan
        total = loss(images).total
        assert torch.equal(total[[0, 2]].isfinite(), torch.tensor([True, True]))
        torch.testing.assert_close(total[[0, 2]], expected[[0, 2]], rtol=0, atol=1e-9)


def test_a_mix_is_the_weighted_sum(make, perceptual):
    mix = {"name": "mix", "terms": {"l1": 2.0, "lpips": 10.0}}
    images = pictures(0, 1, dtype=DOUBLE)
    total, terms = build_loss(mix, target_of(), perceptual=perceptual, dtype=DOUBLE)(images)
    assert list(terms) == ["l1", "lpips"]
    torch.testing.assert_close(total, 2 * terms["l1"] + 10 * terms["lpips"])
    torch.testing.assert_close(terms["l1"], make("l1")(images).total)


def test_the_targets_side_is_computed_once(perceptual):
    calls = []
    real = Discriminator()
    discriminator = SimpleNamespace(features=lambda images: calls.append(len(images)) or real.features(images))
    loss = build_loss(
        {"name": "discriminator", "terms": {"discriminator": 1.0}},
        target_of(),
        discriminator=discriminator,
        dtype=DOUBLE,
    )
    loss(pictures(0, 1, 2, dtype=DOUBLE))
    loss(pictures(0, 1, 2, dtype=DOUBLE))
    assert calls == [1, 3, 3]


@pytest.mark.parametrize(
    ("terms", "pattern"),
    [
        ({"l3": 1}, "unknown term l3; known are l1, l2"),
        ({}, "has no terms"),
        ({"lpips": 1}, "needs a perceptual network"),
        ({"discriminator": 1}, "only the embedded generators"),
    ],
)
def test_wrong_configurations_are_one_line(terms, pattern):
    with pytest.raises(UserError, match=pattern):
        build_loss({"name": "mine", "terms": terms}, target_of())


def test_images_of_another_size_are_not_broadcast(make):
    with pytest.raises(ValueError, match="do not fit"):
        make("l1")(torch.zeros(2, 3, 1, 1))


def test_metrics_are_the_losses_of_their_names(make, perceptual):
    images = pictures(0, 1, dtype=DOUBLE).requires_grad_()
    values = measure(images, target_of(), METRICS, perceptual)
    assert list(values) == ["l2", "ssim", "lpips"]
    for name, value in values.items():
        assert not value.requires_grad
        torch.testing.assert_close(value, make(name)(images).total.detach())
    assert list(measure(images.float(), target_of(), ["ssim"])) == ["ssim"]
    assert measure(images, target_of(), []) == {}
    with pytest.raises(ValueError, match="unknown metric"):
        measure(images, target_of(), ["psnr"])


def test_a_discriminator_of_a_size_sees_larger_images_reduced_to_it():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = discriminators.Discriminator([4, 8], 5, size=32).requires_grad_(False)
    images = pictures(0, 1)
    small = torch.nn.functional.avg_pool2d(images, 2)
    assert images.shape[2] == 64
    for seen, reduced in zip(network.features(images), network.features(small), strict=True):
        torch.testing.assert_close(seen, reduced)
    network.size = None
    assert [len(maps[0, 0]) for maps in network.features(images)] == [32, 16]


def test_a_loss_is_opened_from_a_rules_files(tmp_path, backbone_file):
    loss = {"name": "mix", "terms": {"l1": 1.0, "lpips": 2.0, "discriminator": 1.0}}
    pixels = ((pictures(9)[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8)
    Image.fromarray(pixels.numpy()).convert("RGBA").save(tmp_path / "target.png")
    shape = {"channels": [4, 8], "num_classes": 5}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = discriminators.Discriminator(**shape)
    save_file(network.state_dict(), tmp_path / "discriminator.safetensors")
    (tmp_path / "discriminator.json").write_text(json.dumps(shape))
    files = {"target": tmp_path / "target.png", "backbone": backbone_file, "class_names": None}
    files["discriminator"] = tmp_path / "discriminator.safetensors"
    files["discriminator_config"] = tmp_path / "discriminator.json"
    opened = open_loss(loss, files, "squeeze", "cpu", "float64")
    network = discriminators.load_discriminator(files["discriminator"], tmp_path / "discriminator.json")
    built = build_loss(
        loss,
        read_target(tmp_path / "target.png"),
        perceptual=Perceptual("squeeze", backbone_file, dtype=DOUBLE),
        discriminator=discriminators.load_discriminator(
            files["discriminator"], tmp_path / "discriminator.json"
        ).double(),
        dtype=DOUBLE,
    )
    images = pictures(0, 1, dtype=DOUBLE)
    assert torch.equal(opened(images).total, built(images).total)
    plain = open_loss({"name": "l1", "terms": {"l1": 1.0}}, {"target": files["target"]}, None, "cpu")
    assert plain(images).total.dtype == torch.float32
    with pytest.raises(UserError, match="needs a perceptual network"):
        open_loss(loss, {"target": files["target"]}, "squeeze", "cpu")
