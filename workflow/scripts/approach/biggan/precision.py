"""Precision, compilation and micro-batch as choices that are made once per batch of seeds and recorded."""

import ctypes
import logging
import os
import sys

import torch

from approach.biggan.config import GeneratorConfig
from approach.biggan.format import block_places
from approach.biggan.pointwise import missing_compiler

logger = logging.getLogger(__name__)

# of the layers' activations and kernels; latents, conditioning, picture and optimizer: outer_dtype
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def outer_dtype(precision: str) -> torch.dtype:
    """The type of latents, picture and loss: float64 in float64 precision, float32 otherwise."""
    return torch.float64 if precision == "float64" else torch.float32


def has_bfloat16(device: str | torch.device) -> bool:
    """Whether a device has units for bfloat16; without them it is several times slower than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # not in older PyTorch
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def set_matrix_precision(precision: str, device: str | torch.device) -> None:
    """Switch TF32 products on for precision tf32, off otherwise (PyTorch's own default lets convolutions use them).

    Process-wide, and to be called once before the inversion: it must hold in the backward pass too.
    """
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    if tf32 and torch.device(device).type != "cuda":
        logger.info("tf32 is a mode of NVIDIA GPUs: computing in float32 on %s", device)
    if precision == "bf16" and not has_bfloat16(device):
        logger.warning("%s has no units for bfloat16: precision=float32 will be several times faster here", device)


def make_deterministic(device: str | torch.device, *, compiled: bool = False) -> None:
    """Have PyTorch take those operations that give the same bytes each time; process-wide, before any is computed.

    On the CPU an operation that has no such form is an error. On other devices, where nobody has seen every operation
    run, it is a warning. cuBLAS wants a workspace of fixed size, and reads the variable at its first product.
    torch.use_deterministic_algorithms tells the compiler too, and imports it: only where something is compiled is that
    worth the second that it takes.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strict = torch.device(device).type == "cpu"
    if compiled:
        torch.use_deterministic_algorithms(True, warn_only=not strict)
    else:
        torch.set_deterministic_debug_mode("error" if strict else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # no operation here reads what it did not write


def activation_values(config: GeneratorConfig) -> int:
    """Values that the folded generator keeps of one image for the backward pass, layer by layer."""
    size, total = 4, 0
    for place in block_places(config):
        outside = size * size
        size *= 2 if place.up else 1
        total += outside * (place.wide_in + place.middle) + size * size * 2 * place.middle
    return total + 2 * size * size * config.channel_width  # the last norm's input and its result


# Measured by bench/inversion.py, see docs/performance.md: seconds to compile, once, and seconds saved a kept value.
_COMPILE_SECONDS = {"cpu": 40.0, "cuda": 60.0}
_SAVED_SECONDS = {"cpu": 4e-9, "cuda": 2e-11}


def decide_compile(choice: str, config: GeneratorConfig, seed_steps: int, device: str | torch.device) -> bool:
    """Whether to compile the norms: choice is auto, always or never; seed_steps are seeds times the steps ahead.

    auto compiles where it saves more time than it takes. Where no compiler is installed the answer is no, with a
    warning if compilation was asked for.
    """
    device = torch.device(device)
    if choice == "never":
        return False
    missing = missing_compiler(device)
    if missing:
        logger.log(logging.WARNING if choice == "always" else logging.INFO, "not compiled: %s", missing)
        return False
    saved = activation_values(config) * seed_steps * _SAVED_SECONDS[device.type]
    return choice == "always" or saved > _COMPILE_SECONDS[device.type]


# On a CPU more seeds at a time stop paying once what is kept outgrows the caches: measured best at 4 seeds of
# BigGAN-deep-128, 1 of BigGAN-deep-512, 16 of the embedded generator at 64 px.
_CPU_VALUES, _CPU_SEEDS = 64e6, 16


def decide_micro_batch(config: GeneratorConfig, precision: str, seeds: int, free_bytes: int, device: str) -> int:
    """Seeds per evaluation: as many as fit into half the free memory, in parts of nearly equal size; at least 1.

    An evaluation needs about three times what it keeps (the loss network, and what is alive for a moment).
    """
    width = PRECISIONS[precision].itemsize
    fit = int(free_bytes / 2 // (3 * width * activation_values(config)))
    if torch.device(device).type == "cpu":
        fit = min(fit, _CPU_SEEDS, int(_CPU_VALUES // activation_values(config)))
    parts = -(-seeds // max(1, min(fit, seeds)))
    return -(-seeds // parts)


def free_memory(device: str | torch.device) -> int:
    """Bytes of memory that an evaluation may take now: free on the GPU, available on the machine otherwise."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil  # noqa: PLC0415

    return psutil.virtual_memory().available


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out (the CPU's allocator raises a plain RuntimeError)."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of glibc's mallopt


def keep_memory(on: bool = True, *, returned_from: int = 32 * 2**20) -> bool:
    """Have the C library keep freed memory for the next evaluation, and say whether it could be told.

    By default glibc returns every large block to the system, and the next evaluation has its pages cleared and mapped
    again: a seventh of a step at 512 px, a fifth at 128. Process-wide; elsewhere than on glibc it does nothing.
    Switched off, blocks are returned from `returned_from` bytes on; 32 MiB is where glibc's own adapting ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    if on:
        options = {_M_TRIM_THRESHOLD: 2**31 - 1, _M_MMAP_MAX: 0}
    else:
        options = {_M_TRIM_THRESHOLD: 2 * returned_from, _M_MMAP_THRESHOLD: returned_from, _M_MMAP_MAX: 65536}
    told = [mallopt(*option) for option in options.items()]
    return all(told)
