"""The exhibition: every file is read back, and all are in step."""

import av
import numpy as np
import pytest

from approach.film.captions import FIELDS, strip_height
from approach.film.encode import encode_film, encode_frames, options_of, write_frames
from approach.film.exhibition import (
    COUNTER_BITS,
    SCREENS,
    counter_cell,
    describe,
    line_up_frames,
    most_bits,
    players_codec,
    screen_look,
    screen_size,
    wrong,
)
from approach.film.probe import read_frames
from helpers.frames import noise, number_of, numbered, numbered_channels

HEIGHT, FPS, COUNT = 180, 25, 60
VIDEO = {"frame": "16:9", "fill": "black", "height": HEIGHT, "gop": None}
H264, PRORES = {"preset": "veryfast", "mbit": 2}, {"prores": True}
BT709 = {"range": "tv", "matrix": "bt709", "primaries": "bt709", "transfer": "iec61966-2-1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All files of a small exhibition, whose channels count their frames, each from a number of its own."""
    folder = tmp_path_factory.mktemp("exhibition")
    sources = numbered_channels(folder, FPS, COUNT)
    for screen, channels in SCREENS.items():
        for form, codec in (("mp4", H264), ("mov", PRORES)):
            encode_film(
                [sources[channel - 1] for channel in channels],
                folder / f"{screen}.{form}",
                fps=FPS,
                count=COUNT,
                look=screen_look(screen, VIDEO, []) | {"scaling": "nearest"},
                codec={**codec, "metadata": {"title": "A title", "copyright": "A museum. CC BY 4.0."}},
            )
        path = folder / f"line-up-{screen}.mp4"
        encode_frames(line_up_frames(screen, VIDEO, 30, FPS), path, fps=FPS, count=30, codec=H264)
    return folder


def films(form):
    return [f"{screen}.{form}" for screen in SCREENS]


@pytest.mark.parametrize("file", [*films("mp4"), *films("mov"), *(f"line-up-{screen}.mp4" for screen in SCREENS)])
def test_every_file_is_what_players_want(made, file):
    found = describe(made / file)
    width = 320 * (3 if "wide" in file else 1)
    assert (found["width"], found["height"], found["fps"]) == (width, HEIGHT, FPS)
    assert found["frames"] == (30 if "line-up" in file else COUNT)
    assert found["colours"] == BT709 and found["audio"] == 0 and len(found["sha256"]) == 64
    if file.endswith("mov"):
        assert (found["codec"], found["profile"], found["pix_fmt"]) == ("prores", "HQ", "yuv422p10le")
    else:
        assert (found["codec"], found["profile"], found["pix_fmt"]) == ("h264", "High", "yuv420p")
        assert found["group"] == FPS and found["closed"] is True
        assert found["busiest"] <= 1.5 * 2e6 < most_bits(VIDEO)
    if "line-up" not in file:
        with av.open(str(made / file)) as film:
            assert (film.metadata["title"], film.metadata["copyright"]) == ("A title", "A museum. CC BY 4.0.")


def test_the_rate_is_constant(made):
    """Three pictures need more bits than one; the files are of one rate all the same."""
    for file in films("mp4"):
        assert describe(made / file)["mbit"] == pytest.approx(2, rel=0.1)


def test_no_second_is_too_full_even_of_noise(tmp_path):
    write_frames(noise(75, 64, 64), tmp_path / "noise.mkv", fps=FPS, count=75)
    look, codec = screen_look("left", VIDEO | {"height": 360}, []), {"preset": "ultrafast", "mbit": 4}
    encode_film([tmp_path / "noise.mkv"], tmp_path / "left.mp4", fps=FPS, count=75, look=look, codec=codec)
    assert describe(tmp_path / "left.mp4")["busiest"] <= 1.5 * 4e6
    for height in (1080, 2160):
        video = VIDEO | {"height": height, "mbit": None, "preset": "fast"}
        assert 1.5e6 * players_codec(video)["mbit"] <= most_bits(video)


@pytest.mark.parametrize("form", ["mp4", "mov"])
def test_the_wide_file_and_the_screens_are_in_step(made, form):
    left = (320 - HEIGHT) // 2
    apart = [read_frames(made / file) for file in films(form)[:3]]
    for number, (wide, *screens) in enumerate(zip(read_frames(made / f"wide.{form}"), *apart, strict=True)):
        seen = [number_of(screen[:, left : left + HEIGHT]) for screen in screens]
        in_wide = [number_of(wide[:, 320 * place + left :][:, :HEIGHT]) for place in range(3)]
        assert seen == in_wide == [number, number + 100, number + 200]
        assert wide[:, : left - 2].max() < 8 and wide[:, left + HEIGHT + 2 : 320 + left - 2].max() < 8
    assert number == COUNT - 1


def counter(picture, middle, width, height):
    cell = height // 27
    bits = []
    for bit in range(COUNTER_BITS):
        left, top = counter_cell(bit, middle, width, height)
        bits.append(picture[top + cell // 2, left + cell // 2].mean() > 127)
    return sum(int(value) << place for place, value in enumerate(bits))


def test_the_line_up_clip_counts_on_every_screen(made):
    apart = [read_frames(made / f"line-up-{screen}.mp4") for screen in ("left", "centre", "right")]
    for number, (wide, *screens) in enumerate(zip(read_frames(made / "line-up-wide.mp4"), *apart, strict=True)):
        assert [counter(screen, 160, 320, HEIGHT) for screen in screens] == [number] * 3
        assert [counter(wide, 160 + 320 * place, 320, HEIGHT) for place in range(3)] == [number] * 3
        flash = [screen[round(HEIGHT * 0.78) + 5, 160].mean() > 200 for screen in screens]
        assert flash == [number % FPS == 0] * 3


def test_what_is_not_as_planned_is_said(made):
    files = [describe(made / file) for file in (*films("mp4"), *films("mov"))]
    assert wrong(files, VIDEO, FPS) == []
    short = [files[0], {**files[1], "frames": 59}]
    assert "differ in frames" in wrong(short, VIDEO, FPS)[0]
    for change, word in (
        ({"busiest": 26_000_000}, "26.0 Mbit"),
        ({"closed": False}, "closed"),
        ({"audio": 1}, "audio"),
        ({"width": 318}, "width"),
    ):
        assert word in wrong([{**files[0], **change}], VIDEO, FPS)[0]


@pytest.mark.parametrize("height", [180, 1080, 2160])
def test_square_and_caption_fill_the_height(height):
    assert screen_look("left", VIDEO | {"height": height}, [])["size"] == height
    look = screen_look("wide", VIDEO | {"height": height}, FIELDS)
    assert look["canvas"] == (3 * height * 16 // 9, height)
    assert height - 4 <= look["size"] + strip_height(look["size"], FIELDS) <= height and look["size"] % 2 == 0
    assert look["size"] + look["gap"] == height * 16 // 9


def test_captions_are_part_of_the_screen(tmp_path):
    write_frames(numbered(5), tmp_path / "f.mkv", fps=FPS, count=5)
    look = screen_look("left", VIDEO | {"height": 360}, ["step"])
    strip = np.full((strip_height(look["size"], ["step"]), look["size"], 3), 200, np.uint8)
    found = encode_film(
        [tmp_path / "f.mkv"], tmp_path / "l.mp4", fps=FPS, count=5, look=look, codec=H264, captions=[strip] * 5
    )
    assert (found["width"], found["height"]) == (640, 360)
    assert options_of(PRORES, FPS)["pix_fmt"] == "yuv422p10le"


SHAPES = [("16:9", 90, "crop"), ("16:9", 90, "mirror"), ("1:1", 90, "black"), ("9:16", 160, "black")]
SHAPES += [("9:16", 160, "crop"), ("9:16", 160, "mirror")]


@pytest.mark.parametrize(("frame", "height", "fill"), SHAPES)
def test_rooms_differ(tmp_path, frame, height, fill):
    """A ramp from black on the left to white on the right, green from the top down: where it is told by its colours."""
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], np.zeros((64, 64), np.uint8)), axis=-1)
    sources = [tmp_path / f"{channel}.mkv" for channel in range(3)]
    for source in sources:
        write_frames([picture] * 3, source, fps=FPS, count=3)
    video = VIDEO | {"frame": frame, "height": height, "fill": fill, "mbit": None, "preset": "fast"}
    look, (width, _) = screen_look("wide", video, ["step"]), screen_size(video)
    strip = strip_height(look["size"], ["step"])
    whole = 3 * look["size"] + 2 * look["gap"]
    captions = [np.full((strip, whole, 3), 200, np.uint8)] * 3
    encode_film(
        sources, tmp_path / "w.mp4", fps=FPS, count=3, look=look, codec={"crf": 1, "preset": "fast"}, captions=captions
    )
    shown = next(iter(read_frames(tmp_path / "w.mp4"))).astype(int)
    assert shown.shape == (height, 3 * width, 3)
    side = look["size"] if fill == "black" else min(width, height - strip)
    above = (height - side - strip) // 2 if fill == "black" else 0
    room = above + side if fill == "black" else height - strip
    first, last = shown[:room, :width], shown[:room, 2 * width :]
    assert np.abs(first - last).max() < 12
    middle_row, middle_column = above + (room - above) // 2, width // 2
    assert np.abs(first[middle_row, middle_column, :2] - 127).max() < 12
    red, green = first[middle_row, :, 0], first[:, middle_column, 1]
    if fill == "mirror":
        for line, length in ((red, width), (green, room)):
            at = (length - side) // 4 * 2
            assert np.abs(line[at : 2 * at][::-1] - line[:at]).max() < 20 if at else True
            assert line[at + 2] < 30 and line[at + side - 3] > 225, "the picture is whole"
    elif fill == "crop":
        longer, shorter = (red, green) if width > room else (green, red)
        assert longer[2] < 30 and longer[-3] > 225, "as wide as the screen"
        assert shorter[2] > 30 and shorter[-3] < 225, "cut off"
    elif above > 4:
        assert first[: above - 4].max() < 8, "black above"


@pytest.mark.parametrize("gop", [1, 5])
def test_players_that_seek_get_short_groups(tmp_path, gop):
    write_frames(numbered(12), tmp_path / "f.mkv", fps=FPS, count=12)
    look, video = screen_look("left", VIDEO, []), VIDEO | {"gop": gop, "mbit": 2, "preset": "veryfast"}
    encode_film([tmp_path / "f.mkv"], tmp_path / "left.mp4", fps=FPS, count=12, look=look, codec=players_codec(video))
    found = describe(tmp_path / "left.mp4")
    assert (found["group"], found["closed"]) == (gop, True) and wrong([found], video, FPS) == []
