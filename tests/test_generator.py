"""The folded generator against the published package's, at tiny widths and at full size."""

import dataclasses
import json
import logging
import math

import pytest
import torch
from pytorch_pretrained_biggan import BigGAN, BigGANConfig
from safetensors.torch import save_file

from approach.biggan.config import class_names, read_config
from approach.biggan.convolutions import FrozenUpConv, UpThenConv
from approach.biggan.folding import statistics_row
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.biggan.stand_in import seeded_state
from approach.errors import UserError
from helpers.generators import VARIED, latents, ours, pictures_and_gradients, write_config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    config = read_config(write_config(tmp_path_factory.mktemp("tiny")))
    return config, seeded_state(config, 3)


def package(config, weights, dtype=torch.float64):
    fields = dataclasses.asdict(config)
    model = BigGAN(BigGANConfig.from_dict({key: fields[key] for key in VARIED})).eval().requires_grad_(False)
    model.to(dtype).load_state_dict(weights)
    return model


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("truncation", [1.0, 0.5, 0.4, 0.02, 0.43])  # rows 50, 25, 20, 1, and half-way 21.5
def test_float64_equals_the_package(tiny, truncation):
    config, weights = tiny
    reference = package(config, weights)
    generator = load_generator(weights, config, truncation=truncation, precision="float64")
    theirs = pictures_and_gradients(lambda z, c: reference(z, c, truncation), config)
    for mine, other in zip(pictures_and_gradients(ours(generator), config), theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-9 * other.abs().max())


def exact_rows(weights, config, truncation):
    """Weights whose every statistics row is the interpolated one, so that the package cannot pick a wrong row."""
    position = truncation * (config.n_stats - 1)
    lower = math.floor(position + 1e-9)
    share = max(position - lower, 0.0)
    result = dict(weights)
    for name, rows in weights.items():
        if "running_" in name:
            upper = min(lower + 1, config.n_stats - 1)
            row = rows[lower].double() * (1 - share) + rows[upper].double() * share
            result[name] = row.expand(config.n_stats, -1)
    return result


@pytest.mark.parametrize("truncation", [0.14, 0.28, 0.56, 0.58, 0.94, 0.405, 0.333, 0.999])
def test_statistics_where_the_package_picks_wrong_rows(tiny, truncation):
    config, weights = tiny
    generator = load_generator(weights, config, truncation=truncation, precision="float64")
    z, logits = latents(config)
    with torch.no_grad():
        classes = torch.softmax(logits, 1)
        mine = ours(generator)(z, classes)
        right = package(config, exact_rows(weights, config, truncation))(z, classes, 1.0)
        theirs = package(config, weights)(z, classes, truncation)
    assert torch.allclose(mine, right, rtol=0, atol=1e-9)
    assert (theirs - right).abs().max() > 1e-3  # the stand-in's rows differ enough for the test to tell


def test_statistics_rows_are_interpolated_linearly():
    rows = torch.arange(51.0)[:, None].double() ** 2
    assert statistics_row(rows, 0.14) == 49  # 0.14 / 0.02 is 7.000000000000001
    assert statistics_row(rows, 1.0) == 2500
    assert statistics_row(rows, 0.145).item() == pytest.approx(49 * 0.75 + 64 * 0.25)


def errors_in_float32(config, weights, truncation, images):
    exact_model = package(config, weights)
    single_model = package(config, weights, torch.float32)
    generator = load_generator(weights, config, truncation=truncation)
    z, logits = latents(config, n=images, dtype=torch.float32)
    with torch.no_grad():
        classes = torch.softmax(logits, 1)
        exact = exact_model(z.double(), classes.double(), truncation)
        theirs, mine = single_model(z, classes, truncation), ours(generator)(z, classes)
    return distance(mine.double(), exact), distance(theirs.double(), exact)


def test_float32_is_no_further_from_float64_than_the_package(tiny):
    mine, theirs = errors_in_float32(*tiny, truncation=0.4, images=8)
    assert mine <= 1.5 * theirs


@pytest.mark.slow
def test_full_size_128(root):
    """BigGAN-deep-128 in the published shape, seeded weights: float64 and float32 against the package."""
    config = read_config(root / "resources" / "biggan" / "biggan-deep-128.json")
    weights = seeded_state(config, 1, power_iterations=10)
    reference = package(config, weights)
    generator = load_generator(weights, config, truncation=0.4, precision="float64")
    theirs = pictures_and_gradients(lambda z, c: reference(z, c, 0.4), config, n=1)
    for mine, other in zip(pictures_and_gradients(ours(generator), config, n=1), theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-9 * other.abs().max())
    mine, theirs = errors_in_float32(config, weights, 0.4, images=1)
    assert mine <= 1.5 * theirs


@pytest.mark.slow
@pytest.mark.parametrize("size", [256, 512])
def test_larger_architectures_at_a_small_width(root, tmp_path, size):
    raw = json.loads((root / "resources" / "biggan" / f"biggan-deep-{size}.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw | {"channel_width": 8}))
    config = read_config(path)
    weights = seeded_state(config, 2)
    generator = load_generator(weights, config, truncation=0.5, precision="float64")
    reference = package(config, weights)
    theirs = pictures_and_gradients(lambda z, c: reference(z, c, 0.5), config, n=1)
    for mine, other in zip(pictures_and_gradients(ours(generator), config, n=1), theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-9 * other.abs().max())


def test_seeds_do_not_see_one_another(tiny):
    config, weights = tiny
    generator = load_generator(weights, config, truncation=0.4, precision="float64")
    z, logits = (value.detach() for value in latents(config, n=5))
    together = generator(generator.conditioning(z, torch.softmax(logits, 1)))
    alone = generator(generator.conditioning(z[3:4], torch.softmax(logits[3:4], 1)))
    assert torch.allclose(together[3:4], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_folded_up_sampling_equals_up_sampling(dtype):
    random = torch.Generator().manual_seed(0)
    kernel = torch.randn(6, 5, 3, 3, generator=random, dtype=torch.float64)
    x = torch.randn(2, 5, 7, 7, generator=random, dtype=dtype).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(2, 6, 14, 14, generator=random, dtype=dtype).contiguous(memory_format=torch.channels_last)
    folded, apart = FrozenUpConv(kernel, dtype), UpThenConv(kernel.to(dtype))
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    assert torch.allclose(folded(x), apart(x), rtol=tolerance, atol=tolerance)
    assert torch.allclose(
        folded.input_gradient(gradient), apart.input_gradient(gradient), rtol=tolerance, atol=10 * tolerance
    )


def test_memory_kept_for_the_backward_pass_is_less_than_half_of_the_packages(tiny):
    config, weights = tiny
    kept = {}
    models = {"package": package(config, weights, torch.float32), "ours": load_generator(weights, config, truncation=1)}
    for who, model in models.items():
        make = ours(model) if who == "ours" else (lambda z, c, model=model: model(z, c, 1.0))
        seen = {}
        owned = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}

        def keep(tensor, seen=seen, owned=owned):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in owned:
                seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        z, logits = latents(config, n=4, dtype=torch.float32)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            images = make(z, torch.softmax(logits, 1))
        kept[who] = sum(seen.values())
        del images
    assert kept["ours"] <= kept["package"] / 2


# ---- files ----


def test_reads_the_published_format_and_safetensors(tiny, tmp_path, caplog):
    config, weights = tiny
    torch.save(weights | {"generator.extra": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    half = {key: value.half() if value.dim() == 4 else value.contiguous() for key, value in weights.items()}
    save_file(half, tmp_path / "generator.safetensors")
    with caplog.at_level(logging.WARNING):
        published = read_weights(tmp_path / "pytorch_model.bin", config)
    assert "generator.extra" in caplog.text
    assert published.keys() == weights.keys()
    assert all(torch.equal(published[key], weights[key]) for key in weights)
    small = read_weights(tmp_path / "generator.safetensors", config)
    assert all(value.dtype is torch.float32 for value in small.values())
    name = "generator.conv_to_rgb.weight_orig"
    assert torch.equal(small[name], weights[name].half().float())


def test_reads_ready_weights(tiny, tmp_path):
    """As torch before 1.1 wrote them: weight beside weight_orig and weight_u, without weight_v."""
    config, weights = tiny
    old = dict(weights)
    for key in weights:
        if key.endswith(".weight_v"):
            name = key.removesuffix("_v")
            matrix = weights[f"{name}_orig"]
            sigma = weights[f"{name}_u"] @ matrix.flatten(1) @ weights[key]
            old[name] = matrix / sigma
            del old[key]
    torch.save(old, tmp_path / "old.bin")
    read = read_weights(tmp_path / "old.bin", config)
    z, logits = latents(config, dtype=torch.float32)
    pictures = []
    for each in (weights, read):
        generator = load_generator(each, config, truncation=0.4)
        pictures.append(ours(generator)(z, torch.softmax(logits, 1)))
    assert torch.allclose(*pictures, atol=1e-5)


def broken(kind, weights, path):
    if kind == "missing file":
        return path / "nowhere.bin"
    path = path / "w.bin"
    weights = dict(weights)
    if kind == "missing tensor":
        del weights["generator.layers.0.conv_0.bias"]
    if kind == "misshapen":
        weights["embeddings.weight"] = weights["embeddings.weight"][:, :-1].clone()
    if kind == "not finite":
        weights["embeddings.weight"] = weights["embeddings.weight"] * math.nan
    torch.save([1, 2] if kind == "no table" else weights, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    if kind == "text":
        path.write_text("<html>not found</html>")
    return path


@pytest.mark.parametrize(
    "kind", ["missing file", "missing tensor", "misshapen", "not finite", "no table", "truncated", "text"]
)
def test_wrong_weights_end_in_one_line(tiny, tmp_path, kind):
    config, weights = tiny
    path = broken(kind, weights, tmp_path)
    with pytest.raises(UserError) as caught:
        read_weights(path, config)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_are_never_unpickled_into_code(tiny, tmp_path):
    path = tmp_path / "evil.bin"
    torch.save({"a": print}, path)
    with pytest.raises(UserError, match=r"evil\.bin"):
        read_weights(path, tiny[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"output_dim": 64},
        {"layers": [[True, 16, 16]]},
        {"layers": "x"},
        {"attention_layer_position": 99},
        {"channel_width": 1},
        {"n_stats": "many"},
    ],
)
def test_wrong_config_ends_in_one_line(tmp_path, changes):
    with pytest.raises(UserError, match=r"config\.json"):
        read_config(write_config(tmp_path, **changes))
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(UserError, match=r"broken\.json"):
        read_config(path)


def test_published_configurations(root):
    for size in (128, 256, 512):
        assert read_config(root / "resources" / "biggan" / f"biggan-deep-{size}.json").output_dim == size


def test_class_names(tiny, tmp_path, root):
    config, _ = tiny
    path = tmp_path / "classes.json"
    path.write_text(json.dumps([f"class {i}" for i in range(20)]))
    assert class_names(path, config)[3] == "class 3"
    path.write_text(json.dumps(["one"]))
    with pytest.raises(UserError, match="1 class names"):
        class_names(path, config)
    big = read_config(root / "resources" / "biggan" / "biggan-deep-128.json")
    names = class_names(None, big)
    assert len(names) == 1000
    assert names[970] == "alp"
