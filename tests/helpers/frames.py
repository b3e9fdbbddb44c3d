"""Frames that a test knows again after they went through an encoder."""

import numpy as np

from approach.film.encode import write_frames


def noise(count, height=66, width=70, seed=0):
    source = np.random.default_rng(seed)
    return [source.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def numbered(count, size=64):
    """Frames that say in black and white blocks which they are."""
    frames = []
    for number in range(count):
        bits = [(number >> bit) & 1 for bit in range(16)]
        frames.append(
            np.array(bits, np.uint8).reshape(4, 4, 1).repeat(3, axis=2).repeat(size // 4, 0).repeat(size // 4, 1) * 255
        )
    return frames


def numbered_channels(folder, fps, count):
    """Three channels' frames without loss, counted from 0, 100 and 200 on."""
    sources = [folder / f"{channel}.mkv" for channel in range(3)]
    for channel, source in enumerate(sources):
        write_frames(numbered(count + 100 * channel)[100 * channel :], source, fps=fps, count=count)
    return sources


def number_of(picture):
    size = picture.shape[0] // 4
    bits = [
        picture[size * row + size // 2, size * column + size // 2].mean() > 127
        for row in range(4)
        for column in range(4)
    ]
    return sum(int(bit) << place for place, bit in enumerate(bits))
