"""Trajectory files: the latents of a batch, step by step; everything shown is derived from them. No torch.

A file is of the safetensors format. Its metadata has a sha256 of every tensor, and one of the header itself: a bit that
flipped on disk is noticed by whoever reads it.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from approach.errors import UserError

UNSIGNED = "0" * 64  # stands for the header's sha256 while that is computed
LONGEST_HEADER = 100_000_000  # bytes, as in the safetensors library


@dataclass(frozen=True)
class Trajectory:
    """One inversion. z [S+1, 128] and classes: what the generator received at each step; sketches: what it showed.

    classes are probabilities [S+1, C], or the class embedding [S+1, 128] itself where `embedded`.
    """

    seed: int
    z: np.ndarray
    classes: np.ndarray
    sketches: np.ndarray  # [S+1, 512] float16, of the pictures (sketch.sketch)
    status: str  # "ok", or "failed" where loss or gradient stopped being finite
    last_step: int
    metadata: dict

    @property
    def embedded(self) -> bool:
        """Whether there are no class shares, because the class embedding moved freely."""
        return class_part(self.metadata) == "class_embedding"


class Dropped(NamedTuple):
    """A member of a seed's pool that was dropped: its last row, or if it was the nearest of those, all D of them."""

    z: np.ndarray  # [D, 128]
    classes: np.ndarray  # as in Trajectory
    sketches: np.ndarray
    losses: np.ndarray  # [D]
    top_classes: np.ndarray  # [D], their numbers


def class_part(metadata: dict) -> str:
    """What the part of a trajectory beside z is called in its file."""
    return "class_embedding" if metadata.get("latent", {}).get("classes") == "embedding" else "classes"


def write_trajectories(
    path: Path,
    seeds: list[int],
    z: np.ndarray,
    classes: np.ndarray,
    sketches: np.ndarray,
    metadata: dict,
    dropped: Mapping[tuple[int, int], Dropped] | None = None,
) -> None:
    """Write a batch's trajectories: the same bytes for the same trajectories.

    Args:
        path: the .safetensors file; it takes its name only when it is complete.
        seeds: N seeds.
        z: [N, S+1, 128].
        classes: [N, S+1, C], probabilities, or the class embedding where metadata's latent.classes says so.
        sketches: [N, S+1, 512] of the pictures.
        metadata: plain values, stored as JSON; status and last_step are lists in the order of seeds.
        dropped: of a search, (seed, order among its starts) -> the way of a member that was dropped.
    """
    tensors = {}
    for (seed, order), way in (dropped or {}).items():
        for name, part in zip(_parts_of_dropped(seed, order, metadata), way, strict=True):
            tensors[name] = np.ascontiguousarray(part)
    for row, seed in enumerate(seeds):
        tensors[f"{seed}.z"] = np.ascontiguousarray(z[row], dtype=np.float32)
        tensors[f"{seed}.{class_part(metadata)}"] = np.ascontiguousarray(classes[row], dtype=np.float32)
        tensors[f"{seed}.sketches"] = np.ascontiguousarray(sketches[row], dtype=np.float16)
    sums = {name: hashlib.sha256(tensor).hexdigest() for name, tensor in tensors.items()}
    metadata = {**metadata, "tensors_sha256": sums, "header_sha256": UNSIGNED}
    data = save(tensors, {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()})
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(_signed(data))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _signed(data: bytes) -> bytes:
    """The same safetensors file with its metadata in order (the library's order is random), and the header's sha256."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    signature = hashlib.sha256(text).hexdigest()
    return struct.pack("<Q", len(text)) + text.replace(UNSIGNED.encode(), signature.encode()) + data[8 + length :]


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
        tensors = self._tensors(seed, [f"{seed}.{part}" for part in ("z", class_part(self.metadata), "sketches")])
        return Trajectory(seed, *tensors, *outcome, self.metadata)

    def pool(self, seed: int) -> list[tuple[int, int, float]]:
        """Order, step and loss of each member that a seed's search dropped, stage by stage, the nearest first.

        Files of before 27 November 2026 do not have their latents, and so nothing of them.
        """
        noted = self.metadata.get("dropped") or [[] for _ in self.metadata["seeds"]]
        kept = self.metadata["tensors_sha256"]
        return [tuple(one) for one in noted[self.metadata["seeds"].index(seed)] if f"{seed}.{one[0]}.z" in kept]

    def dropped(self, seed: int, order: int) -> Dropped:
        """The way of a member that a seed's search dropped, by its order among the seed's starts.

        Raises:
            UserError: the file does not hold it.
        """
        return Dropped(*self._tensors(seed, _parts_of_dropped(seed, order, self.metadata)))

    def _tensors(self, seed: int, names: list[str]) -> list[np.ndarray]:
        try:
            with safe_open(self.path, framework="np") as file:
                tensors = [file.get_tensor(name) for name in names]
        except (OSError, SafetensorError) as error:
            raise _without(self.path, seed, error) from None
        for name, tensor in zip(names, tensors, strict=True):
            if hashlib.sha256(np.ascontiguousarray(tensor)).hexdigest() != self.metadata["tensors_sha256"].get(name):
                raise _damaged(self.path, f"the latents of seed {seed} are not what was written")
        return tensors


def _parts_of_dropped(seed: int, order: int, metadata: dict) -> list[str]:
    """What the parts of a dropped member are called in a file, in the order of Dropped."""
    return [f"{seed}.{order}.{part}" for part in ("z", class_part(metadata), "sketches", "losses", "top_classes")]


def read_metadata(path: Path) -> dict:
    """A trajectory file's metadata, as plain values. The latents are not read, only their size is looked at.

    Raises:
        UserError: the file cannot be read, is no trajectory file, or its header is not what was written.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            text = file.read(length) if length <= LONGEST_HEADER else b""
            size = file.seek(0, 2)
        header = json.loads(text)
        signature = json.loads(header["__metadata__"]["header_sha256"])
        if hashlib.sha256(text.replace(signature.encode(), UNSIGNED.encode())).hexdigest() != signature:
            raise ValueError("its header is not what was written")
        end = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
        if size != 8 + length + end:
            raise ValueError(f"it has {size} bytes instead of {8 + length + end}")
        return {key: json.loads(value) for key, value in header["__metadata__"].items()}
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError, struct.error) as error:
        raise _damaged(path, error) from None


def read_trajectory(path: Path, seed: int) -> Trajectory:
    """Read one seed's trajectory.

    Raises:
        UserError: the file does not hold that seed, or is no trajectory file.
    """
    return TrajectoryFile(path).trajectory(seed)


def _without(path: Path, seed: int, error: Exception) -> UserError:
    return UserError(f"{path}: holds no trajectory of seed {seed} ({error}); delete the file to have it made again")


def _damaged(path: Path, error: object) -> UserError:
    return UserError(f"{path}: is damaged or no trajectory file ({error}); delete it to have it made again")
