"""How it is measured: matrix-product peak, needed operations, interleaved repeats, peak memory of an update."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from approach.biggan.config import GeneratorConfig
from approach.biggan.format import block_places
from approach.biggan.precision import PRECISIONS, has_bfloat16, keep_memory, set_matrix_precision
from contestants import Ready

_SHARES = {"plain": 4.0}  # of measuring time; every other case 1: all ratios hang on plain


def synchronise(device: str) -> None:
    """Wait for the GPU where there is one."""
    if device == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[], object], device: str) -> float:
    """Seconds of one call."""
    synchronise(device)
    began = time.perf_counter()
    step()
    synchronise(device)
    return time.perf_counter() - began


def interleave(ready: list[Ready], seconds: float, device: str, burst: float = 1.0) -> list[list[float]]:
    """Seconds of each contestant's updates, taken in turns until the measuring time is spent.

    A turn is one update that is not counted, then updates for `burst` seconds, at least one. Next is always who has
    had the least time yet, so that a change of the machine's load meets all alike. Ours has the C library keep
    memory, as the inversion does; the packages run with glibc as it comes.
    """
    took: list[list[float]] = [[] for _ in ready]
    spent = [0.0 for _ in ready]
    while sum(map(sum, took)) < seconds:
        least = min(range(len(ready)), key=spent.__getitem__)
        keep_memory(ready[least].case.who == "ours")
        trim_memory()
        timed(ready[least].step, device)
        turn: list[float] = []
        while sum(turn) < burst:
            turn.append(timed(ready[least].step, device))
        took[least] += turn
        spent[least] += sum(turn) / _SHARES.get(ready[least].case.who, 1.0)
    return took


def matrix_peak(precision: str, device: str, seconds: float = 2.0) -> float:
    """The fastest product of square matrices seen in a precision, FLOP/s.

    Where a device has no units for bfloat16 it is float32's: these compute its products then.
    """
    set_matrix_precision(precision, device)
    size = 8192 if device == "cuda" else 2048
    dtype = PRECISIONS[precision]
    if dtype is torch.bfloat16 and not has_bfloat16(device):
        dtype = torch.float32
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, timed(lambda: a @ b, device))
    return 2 * size**3 / best


def generator_flop(config: GeneratorConfig) -> float:
    """Floating-point operations that an image needs: forward, and backward to the latents.

    Up-sampling folded into its convolution (4 products a pixel, not 9), three output channels, no gradient of
    weights; a product and its sum are two. The backward pass of a layer costs its forward pass; attention's twice.
    """
    size, forward, attention = 4, 0.0, 0.0
    for index, place in enumerate(block_places(config)):
        if index == config.attention_layer_position:
            pixels, channels = size * size, place.wide_in
            forward += 2 * pixels * channels * (channels // 8 * 2 + channels // 2 * 2)
            attention = 2 * pixels * (pixels // 4) * (channels // 8 + channels // 2)
        before = size * size
        size *= 2 if place.up else 1
        after = size * size
        taps = 4 if place.up else 9
        forward += 2 * before * place.wide_in * place.middle
        forward += 2 * after * place.middle * (place.middle * (taps + 9) + place.wide_out)
    forward += 2 * size * size * config.channel_width * 27
    affine = (
        2
        * 2
        * config.z_dim
        * (16 * 16 * config.channel_width + 2 * sum(place.wide_in + 3 * place.middle for place in block_places(config)))
    )
    return 2 * (forward + affine) + 3 * attention


def loss_flop(loss: Callable, size: int) -> float:
    """Operations of a loss network, forward and back to the image; counted by PyTorch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        loss(torch.zeros(1, 3, size, size))
    return 2.0 * counter.get_total_flops()


def peak_memory(step: Callable[[], object], device: str) -> float:
    """MB that an update takes at its peak beyond what is held between updates (weights, latents).

    On the CPU of the resident size, while the C library hands back all blocks from 128 KiB as soon as they are freed.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        timed(step, device)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    keep_memory(False, returned_from=128 * 1024)
    trim_memory()
    Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident size starts again from now
    before = _resident("VmRSS")
    step()
    return (_resident("VmHWM") - before) / 2**10


def trim_memory() -> None:
    """Hand memory that nobody uses back to the system, as far as the C library knows how."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return middle, low, high
