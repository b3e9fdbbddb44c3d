"""Trajectory files: the latents of a batch's walks, the artefact that everything shown is derived from. No torch."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from approach.errors import UserError


@dataclass(frozen=True)
class Trajectory:
    """One inversion. z [S+1, 128] and classes [S+1, C] (probabilities): what the generator received, step by step."""

    seed: int
    z: np.ndarray
    classes: np.ndarray
    status: str  # "ok", or "failed" where loss or gradient stopped being finite
    last_step: int
    metadata: dict


def write_trajectories(path: Path, seeds: list[int], z: np.ndarray, classes: np.ndarray, metadata: dict) -> None:
    """Write a batch's walks, the same bytes for the same walks.

    Args:
        path: the .safetensors file; it takes its name only when it is complete.
        seeds: N seeds.
        z: [N, S+1, 128].
        classes: [N, S+1, C].
        metadata: plain values, stored as JSON; status and last_step are lists in the order of seeds.
    """
    tensors = {}
    for row, seed in enumerate(seeds):
        tensors[f"{seed}.z"] = np.ascontiguousarray(z[row], dtype=np.float32)
        tensors[f"{seed}.classes"] = np.ascontiguousarray(classes[row], dtype=np.float32)
    data = save(tensors, {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()})
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(_sorted_header(data))
    temporary.replace(path)


def _sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its metadata in order: the library writes them in a random one."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def read_metadata(path: Path) -> dict:
    """A trajectory file's metadata, as plain values."""
    with safe_open(path, framework="np") as file:
        return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}


def read_trajectory(path: Path, seed: int) -> Trajectory:
    """Read one seed's walk.

    Raises:
        UserError: the file does not hold that seed, or is no trajectory file.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = {key: json.loads(value) for key, value in file.metadata().items()}
            row = metadata["seeds"].index(seed)
            z, classes = file.get_tensor(f"{seed}.z"), file.get_tensor(f"{seed}.classes")
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise UserError(
            f"{path}: holds no walk of seed {seed} ({error}); delete the file to have it made again"
        ) from None
    return Trajectory(seed, z, classes, metadata["status"][row], metadata["last_step"][row], metadata)
