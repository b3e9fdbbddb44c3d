"""From a trajectory to frames: the generator's images at any moment of a walk."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch


def to_frames(images: torch.Tensor) -> np.ndarray:
    """Images [N, 3, H, W] in [-1, 1] as frames, uint8 [N, H, W, 3]; what lies outside the range is clipped."""
    pixels = images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


@torch.inference_mode()
def path_conditioning(
    generator: torch.nn.Module, z: np.ndarray, classes: np.ndarray, positions: Sequence[float]
) -> torch.Tensor:
    """What the generator sees at fractional steps: the conditioning of the two steps around, linearly between them.

    `z` [S+1, 128] and `classes` [S+1, C] (probabilities) as in a trajectory file; `positions` [F] in [0, S].
    Returns [F, 256] on the generator's device.
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
    share = torch.as_tensor(places - before, dtype=steps.dtype, device=where)[:, None]
    return torch.lerp(steps[low], steps[high], share)


def render_frames(
    generator: torch.nn.Module,
    z: np.ndarray,
    classes: np.ndarray,
    positions: Sequence[float],
    batch: int = 16,
    finish: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
) -> Iterator[np.ndarray]:
    """The frames of one channel, uint8 [H, W, 3] each, in order; a held frame is made once and repeated.

    Arguments as in `path_conditioning`; `batch` images are made at a time; `finish` may change images [N, 3, S, S]
    before they become frames.
    """
    moments, repeats = _runs(positions)
    conditioning = path_conditioning(generator, z, classes, moments)
    for begin in range(0, len(moments), batch):
        with torch.inference_mode():
            frames = to_frames(finish(generator(conditioning[begin : begin + batch])))
        for frame, times in zip(frames, repeats[begin : begin + batch], strict=True):
            for _ in range(times):
                yield frame


def _runs(positions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Positions without immediate repetitions, and how often each is shown."""
    places = np.asarray(positions, float)
    starts = np.flatnonzero(np.diff(places, prepend=np.nan) != 0)
    return places[starts], np.diff(starts, append=len(places))
