"""A film for messages and web pages: a small moving picture, and stills of a few moments."""

from pathlib import Path

from PIL import Image

from approach.errors import UserError
from approach.film.probe import read_frames

MOST_BYTES = 8_000_000
FPS = 12.5
MOST_FRAMES = 600
WIDTHS = (960, 720, 540, 400, 300)
STILLS = 5


def moving_picture(film: Path, output: Path, *, fps: float, frames: int) -> int:
    """An animated WebP of at most MOST_BYTES: as wide as fits, at 12.5 frames a second or, where long, at fewer.

    Args:
        film: the triptych.
        output: the .webp file.
        fps: the film's.
        frames: the film's.

    Returns:
        Its width in pixels.

    Raises:
        UserError: even the smallest is too large.
    """
    every = max(1, round(fps / FPS), -(-frames // MOST_FRAMES))
    kept = [Image.fromarray(frame) for number, frame in enumerate(read_frames(film)) if number % every == 0]
    for width in WIDTHS:
        size = (width, round(width * kept[0].height / kept[0].width))
        small = [picture.resize(size, Image.Resampling.LANCZOS) for picture in kept]
        small[0].save(
            output,
            save_all=True,
            append_images=small[1:],
            duration=round(1000 * every / fps),
            loop=0,
            quality=70,
            method=3,
            kmin=0,  # every picture whole: what is left over from the last one gathers like dust
            kmax=1,
        )
        if output.stat().st_size <= MOST_BYTES:
            return width
    output.unlink()
    raise UserError(
        f"{output}: over {MOST_BYTES // 10**6} MB at {WIDTHS[-1]} px; make the film shorter (video.seconds)"
    )


def stills(film: Path, folder: Path, turn: int) -> None:
    """STILLS pictures of a film at even times from its start to its arrival, frame `turn`: still-1.png and so on."""
    wanted = {round(turn * number / (STILLS - 1)): number + 1 for number in range(STILLS)}
    for number, frame in enumerate(read_frames(film)):
        if number in wanted:
            Image.fromarray(frame).save(folder / f"still-{wanted[number]}.png")
        if number >= turn:
            return
