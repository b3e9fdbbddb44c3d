"""A channel's film with the loss to be heard: a drone of partials that grow dark and calm as the trajectory arrives.

The loss opens the spectrum: far from the target many partials sound, at the nearest point hardly more than the ground
note. The gradient detunes them: while it is steep they beat against one another, where it vanishes they lock into a
harmonic tone. The three channels' ground notes stand as 4 : 5 : 6, so that three arrivals together are a chord.
"""

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from approach.errors import UserError
from approach.film.encode import ffmpeg_program
from approach.film.probe import count_frames

logger = logging.getLogger(__name__)

RATE = 48_000  # samples a second
GROUND_NOTES = (110.0, 137.5, 165.0)  # Hz, of the channels from left to right
PARTIALS = 16
DETUNED = 0.012  # share of its frequency by which a partial strays where the gradient is steepest
PEAK = 0.5
FADE = 0.03  # seconds at both ends of a film that does not return to its start


def shares(values: Sequence[float]) -> np.ndarray:
    """Values on a logarithmic scale from the smallest, 0, to the largest, 1; all 0 where they are alike.

    Values that are no positive number are taken for the smallest that is one.
    """
    values = np.asarray(values, dtype=float)
    good = np.isfinite(values) & (values > 0)
    if not good.any():
        return np.zeros(len(values))
    logs = np.log(np.where(good, values, values[good].min()))
    spread = logs.max() - logs.min()
    return (logs - logs.min()) / spread if spread > 1e-9 else np.zeros(len(values))


def drone(loss: np.ndarray, gradient: np.ndarray, *, fps: float, note: float, loop: bool) -> np.ndarray:
    """The sound of one channel.

    Args:
        loss: the loss in each frame of the film.
        gradient: the length of the gradient in each frame.
        fps: frames a second.
        note: the ground note, in Hz.
        loop: whether the last frame leads into the first; then the last sample does, too.

    Returns:
        Samples in [-1, 1], float32 at RATE, exactly as long as the film.
    """
    count = round(len(loss) / fps * RATE)
    moments, frames = np.arange(count) / RATE, (np.arange(len(loss)) + 0.5) / fps
    around = {"period": len(loss) / fps} if loop else {}
    bright, steep = (np.interp(moments, frames, shares(values), **around) for values in (loss, gradient))
    sound = np.zeros(count)
    stray = np.random.default_rng(0).uniform(-1, 1, PARTIALS)
    for number in range(1, PARTIALS + 1):
        cycles = np.cumsum(note * number * (1 + DETUNED * stray[number - 1] * steep)) / RATE
        if loop:
            cycles *= round(cycles[-1]) / cycles[-1]
        dark = 0.15 + 1.6 * (1 - bright)  # how fast the partials fade towards the high ones
        sound += np.exp(-dark * (number - 1)) / np.sqrt(number) * np.sin(2 * np.pi * cycles)
    sound *= PEAK / max(np.abs(sound).max(), 1e-9)
    if not loop:
        edge = np.minimum(1, np.minimum(moments, moments[::-1]) / FADE)
        sound *= edge
    return sound.astype(np.float32)


def add_sound(film: Path, sound: np.ndarray, output: Path) -> None:
    """Copy a film's packets beside a sound track (AAC, mono): no picture is encoded again.

    Args:
        film: an .mp4 file without sound; its tags are kept.
        sound: float32 samples at RATE.
        output: the .mp4 file.

    Raises:
        UserError: ffmpeg could not write it, or what it wrote does not hold the film and the sound.
    """
    partial = output.with_name(f".{output.stem}.part{output.suffix}")
    command = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-y", "-i", f"file:{film}"]
    command += [
        "-f",
        "f32le",
        "-ar",
        str(RATE),
        "-ac",
        "1",
        "-i",
        "pipe:",
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c:v",
        "copy",
    ]
    command += ["-c:a", "aac", "-b:a", "128k", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    command += ["-movflags", "+faststart", f"file:{partial}"]
    try:
        told = subprocess.run(command, input=sound.tobytes(), capture_output=True, check=False)
        if told.returncode:
            last = (told.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"ffmpeg could not write {output} (exit code {told.returncode}): {last}")
        with av.open(str(partial)) as written:
            heard = sum(frame.samples for frame in written.decode(audio=0))
        if count_frames(partial) != count_frames(film) or not len(sound) <= heard <= len(sound) + 4096:
            raise UserError(f"{output}: does not hold the film's frames and {len(sound)} samples, but {heard}")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
