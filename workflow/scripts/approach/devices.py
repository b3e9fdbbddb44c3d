"""Which device a job computes on, and whether it asks a scheduler for a GPU; planning asks without importing torch."""

import importlib.util
import os
import platform
import re
from pathlib import Path

from approach.errors import UserError


def resolve_device(wanted: str) -> str:
    """The device that a configuration value means on this machine: `auto` is cuda, then mps, then cpu."""
    if wanted != "auto":
        return wanted
    import torch  # noqa: PLC0415 - planning imports this module and must not wait for torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_kind(device: str) -> str:
    """cpu, cuda or mps: a device without the number of its card."""
    return device.partition(":")[0]


def check_device(device: str, remedy: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        UserError: names the device and the remedy.
    """
    import torch  # noqa: PLC0415

    try:
        torch.empty(1, device=device)
    except (AssertionError, NotImplementedError, RuntimeError):
        raise UserError(f"device {device} is not on this machine; {remedy}") from None


def device_name(device: str) -> str:
    """What the device is: the card's name, or the processor's architecture."""
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()


def gpus_needed(device: str) -> int:
    """How many GPUs a job asks a scheduler for: 1 where device (a configuration value) means one, else 0.

    "auto" is answered for the machine that plans. On a cluster whose login node has no GPU, say device=cuda.
    """
    if device == "auto":
        return int(_has_cuda() or _has_mps())
    return int(device != "cpu")


def _has_cuda() -> bool:
    """What torch.cuda.is_available() says: torch is a CUDA build, and a card is there and not hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1") or not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return False
    version = Path(torch.origin).with_name("version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda\b.*= *['\"]", version, re.MULTILINE) is not None


def _has_mps() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"
