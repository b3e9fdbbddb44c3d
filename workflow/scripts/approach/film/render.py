"""From a trajectory to frames: the generator's images at any step of it, fractions included."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch


def chunk(device: torch.device) -> int:
    """How many images are made at a time: on a CPU what its caches hold, on a GPU enough to be worth a launch."""
    return 8 if device.type == "cpu" else 32


def to_frames(images: torch.Tensor) -> np.ndarray:
    """Images [N, 3, H, W] in [-1, 1] as frames, uint8 [N, H, W, 3]; what lies outside the range is clipped."""
    pixels = images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


@torch.inference_mode()
def conditioning_at(
    generator: torch.nn.Module, z: np.ndarray, classes: np.ndarray, positions: Sequence[float]
) -> torch.Tensor:
    """What the generator receives at fractional steps: the conditioning of the two steps around, linearly between them.

    Args:
        generator: anything with a `conditioning`.
        z: [S+1, 128], as in a trajectory file.
        classes: [S+1, C], probabilities.
        positions: [F] in [0, S].

    Returns:
        [F, 256] on the generator's device.
    """
    where = next(chain(generator.parameters(), generator.buffers())).device
    last = len(z) - 1
    places = np.clip(np.asarray(positions, float), 0, last)
    before = np.floor(places).astype(int)
    needed, inverse = np.unique(np.stack([before, np.minimum(before + 1, last)]), return_inverse=True)
    steps = generator.conditioning(
        *(torch.as_tensor(np.asarray(array)[needed], dtype=torch.float32, device=where) for array in (z, classes))
    )
    low, high = torch.as_tensor(inverse.reshape(2, -1), device=where)
    share = torch.from_numpy((places - before).astype(np.float32)).to(steps)[:, None]
    return torch.lerp(steps[low], steps[high], share)


@torch.inference_mode()
def images_at(
    generator: torch.nn.Module, z: np.ndarray, classes: np.ndarray, positions: Sequence[float]
) -> torch.Tensor:
    """The generator's images [F, 3, S, S] in [-1, 1] at fractional steps, all at once; see conditioning_at."""
    return generator(conditioning_at(generator, z, classes, positions))


def render_frames(
    generator: torch.nn.Module,
    z: np.ndarray,
    classes: np.ndarray,
    positions: Sequence[float],
    batch: int | None = None,
    finish: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Iterator[np.ndarray]:
    """The frames of one channel in order; a held frame is made once and repeated, and so is the first of a ring.

    Args:
        generator: conditioning [N, 256] to images [N, 3, S, S] in [-1, 1].
        z: [S+1, 128], as in a trajectory file.
        classes: [S+1, C], probabilities.
        positions: the fractional step of each frame, in [0, S].
        batch: images made at a time; default: `chunk`.
        finish: changes images [N, 3, S, S] before they become frames.

    Yields:
        uint8 [H, W, 3].
    """
    moments, repeats = _runs(positions)
    first, again = None, 0
    if len(moments) > 1 and _closes(z, moments) and _closes(classes, moments):
        # In another batch it would be the same picture, but for rounding.
        moments, repeats, again = moments[:-1], repeats[:-1], int(repeats[-1])
    conditioning = conditioning_at(generator, z, classes, moments)
    batch = batch or chunk(conditioning.device)
    for begin in range(0, len(moments), batch):
        with torch.inference_mode():
            images = generator(conditioning[begin : begin + batch])
            frames = to_frames(finish(images) if finish else images)
        for frame, times in zip(frames, repeats[begin : begin + batch], strict=True):
            first = frame if first is None else first
            for _ in range(times):
                yield frame
    for _ in range(again):
        yield first


def _closes(part: np.ndarray, moments: np.ndarray) -> bool:
    """Whether the first and the last moment are whole steps of the same latent."""
    ends = moments[[0, -1]]
    return bool((ends == ends.round()).all()) and np.array_equal(*part[ends.astype(int)])


def _runs(positions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Positions without immediate repetitions, and how often each is shown."""
    places = np.asarray(positions, float)
    starts = np.flatnonzero(np.diff(places, prepend=np.nan) != 0)
    return places[starts], np.diff(starts, append=len(places))
