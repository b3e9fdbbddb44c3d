"""Trajectory files: the latents of a batch, step by step; everything shown is derived from them. No torch."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from approach.errors import UserError


@dataclass(frozen=True)
class Trajectory:
    """One inversion. z [S+1, 128] and classes [S+1, C] (probabilities): what the generator received at each step."""

    seed: int
    z: np.ndarray
    classes: np.ndarray
    status: str  # "ok", or "failed" where loss or gradient stopped being finite
    last_step: int
    metadata: dict


def write_trajectories(path: Path, seeds: list[int], z: np.ndarray, classes: np.ndarray, metadata: dict) -> None:
    """Write a batch's trajectories: the same bytes for the same trajectories.

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


class Outcome(NamedTuple):
    """How an inversion ended."""

    status: str  # "ok", or "failed" where loss or gradient stopped being finite
    last_step: int


class TrajectoryFile:
    """A batch's trajectories on disk: the metadata is read at once, a seed's latents when they are asked for.

    Raises:
        UserError: the file cannot be read, or holds no trajectories.
    """

    def __init__(self, path: Path):
        self.path = path
        self.metadata = read_metadata(path)

    def outcome(self, seed: int) -> Outcome:
        """How the inversion of a seed ended.

        Raises:
            UserError: the file does not hold that seed.
        """
        try:
            place = self.metadata["seeds"].index(seed)
            return Outcome(self.metadata["status"][place], self.metadata["last_step"][place])
        except (KeyError, ValueError, IndexError) as error:
            raise _without(self.path, seed, error) from None

    def trajectory(self, seed: int) -> Trajectory:
        """The trajectory of a seed.

        Raises:
            UserError: the file does not hold that seed.
        """
        outcome = self.outcome(seed)
        try:
            with safe_open(self.path, framework="np") as file:
                z, classes = file.get_tensor(f"{seed}.z"), file.get_tensor(f"{seed}.classes")
        except (OSError, SafetensorError) as error:
            raise _without(self.path, seed, error) from None
        return Trajectory(seed, z, classes, *outcome, self.metadata)


def read_metadata(path: Path) -> dict:
    """A trajectory file's metadata, as plain values.

    Raises:
        UserError: the file cannot be read, or is no trajectory file.
    """
    try:
        with safe_open(path, framework="np") as file:
            return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: is no trajectory file ({error}); delete it to have it made again") from None


def read_trajectory(path: Path, seed: int) -> Trajectory:
    """Read one seed's trajectory.

    Raises:
        UserError: the file does not hold that seed, or is no trajectory file.
    """
    return TrajectoryFile(path).trajectory(seed)


def _without(path: Path, seed: int, error: Exception) -> UserError:
    return UserError(f"{path}: holds no trajectory of seed {seed} ({error}); delete the file to have it made again")
