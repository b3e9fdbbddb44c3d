"""Precision and compilation: what they may change, and what they must not."""

import json

import pytest
import torch
from approach import precision
from approach.errors import UserError
from approach.generator import load_generator, read_config
from approach.pointwise import missing_compiler
from approach.stand_in import seeded_state

from test_generator import latents, ours, pictures_and_gradients, write_config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    config = read_config(write_config(tmp_path_factory.mktemp("tiny")))
    return config, seeded_state(config, 3)


def cosines(a, b):
    return torch.cosine_similarity(a.flatten(1), b.flatten(1))


def test_bf16_gradients_point_the_same_way(tiny):
    config, weights = tiny
    found = {}
    for name in ("float32", "bf16"):
        generator = load_generator(weights, config, truncation=0.4, precision=name)
        found[name] = pictures_and_gradients(ours(generator), config, torch.float32, n=8)
    _, z, logits = (cosines(a, b) for a, b in zip(found["bf16"], found["float32"], strict=True))
    assert z.min() >= 0.99
    assert logits.min() >= 0.99
    assert (found["bf16"][0] - found["float32"][0]).abs().max() < 0.1


def test_bf16_gradients_at_full_size(shared):
    config = read_config(shared / "biggan" / "biggan-deep-128-config.json")
    weights = seeded_state(config, 1, power_iterations=10)
    found = {}
    for name in ("float32", "bf16"):
        generator = load_generator(weights, config, truncation=0.4, precision=name)
        found[name] = pictures_and_gradients(ours(generator), config, torch.float32, n=2)
    _, z, logits = (cosines(a, b) for a, b in zip(found["bf16"], found["float32"], strict=True))
    assert z.min() >= 0.99
    assert logits.min() >= 0.99


@pytest.mark.parametrize("name", list(precision.PRECISIONS))
def test_latents_and_picture_keep_their_precision(tiny, name):
    config, weights = tiny
    generator = load_generator(weights, config, truncation=0.4, precision=name)
    z, logits = latents(config, dtype=precision.outer_dtype(name))
    images = ours(generator)(z, torch.softmax(logits, 1))
    assert images.dtype is precision.outer_dtype(name)
    assert images.shape == (2, 3, 32, 32)
    assert images.abs().max() <= 1
    images.sum().backward()
    assert z.grad.dtype is precision.outer_dtype(name)


def test_unknown_precision_or_truncation(tiny):
    config, weights = tiny
    with pytest.raises(UserError, match="precision=float8"):
        load_generator(weights, config, truncation=0.4, precision="float8")
    with pytest.raises(UserError, match="truncation"):
        load_generator(weights, config, truncation=0)


@pytest.mark.parametrize("name", ["float32", "bf16"])
def test_same_bytes_twice(tiny, name):
    config, weights = tiny
    runs = []
    for _ in range(2):
        generator = load_generator(weights, config, truncation=0.4, precision=name)
        runs.append(pictures_and_gradients(ours(generator), config, torch.float32, n=3))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.skipif(bool(missing_compiler(torch.device("cpu"))), reason="no C++ compiler")
def test_compiled_equals_eager(tiny):
    config, weights = tiny
    for name, tolerance in (("float32", 1e-4), ("bf16", 0.1)):
        generator = load_generator(weights, config, truncation=0.4, precision=name)
        eager = pictures_and_gradients(ours(generator), config, torch.float32, n=2)
        compiled = pictures_and_gradients(ours(generator.set_compiled(True)), config, torch.float32, n=2)
        assert generator.compiled
        for a, b in zip(compiled, eager, strict=True):
            assert (a - b).norm() <= tolerance * b.norm()


def test_json_of_the_tiny_config_is_what_the_package_reads(tmp_path):
    assert set(json.loads(write_config(tmp_path).read_text())) == set(read_config(write_config(tmp_path)).__dict__)
