"""LPIPS equals the package's value, from any form of backbone file, and never has a gradient that is not finite."""

import os
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F

from approach.errors import UserError
from approach.losses.perceptual import NETS, Perceptual
from approach.torchvision_guard import import_torchvision

import_torchvision()
import lpips  # noqa: E402


def reference(net: str, state: dict[str, torch.Tensor], spatial: bool = False) -> lpips.LPIPS:
    """The package's own model with the same backbone."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's deprecated torchvision arguments
        model = lpips.LPIPS(net=net, pnet_rand=True, spatial=spatial, verbose=False)
    model.net.load_state_dict({name: state[name.split(".", 1)[1]] for name in model.net.state_dict()})
    return model.eval()


def pictures(*seeds, size=64, dtype=torch.float32) -> torch.Tensor:
    """Smooth seeded images [N, 3, size, size] in [-1, 1]."""
    coarse = [torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return F.interpolate(torch.cat(coarse) * 2 - 1, size=size, mode="bicubic").clamp(-1, 1).to(dtype)


@pytest.mark.parametrize("net", NETS)
def test_equal_to_the_package(net, backbones):
    path = backbones[net]
    state = torch.load(path, weights_only=True)
    ours, theirs = Perceptual(net, path), reference(net, state)
    a, b = pictures(0, 1), pictures(2, 3)
    with torch.no_grad():
        expected = theirs(a, b).flatten()
        torch.testing.assert_close(ours.distance(a, b), expected, rtol=1e-5, atol=1e-5)
        kept = ours.features(b[:1])  # a target's features, computed once
        torch.testing.assert_close(ours.distance(a, kept), theirs(a, b[:1]).flatten(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            ours.spatial(a, b, 64), reference(net, state, spatial=True)(a, b), rtol=1e-5, atol=1e-5
        )
    assert expected.min() > 0.01, "the test proves something"


def test_the_real_squeezenet(weights):
    path = weights["backbone"]
    ours, theirs = Perceptual("squeeze", path), reference("squeeze", torch.load(path, weights_only=True))
    a, b = pictures(0, 1, size=128), pictures(2, 3, size=128)
    with torch.no_grad():
        torch.testing.assert_close(ours.distance(a, b), theirs(a, b).flatten(), rtol=1e-5, atol=1e-5)
        assert ours.distance(a, a).abs().max() == 0


def test_frozen_and_without_dropout(backbones):
    ours = Perceptual("squeeze", backbones["squeeze"])
    assert not any(parameter.requires_grad for parameter in ours.parameters())
    assert not any(module.training for module in ours.modules())
    ours.train()  # whatever a caller does
    a, b = pictures(0), pictures(1)
    assert ours.distance(a, b).item() == ours.distance(a, b).item()


def test_the_callers_random_state_is_untouched(backbones):
    before = torch.get_rng_state()
    Perceptual("squeeze", backbones["squeeze"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("net", NETS)
def test_gradients_are_finite_on_flat_images_and_at_equality(net, backbones):
    ours = Perceptual(net, backbones[net])
    flat = torch.zeros(1, 3, 64, 64)
    dead = ours.features(flat)
    for images in (flat.clone(), pictures(1)):
        images.requires_grad_()
        ours.distance(images, dead).sum().backward()
        assert images.grad.isfinite().all()
    maps = [torch.zeros(1, m.shape[1], 2, 2, requires_grad=True) for m in dead]  # every channel 0: sqrt's own pole
    from approach.losses.perceptual import _unit  # noqa: PLC0415

    sum(_unit(m).sum() for m in maps).backward()
    assert all(m.grad.isfinite().all() for m in maps)


def test_one_images_value_does_not_depend_on_its_batch(backbones):
    ours = Perceptual("squeeze", backbones["squeeze"], dtype=torch.float64)
    images, target = pictures(0, 1, 2, 3), ours.features(pictures(9))
    together = ours.distance(images, target)
    assert together.dtype == torch.float64
    alone = torch.cat([ours.distance(image[None], target) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_bfloat16_is_near_and_comes_back_in_float32(backbones):
    path = backbones["squeeze"]
    a, b = pictures(0), pictures(1)
    rough = Perceptual("squeeze", path, dtype=torch.bfloat16).distance(a, b)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, Perceptual("squeeze", path).distance(a, b), rtol=0.05, atol=0.01)


def test_every_form_of_backbone_file(backbones, tmp_path, caplog):
    path = backbones["squeeze"]
    state = torch.load(path, weights_only=True)
    whole = {f"features.{name}": value for name, value in state.items()}
    whole |= {"classifier.1.weight": torch.zeros(10, 512, 1, 1), "classifier.1.bias": torch.zeros(10)}
    torch.save(whole, tmp_path / "whole.pth")
    a, b = pictures(0), pictures(1)
    expected = Perceptual("squeeze", path).distance(a, b)
    assert torch.equal(Perceptual("squeeze", tmp_path / "whole.pth").distance(a, b), expected)
    assert caplog.text == ""
    torch.save(state | {"99.weight": torch.zeros(1)}, tmp_path / "more.pth")
    assert torch.equal(Perceptual("squeeze", tmp_path / "more.pth").distance(a, b), expected)
    assert "99.weight" in caplog.text


def test_wrong_backbones_are_one_line(backbones, tmp_path):
    path = backbones["squeeze"]
    state = torch.load(path, weights_only=True)

    def refused(file, pattern, net="squeeze"):
        with pytest.raises(UserError, match=pattern) as error:
            Perceptual(net, file)
        assert "\n" not in str(error.value)

    refused(tmp_path / "missing.pth", "no such LPIPS weights")
    refused(tmp_path, "no such LPIPS weights")
    (tmp_path / "text.pth").write_text("not weights")
    refused(tmp_path / "text.pth", "not readable as LPIPS weights")
    (tmp_path / "half.pth").write_bytes(path.read_bytes()[:5000])
    refused(tmp_path / "half.pth", "not readable as LPIPS weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    refused(tmp_path / "empty.pth", "not readable as LPIPS weights")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(tmp_path / "list.pth", "not a state dict")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "pickle.pth")
    refused(tmp_path / "pickle.pth", "not readable as LPIPS weights")
    refused(path, "lacks .*another network", net="alex")
    torch.save(state | {"0.weight": torch.zeros(64, 3, 5, 5)}, tmp_path / "shape.pth")
    refused(tmp_path / "shape.pth", r"0.weight has shape \(64, 3, 5, 5\), not \(64, 3, 3, 3\)")
    refused(path, "must be one of squeeze, alex, vgg", net="resnet")


GUARD = """
import sys
from approach.torchvision_guard import _declared, import_torchvision
torchvision = import_torchvision()
assert import_torchvision() is torchvision
import lpips, piq
from torchvision import models
assert models.SqueezeNet1_1_Weights.DEFAULT.url
healthy = torchvision.extension._has_ops()
assert bool(_declared) == (not healthy), "declared beside a healthy torchvision, or not beside a broken one"
"""


def test_torchvision_is_imported_whatever_its_operators(root):
    result = subprocess.run([sys.executable, "-c", GUARD], cwd=root / "workflow" / "scripts", check=False)
    assert result.returncode == 0


def test_a_healthy_torchvision_is_left_alone_and_other_failures_pass(root, tmp_path):
    for text, name in (("healthy = True", "fine"), ("raise RuntimeError('something else')", "broken")):
        (tmp_path / name / "torchvision").mkdir(parents=True)
        (tmp_path / name / "torchvision" / "__init__.py").write_text(text)
    code = "from approach import torchvision_guard as g; assert g.import_torchvision().healthy; assert not g._declared"
    paths = str(root / "workflow" / "scripts")
    for name, expected in (("fine", ""), ("broken", "RuntimeError: something else")):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / name), paths])}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert result.stderr.strip().endswith(expected)
        assert (result.returncode == 0) == (not expected)
