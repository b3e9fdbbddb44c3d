"""The painter: a pure function of class, latents and seed, whose latents decide what is seen."""

import sys

import pytest
import torch

from helpers.paths import ROOT

sys.path.insert(0, str(ROOT))
from study import painter


def latents(n: int, seed: int = 0) -> torch.Tensor:
    return painter.normal(torch.Generator().manual_seed(seed), n, painter.LATENTS)


def test_sixteen_kinds_of_picture_half_places_half_things():
    assert len(painter.CLASSES) == len(set(painter.CLASSES)) == len(painter.PAINTERS) == 16


@pytest.mark.parametrize("label", range(16), ids=painter.CLASSES)
def test_a_picture_is_a_pure_function(label):
    before = torch.get_rng_state()
    first, again = (painter.paint(label, latents(3), seed=5, size=32) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.float().std(dim=(1, 2, 3)).min() > 5, "a picture is flat"


def test_the_latents_decide_the_picture_and_the_seed_only_its_grain():
    z = latents(8)
    for label in range(len(painter.CLASSES)):
        one, other = (painter.paint(label, z, seed, size=32).float() for seed in (1, 2))
        grain = (one - other).abs().mean()
        assert 0 < grain < 0.6 * (one - one.roll(1, 0)).abs().mean(), painter.CLASSES[label]


def test_a_colour_follows_its_latent_without_a_leap_past_every_station():
    z = torch.zeros(401, painter.LATENTS)
    scene = painter.Scene(z, 8, torch.Generator().manual_seed(0))
    z[:, scene.drawn] = torch.linspace(-2, 2, 401)
    stations = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    points = scene.on_path(stations, torch.tensor([1, 2, 1]))
    assert (points[1:] - points[:-1]).abs().max() < 0.03
    assert torch.equal(points[0], stations[0])
    assert torch.equal(points[-1], stations[-1])
    assert torch.allclose(points[200], stations[1], atol=1e-6)
    alone = scene.on_path(stations[:1], torch.tensor([3]))
    assert torch.equal(alone, stations[:1].expand(401, 3))


def test_what_some_pictures_have_comes_in_by_a_ramp():
    latents = torch.special.ndtri(torch.linspace(0.0229, 0.9771, 801)).float().unsqueeze(1).repeat(1, 128)
    for share in (0.2, 0.4, 0.8):
        there = painter.Scene(latents, 4, torch.Generator().manual_seed(0)).chance(share).flatten()
        assert (there[1:] - there[:-1]).abs().max() < 0.02
        assert (there.min(), there.max()) == (0, 1)
        assert abs(there.mean().item() - share) < 0.01
        assert ((there > 0) & (there < 1)).float().mean() < 0.21
