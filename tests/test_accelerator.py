"""What a GPU would run, as far as that is seen without one: on the meta device, and with stand-ins for CUDA's calls."""

import os
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from approach.biggan import precision
from approach.biggan.config import read_config
from approach.biggan.convolutions import ordered_max_pool
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.biggan.layers import add_planes
from approach.inversion import gradient
from approach.inversion.gradient import build_evaluate
from approach.loading import open_generator
from approach.losses.discriminator import Discriminator
from approach.losses.losses import KINDS, build_loss
from approach.losses.perceptual import Perceptual
from approach.target import Target
from approach.torchvision_guard import import_torchvision

import_torchvision()
from torchvision import models  # noqa: E402

NETS = {"squeeze": models.squeezenet1_1, "alex": models.alexnet, "vgg": models.vgg16}
# Without a deterministic form on CUDA: torch.use_deterministic_algorithms lists the first, its sources the others.
UNORDERED = ("adaptive_", "upsample_bi", "upsample_linear", "reflection_pad", "max_unpool", "cumsum", "put_", "histc")
UNORDERED += ("max_pool2d_with_indices_backward", "_flash_attention", "_efficient_attention", "_cudnn_attention")


class Watched(TorchDispatchMode):
    """Counts the operations, and insists that their tensors lie on one device (numbers may lie on the CPU)."""

    def __init__(self, device):
        super().__init__()
        self.device, self.names = device, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Look at an operation's arguments, then do it."""
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor) and tensor.ndim:
                assert tensor.device.type == self.device, f"{func} is given a tensor on {tensor.device}"
        self.names.append(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))

    def unordered(self):
        """The operations that would not give the same bytes twice on CUDA."""
        return {name for name in self.names if name.startswith(UNORDERED)}


@pytest.fixture(scope="module")
def weights(tiny):
    config = read_config(tiny / "config.json")
    return config, read_weights(tiny / "generator.safetensors", config)


@pytest.fixture(scope="module", params=NETS)
def backbone(request, tmp_path_factory):
    """An LPIPS net and a file of seeded weights for it."""
    with torch.device("meta"):
        features = NETS[request.param](weights=None).features
    random = torch.Generator().manual_seed(5)
    state = {
        name: torch.randn(value.shape, generator=random) * (2 / max(1, value[0].numel())) ** 0.5
        for name, value in features.state_dict().items()
    }
    path = tmp_path_factory.mktemp("lpips") / f"{request.param}.pth"
    torch.save(state, path)
    return request.param, path


@contextmanager
def settings_put_back():
    """Leave PyTorch's process-wide settings as they were."""
    filling = torch.utils.deterministic.fill_uninitialized_memory
    mode = torch.get_deterministic_debug_mode()
    products, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = filling


def evaluate(device, weights, backbone, seeds=3, name="float32"):
    """One evaluation with every loss at once on a device; the inputs, and what it gave."""
    config, tensors = weights
    generator = load_generator(tensors, config, truncation=0.4, device=device, precision=name)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        discriminator = Discriminator([8, 16], config.num_classes).eval().requires_grad_(False).to(device)
    mask = torch.ones(1, 32, 32)
    mask[:, :4] = 0
    loss = build_loss(
        {"name": "all", "terms": dict.fromkeys(KINDS, 1.0)},
        Target(torch.zeros(3, 32, 32), mask),
        perceptual=Perceptual(*backbone, device=device),
        discriminator=discriminator,
        device=device,
    )
    random = torch.Generator().manual_seed(0)
    z, logits = (torch.randn(seeds, width, generator=random).to(device) for width in (128, config.num_classes))
    with Watched(device) as watched:
        found = build_evaluate(generator, loss, 1.0, graphs=False)(z, logits)
    return (z, logits), found, watched


@pytest.mark.parametrize("name", ["float32", "bf16"])
def test_an_evaluation_stays_on_its_device_and_its_operations_have_an_order(weights, backbone, name):
    (z, logits), found, watched = evaluate("meta", weights, backbone, name=name)
    assert not watched.unordered()
    assert found.images.shape == (3, 3, 32, 32)
    assert found.grad_z.shape == z.shape
    assert found.grad_logits.shape == logits.shape
    assert {part.device.type for part in tree_leaves(tuple(found))} == {"meta"}


def test_every_loss_runs_where_pytorch_refuses_operations_without_an_order(weights, backbone, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with settings_put_back():
        precision.make_deterministic("cpu")
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        one, two = (evaluate("cpu", weights, backbone)[1] for _ in range(2))
        precision.make_deterministic("cuda")
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.equal(one.grad_z, two.grad_z)


def test_attention_takes_no_fused_kernel_beyond_the_cpu(weights, monkeypatch):
    seen = []
    plain = F.scaled_dot_product_attention

    def attend(*parts, **options):
        seen.append((torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()))
        return plain(*parts, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
    config, tensors = weights
    generator = load_generator(tensors, config, truncation=0.4, device="meta")
    generator(torch.empty(2, 256, device="meta"))
    assert seen == [(False, False)]


def test_the_last_layer_is_as_many_launches_for_many_images_as_for_one(weights):
    config, tensors = weights
    picture = load_generator(tensors, config, truncation=0.4, device="meta").picture
    counts = []
    for images in (1, 64):
        x = torch.empty(images, config.channel_width, 32, 32, device="meta")
        with Watched("meta") as watched:
            picture(x.contiguous(memory_format=torch.channels_last))
        counts.append(sum(not name.startswith(("slice", "select", "view", "permute")) for name in watched.names))
    assert counts[0] == counts[1] < 50


def test_what_is_shown_is_computed_without_tf32(tiny, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    files = {"architecture": str(tiny / "config.json"), "weights": str(tiny / "generator.safetensors")}
    with settings_put_back():
        precision.set_matrix_precision("tf32", "cuda")
        assert torch.backends.cudnn.allow_tf32
        open_generator(files, 0.4, "cpu")
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32


def test_planes_of_all_images_at_once_are_those_of_each():
    random = torch.Generator().manual_seed(0)
    kernel = torch.randn(3, 5, 3, 3, generator=random, dtype=torch.float64)
    x = torch.randn(2, 5, 6, 7, generator=random, dtype=torch.float64)
    taps, pixels = kernel.permute(2, 3, 0, 1).flatten(0, 2), x.permute(0, 2, 3, 1).flatten(1, 2)
    together, apart = torch.zeros(2, 2, 3, 8, 9, dtype=torch.float64)
    add_planes(together, taps, pixels)
    for one, each in zip(apart, pixels, strict=True):
        add_planes(one, taps, each)
    expected = F.conv2d(x, kernel, padding=1)
    torch.testing.assert_close(together[:, :, 1:-1, 1:-1], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(apart[:, :, 1:-1, 1:-1], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("values", ["distinct", "ties", "nothing but zeros"])
@pytest.mark.parametrize(("size", "stride", "ceil_mode"), [(2, 2, False), (3, 2, False), (3, 2, True)])
@pytest.mark.parametrize("side", [9, 12, 16])
def test_ordered_max_pool_is_pytorchs(side, size, stride, ceil_mode, values):
    random = torch.Generator().manual_seed(side)
    x = torch.randn(2, 3, side, side + 1, generator=random, dtype=torch.float64)
    if values != "distinct":
        x = x.sign() if values == "ties" else torch.zeros_like(x)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    pooled = ordered_max_pool(mine, size, stride, ceil_mode=ceil_mode)
    expected = F.max_pool2d(theirs, size, stride, ceil_mode=ceil_mode)
    assert torch.equal(pooled, expected)
    gradient = torch.randn(expected.shape, generator=random, dtype=torch.float64)
    pooled.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=0, atol=1e-14)


def test_pools_of_every_lpips_network_are_replaced(backbone):
    assert not [module for module in Perceptual(*backbone).modules() if isinstance(module, nn.MaxPool2d)]


def test_graphs_are_captured_and_replayed_on_the_device_of_the_latents_from_one_pool(monkeypatch):
    """CUDA's calls are stand-ins: on this machine they only say which device was the current one."""
    current, said = ["cuda:0"], []

    @contextmanager
    def device(which):
        before, current[0] = current[0], str(which)
        yield
        current[0] = before

    @contextmanager
    def graph(graph, pool=None):
        said.append(("capture", current[0], pool))
        yield

    class Graph:
        def replay(self):
            said.append(("replay", current[0]))

    stream = SimpleNamespace(wait_stream=lambda other: said.append(("stream", current[0])))
    pools = iter(["pool", "another pool"])
    for name, stand_in in {
        "device": device,
        "graph": graph,
        "CUDAGraph": Graph,
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda which: nullcontext(),
        "graph_pool_handle": lambda: next(pools),
    }.items():
        monkeypatch.setattr(gradient.torch.cuda, name, stand_in)

    def run(z, logits):
        return gradient.Evaluation(z, logits, z[:, 0], {"l2": z[:, 0]}, z, logits)

    replayed = gradient._replayed(run)
    for seeds in (2, 1, 2):
        replayed(torch.empty(seeds, 128, device="meta"), torch.empty(seeds, 5, device="meta"))
    assert {event[1] for event in said} == {"meta"}
    assert [event for event in said if event[0] == "capture"] == [("capture", "meta", "pool")] * 2
    assert sum(event[0] == "replay" for event in said) == 3


def test_a_mixed_up_device_is_noticed():
    with pytest.raises(AssertionError, match="on cpu"), Watched("meta"):
        torch.add(torch.ones(3), 1)
