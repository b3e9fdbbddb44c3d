"""Players' folders, each checked against what that player's own documentation says, and hours of repetition.

The sources, as read on 26 November 2026:

- mp4museum, from version 6: v7-beta/README.md, "Sync mode", https://github.com/lotech/mp4museum: `sync.mp4` and
  `sync-leader.txt` or `sync-player.txt` on a USB stick; the player then runs omxplayer-sync.
- omxplayer-sync: README.md, "Usage notes", https://github.com/turingmachine/omxplayer-sync: the file name on master and
  slave must be exactly the same; no other files than films in the folder; small groups of pictures.
- info-beamer: README.md, https://github.com/info-beamer/videowall: `playlist.txt`, a line of H.264 files of
  the same length, separated by commas, the first for the first screen.
- gst-sync-server: examples/test-server.c, https://github.com/ford-prefect/gst-sync-server: each line of the playlist is
  one URI and its duration in ns, separated by a space (read by `sscanf("%s %lu\\n")`).
- mpv: https://mpv.io/manual/stable/, `--loop-file`, `--fs-screen`, `--geometry`, `--script`, `--script-opts`.
"""

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from fractions import Fraction
from urllib.parse import urlsplit

import av
import numpy as np
import pytest

from approach.errors import UserError
from approach.film.encode import encode_film, encode_frames, ffmpeg_program
from approach.film.exhibition import (
    COUNTER_BITS,
    SCREENS,
    counter_cell,
    counter_side,
    describe,
    line_up_frames,
    players_codec,
    screen_look,
)
from approach.film.players import PLAYERS, lay_out
from approach.film.probe import read_film, read_frames
from approach.film.repeat import repeat_film, repeats
from approach.wording import work_of
from helpers.frames import numbered_channels

FPS, COUNT, TIMES = 25, 30, 4
WORK = work_of({"title": "Nach dem Nebel", "artist": "A. Person", "year": "2026", "licence": "CC BY 4.0"}, "x")
VIDEO = {"frame": "16:9", "fill": "black", "height": 90, "mbit": 1, "preset": "veryfast", "gop": 5}


@pytest.fixture(scope="module")
def exhibition(tmp_path_factory):
    """Films of three screens and a wide one, repeated; line-up clips of twice 5 s; and the players' folders."""
    folder = tmp_path_factory.mktemp("exhibition")
    sources = numbered_channels(folder, FPS, COUNT)
    films, line_ups = {}, {}
    for screen, channels in SCREENS.items():
        once, films[screen] = folder / f"{screen}.mp4", folder / "repeated" / f"{screen}.mp4"
        encode_film(
            [sources[channel - 1] for channel in channels], once, fps=FPS, count=COUNT,
            look=screen_look(screen, VIDEO, []), codec={**players_codec(VIDEO), "metadata": WORK.metadata},
        )  # fmt: skip
        assert repeat_film(once, films[screen], TIMES) == TIMES * COUNT
        once, line_ups[screen] = folder / f"once-{screen}.mp4", folder / f"line-up-{screen}.mp4"
        cards = line_up_frames(screen, VIDEO, 5 * FPS, FPS)
        encode_frames(cards, once, fps=FPS, count=5 * FPS, codec=players_codec(VIDEO))
        repeat_film(once, line_ups[screen], 2)  # in step also where a round ends in the file
    lay_out(folder / "players", films, line_ups, Fraction(TIMES * COUNT, FPS))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_player_has_a_folder(exhibition):
    assert names(exhibition / "players") == sorted([*PLAYERS, "SHA256SUMS"])


def test_mp4museum_s_sticks(exhibition):
    folder = exhibition / "players" / "mp4museum"
    assert names(folder) == ["1-left", "2-centre", "3-right"]
    assert names(folder / "1-left") == ["sync-leader.txt", "sync.mp4"]
    assert names(folder / "2-centre") == names(folder / "3-right") == ["sync-player.txt", "sync.mp4"]


def test_omxplayer_sync_s_sticks(exhibition):
    folder = exhibition / "players" / "omxplayer-sync"
    held = [names(folder / stick) for stick in ("1-left", "2-centre", "3-right")]
    assert held == [["triptych.mp4"]] * 3, "one name, and no other file beside it"
    assert describe(folder / "1-left" / "triptych.mp4")["group"] <= 25


def test_info_beamer_s_wall(exhibition):
    folder = exhibition / "players" / "info-beamer"
    (line,) = (folder / "playlist.txt").read_text().splitlines()
    assert line.split(",") == ["left.mp4", "centre.mp4", "right.mp4"]
    found = [read_film(folder / name) for name in line.split(",")]
    assert {one["codec"] for one in found} == {"h264"} and len({one["frames"] for one in found}) == 1


def test_gst_sync_server_s_playlist(exhibition):
    folder = exhibition / "players" / "gst-sync-server"
    text = (folder / "playlist.txt").read_text()
    uri, length = re.fullmatch(r"(\S+) (\d+)\n", text).groups()
    assert urlsplit(uri).scheme == "file" and len(uri) < 1024
    assert int(length) == TIMES * COUNT * 1_000_000_000 // FPS
    for stick in ("1-left", "2-centre", "3-right"):
        (film,) = (folder / stick).iterdir()
        assert film.name == uri.rpartition("/")[2] and round(read_film(film)["seconds"] * 1e9) == int(length)


def test_mpv_s_folder(exhibition):
    folder = exhibition / "players" / "mpv"
    assert names(folder) == sorted(["play.sh", "sync.lua", *(f"{p}{s}.mp4" for s in SCREENS for p in ("", "line-up-"))])
    assert os.access(folder / "play.sh", os.X_OK)
    subprocess.run(["sh", "-n", str(folder / "play.sh")], check=True)
    wrong = subprocess.run([str(folder / "play.sh"), "sideways"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "none of screens, wide, windows" in wrong.stderr


def test_folders_hold_second_names_and_no_copies(exhibition):
    for screen in ("left", "centre", "right"):
        assert (exhibition / "repeated" / f"{screen}.mp4").stat().st_nlink == 6
    sums = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=exhibition / "players", capture_output=True, check=False
    )
    assert sums.returncode == 0 and not sums.stdout


def test_without_hard_links_files_are_copied(exhibition, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    films = {screen: exhibition / f"{screen}.mp4" for screen in SCREENS}
    lay_out(tmp_path, films, films, Fraction(1))
    copied = tmp_path / "info-beamer" / "left.mp4"
    assert copied.read_bytes() == films["left"].read_bytes() and copied.stat().st_nlink == 1


@pytest.mark.parametrize("screen", SCREENS)
def test_what_is_repeated_is_the_film_again_and_again(exhibition, screen):
    once, repeated = exhibition / f"{screen}.mp4", exhibition / "repeated" / f"{screen}.mp4"
    pictures = list(read_frames(once))
    for number, picture in enumerate(read_frames(repeated)):
        assert np.array_equal(picture, pictures[number % COUNT])
    assert number == TIMES * COUNT - 1
    found = describe(repeated)
    assert (found["fps"], found["group"], found["closed"]) == (FPS, 5, True)
    data = repeated.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the tables stand first"
    with av.open(str(repeated)) as film:
        assert film.metadata.items() >= WORK.metadata.items()


def test_hours_are_as_large_as_one_round_and_their_tables(exhibition, tmp_path):
    times = repeats(4, COUNT / FPS)
    once, hours = exhibition / "left.mp4", tmp_path / "left.mp4"
    frames = repeat_film(once, hours, times)
    assert frames == 4 * 3600 * FPS and hours.stat().st_size < once.stat().st_size + 32 * frames
    with av.open(str(hours)) as film:
        stream = film.streams.video[0]
        for second in (0, 7200, 14399):  # a player that seeks finds a key frame, and the right picture after it
            film.seek(int(second / stream.time_base), stream=stream)
            frame = next(film.decode(stream))
            assert frame.key_frame and 0 <= second - frame.time < 5 / FPS
            picture = list(read_frames(once))[round(frame.time * FPS) % COUNT]
            assert np.array_equal(frame.to_ndarray(format="rgb24"), picture)


def test_a_film_with_sound_is_not_repeated(exhibition, tmp_path):
    command = [ffmpeg_program(), "-loglevel", "error", "-i", exhibition / "left.mp4", "-f", "lavfi", "-i", "anullsrc"]
    subprocess.run(
        [*command, "-c:v", "copy", "-shortest", "-movflags", "+faststart", tmp_path / "heard.mp4"], check=True
    )
    with pytest.raises(UserError, match=r"heard\.mp4 cannot be repeated 4 times by its tables: not one film alone"):
        repeat_film(tmp_path / "heard.mp4", tmp_path / "hours.mp4", 4)
    assert [path.name for path in tmp_path.iterdir()] == ["heard.mp4"]


@pytest.mark.parametrize("damage", [lambda data: data[:1000], lambda data: bytes(1000) + data, lambda data: b""])
def test_a_broken_film_is_not_repeated(exhibition, tmp_path, damage):
    broken = tmp_path / "left.mp4"
    broken.write_bytes(damage((exhibition / "left.mp4").read_bytes()))
    with pytest.raises(UserError, match=r"left\.mp4 holds no pictures: delete it, it is made again"):
        repeat_film(broken, tmp_path / "hours.mp4", 4)
    assert [path.name for path in tmp_path.iterdir()] == ["left.mp4"]


def test_hours_in_films():
    assert [repeats(4, 126), repeats(4, 14400), repeats(0, 126), repeats(0.01, 36)] == [115, 1, 1, 1]


# ---------------------------------------------------------------------------------------- how well they keep step

WIDTH, HEIGHT = 160, 90
WATCHED = 90  # seconds
TOGETHER = 15  # looks, two seconds


@pytest.fixture
def screen(tmp_path):
    """A display without a screen, three windows wide; its number, and what shows its picture now (uint8 [H, W, 3])."""
    if not (shutil.which("Xvfb") and shutil.which("mpv")):
        pytest.skip("no Xvfb or no mpv: apt-get install xvfb mpv")
    told, tells = os.pipe()
    size = f"{3 * WIDTH}x{HEIGHT}x24"
    command = ["Xvfb", "-displayfd", str(tells), "-screen", "0", size, "-fbdir", str(tmp_path), "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[tells], stderr=subprocess.DEVNULL)
    os.close(tells)
    with os.fdopen(told) as numbers:
        display = numbers.readline().strip()

    def look():
        # an X window dump (XWDFile.h): 25 numbers, the window's name, the colour map, and BGRX pixels
        data = (tmp_path / "Xvfb_screen0").read_bytes()
        head = struct.unpack(">25I", data[:100])
        pixels = np.frombuffer(data, np.uint8, offset=head[0] + 12 * head[19], count=head[12] * head[5])
        return pixels.reshape(head[5], head[12] // 4, 4)[:, :, 2::-1]

    yield display, look
    server.terminate()
    server.wait()


def counters(picture):
    """The frame counters of the three line-up clips, side by side."""
    half = counter_side(WIDTH, HEIGHT) // 2
    found = []
    for place in range(3):
        cells = [counter_cell(bit, place * WIDTH + WIDTH // 2, WIDTH, HEIGHT) for bit in range(COUNTER_BITS)]
        bits = [picture[top + half, left + half].mean() > 127 for left, top in cells]
        found.append(sum(int(bit) << place for place, bit in enumerate(bits)))
    return found


def frames_apart(seen):
    """How many frames the second and third window are ahead of the first, [looks, 2]; the clip goes round."""
    seen, length = np.array(seen), 5 * FPS
    return (seen[:, 1:] - seen[:, :1] + length // 2) % length - length // 2


def keep_step(seen):
    """Whether the last looks show three films that run, at most one frame apart; before they begin all are black."""
    last = seen[-TOGETHER:]
    runs = len({first for first, *_ in last}) > TOGETHER // 2
    return len(last) == TOGETHER and runs and bool((np.abs(frames_apart(last)) <= 1).all())


def test_three_windows_keep_step(exhibition, screen, record_property):
    """Not how fast this machine is: three players find one another, and show the same frame for two seconds."""
    display, look = screen
    environment = {**os.environ, "DISPLAY": f":{display}", "WIDTH": str(WIDTH), "HEIGHT": str(HEIGHT)}
    environment["MPV_OPTIONS"] = "--vo=x11"
    command = [str(exhibition / "players" / "mpv" / "play.sh"), "windows", "line-up"]
    playing = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        seen, until = [], time.monotonic() + WATCHED
        while time.monotonic() < until and not keep_step(seen):
            time.sleep(0.11)
            seen.append(counters(look()))
    finally:
        os.killpg(playing.pid, signal.SIGTERM)
        playing.wait()
    apart = np.abs(frames_apart(seen))
    record_property("frames apart", {"mean": float(apart.mean()), "most": int(apart.max())})
    print(f"frames apart: {apart.mean():.2f} on average, {apart.max()} at most, {len(seen)} looks")
    assert keep_step(seen), f"counters of the last looks: {seen[-TOGETHER:]}"
