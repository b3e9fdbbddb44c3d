"""Precision and compilation: what they may change, and what they must not."""

import dataclasses
import os
import platform
import statistics
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import yaml
from pytorch_pretrained_biggan import BigGANConfig

from approach import loading
from approach.biggan import precision
from approach.biggan.config import GeneratorConfig, read_config
from approach.biggan.convolutions import FixedConv
from approach.biggan.generator import load_generator
from approach.biggan.pointwise import missing_compiler
from approach.biggan.stand_in import seeded_state
from approach.errors import UserError
from approach.inversion import batch, gradient
from approach.losses.losses import LossValues
from approach.planning.identity import inversion_config
from approach.planning.plan import make_plan
from helpers.generators import latents, ours, pictures_and_gradients, write_config
from helpers.paths import ROOT


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


def test_bf16_gradients_at_full_size(root):
    config = read_config(root / "resources" / "biggan" / "biggan-deep-128.json")
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


@pytest.mark.parametrize("able", [{}, {"avx512_bf16": False}, {"amx_bf16": True}])
def test_a_processor_without_units_for_bfloat16_is_named(able, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    precision.set_matrix_precision("bf16", "cpu")
    assert precision.has_bfloat16("cpu") == any(able.values())
    assert ("precision=float32" in caplog.text) != any(able.values())


def test_bf16_where_onednn_has_no_layout_for_it(tiny, monkeypatch):
    config, weights = tiny
    found = {}
    for name in ("float32", "bf16"):
        generator = load_generator(weights, config, truncation=0.4, precision=name)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
        found[name] = pictures_and_gradients(ours(generator), config, torch.float32, n=2)[0]
    layouts = [module._layouts for module in generator.modules() if isinstance(module, FixedConv)]
    assert layouts
    assert not any(layouts)
    assert 0 < (found["bf16"] - found["float32"]).abs().max() < 0.1


@pytest.mark.slow
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


def test_the_configuration_has_the_packages_fields():
    assert {field.name for field in dataclasses.fields(GeneratorConfig)} == set(vars(BigGANConfig()))


def test_compilation_is_decided_by_what_it_saves(root, caplog, monkeypatch):
    big = read_config(root / "resources" / "biggan" / "biggan-deep-512.json")
    monkeypatch.setattr(precision, "missing_compiler", lambda device: None)
    assert precision.decide_compile("auto", big, 16 * 500, "cpu")
    assert not precision.decide_compile("auto", big, 3, "cpu")
    assert precision.decide_compile("always", big, 3, "cpu")
    assert not precision.decide_compile("never", big, 10**9, "cpu")
    monkeypatch.setattr(precision, "missing_compiler", lambda device: "no C++ compiler is installed")
    assert not precision.decide_compile("always", big, 10**9, "cpu")
    assert "no C++ compiler" in caplog.text


def test_graphs_are_a_key_of_their_own_that_the_gpu_profile_sets(root, tiny, monkeypatch):
    profile = yaml.safe_load((root / "profiles" / "gpu" / "configuration.yaml").read_text())
    wanted = [inversion_config(make_plan(given, root).base) for given in ({}, {"hydra": "compile=always"}, profile)]
    assert [config["graphs"] for config in wanted] == [False, False, True]
    for asked, answer in (("free_memory", 10**9), ("check_device", None), ("device_name", "a card")):
        monkeypatch.setattr(batch, asked, lambda *_, answer=answer: answer)
    for config, device, expected in zip(
        [wanted[1], *[wanted[2]] * 3], ["cuda", "cuda:1", "cuda", "cpu"], [False, True, True, False], strict=True
    ):
        assert batch.decide({**config, "device": device}, [0, 1], tiny[0])["graphs"] == expected


def test_a_micro_batch_fits_memory(root):
    big = read_config(root / "resources" / "biggan" / "biggan-deep-512.json")
    small = read_config(root / "resources" / "biggan" / "biggan-deep-128.json")
    a_seed = 3 * 4 * precision.activation_values(big)
    assert precision.decide_micro_batch(big, "float32", 16, 2 * 4 * a_seed, "cuda") == 4
    assert precision.decide_micro_batch(big, "float32", 10, 2 * 4 * a_seed, "cuda") == 4  # 4, 4, 2
    assert precision.decide_micro_batch(big, "float32", 9, 2 * 4 * a_seed, "cuda") == 3  # equal parts
    assert precision.decide_micro_batch(big, "bf16", 64, 10**15, "cuda") == 64
    assert precision.decide_micro_batch(big, "float32", 3, 0, "cuda") == 1
    assert precision.decide_micro_batch(big, "float32", 16, 10**15, "cpu") == 1
    assert precision.decide_micro_batch(small, "float32", 16, 10**15, "cpu") == 4


def test_out_of_memory_is_known_on_the_cpu():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**17)
    assert precision.is_out_of_memory(caught.value)
    assert not precision.is_out_of_memory(RuntimeError("something else"))


def test_the_c_library_is_told_to_keep_memory_and_to_return_it(monkeypatch):
    told = {}
    library = SimpleNamespace(mallopt=lambda option, value: told.update({option: value}) or 1)
    monkeypatch.setattr(precision.sys, "platform", "linux")
    monkeypatch.setattr(precision.ctypes, "CDLL", lambda name: library)
    assert precision.keep_memory(True)
    assert told[precision._M_MMAP_MAX] == 0
    assert precision.keep_memory(False, returned_from=4096)
    assert told[precision._M_MMAP_THRESHOLD] == 4096
    assert told[precision._M_MMAP_MAX] > 0
    library.mallopt = lambda option, value: 0  # refused
    assert not precision.keep_memory(True)
    monkeypatch.setattr(precision.sys, "platform", "darwin")
    assert not precision.keep_memory(True)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_an_opened_generator_keeps_the_memory_of_its_images_for_the_next():
    lines = ["import resource, torch", "from approach.loading import open_generator"]
    lines += [f"folder = {str(ROOT / 'resources' / 'study')!r}"]
    lines += ["files = dict(architecture=folder + '/config.json', weights=folder + '/generator.safetensors')"]
    lines += ["generator = open_generator(files, 0.6, 'cpu')", "with torch.inference_mode():"]
    lines += ["    for _ in range(9):", "        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt"]
    lines += ["        generator(torch.zeros(8, 256))"]
    lines += ["        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    command = [sys.executable, "-c", "\n".join(lines)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    # Returned memory costs every evaluation a map of eight images, 8,192 pages, or more. Kept memory grows until the
    # holes in it are large enough, which takes the first few evaluations and now and then a later one.
    assert statistics.median(map(int, found[3:])) < 800


@pytest.mark.parametrize(("folder", "kept"), [("study", True), ("biggan", False)])
def test_only_a_small_generator_keeps_memory(monkeypatch, folder, kept):
    asked = []
    monkeypatch.setattr(loading, "keep_memory", lambda: asked.append(True))
    monkeypatch.setattr(loading, "read_weights", lambda *given: {})
    monkeypatch.setattr(loading, "load_generator", lambda *given, **named: None)
    name = "config" if folder == "study" else "biggan-deep-128"
    files = {"architecture": str(ROOT / "resources" / folder / f"{name}.json"), "weights": "any"}
    loading.open_generator(files, 0.4, "cpu")
    assert bool(asked) is kept


def test_an_evaluation_is_a_forward_and_a_backward_pass(tiny):
    config, weights = tiny
    generator = load_generator(weights, config, truncation=0.4, precision="float64")
    z, logits = latents(config, n=3)
    loss = l2_to_nothing
    images = generator(generator.conditioning(z, torch.softmax(logits / 0.7, 1)))
    loss(images).total.sum().backward()
    found = gradient.build_evaluate(generator, loss, 0.7, graphs=False)(z, logits)
    assert torch.equal(found.images, images)
    assert torch.equal(found.grad_z, z.grad)
    assert torch.equal(found.grad_logits, logits.grad)
    assert not found.total.requires_grad


def test_replayed_evaluations_do_not_share_memory(tiny, monkeypatch):
    """What a CUDA graph does, without one: run again on the same inputs, into the same outputs."""
    config, weights = tiny
    generator = load_generator(weights, config, truncation=0.4, precision="float64")
    captures = []

    def capture(run, z, logits, pool):
        inputs = z.detach().clone(), logits.detach().clone()
        result = run(*inputs)
        captures.append(len(z))

        def replay():
            again = run(*inputs)
            for before, after in zip(result, again, strict=True):
                if before is not result.terms:
                    before.copy_(after)
            result.terms["l2"].copy_(again.terms["l2"])

        return SimpleNamespace(replay=replay), *inputs, result

    monkeypatch.setattr(gradient, "_capture", capture)
    monkeypatch.setattr(gradient.torch.cuda, "device", nullcontext)
    monkeypatch.setattr(gradient.torch.cuda, "graph_pool_handle", lambda: (0, 1))
    replayed = gradient.build_evaluate(generator, l2_to_nothing, 1.0, graphs=True)
    plain = gradient.build_evaluate(generator, l2_to_nothing, 1.0, graphs=False)
    z, logits = latents(config, n=4)
    parts = [(z[:2], logits[:2]), (z[2:], logits[2:])]
    for mine, expected in zip([replayed(*part) for part in parts], [plain(*part) for part in parts], strict=True):
        assert torch.equal(mine.grad_z, expected.grad_z)
        assert torch.equal(mine.terms["l2"], expected.terms["l2"])
    assert captures == [2]


def l2_to_nothing(images):
    total = images.square().mean((1, 2, 3))
    return LossValues(total, {"l2": total})
