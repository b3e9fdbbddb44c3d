"""Sound: a drone that follows loss and gradient, beside a copy of the film; read back from the file."""

import av
import numpy as np
import pytest

from approach.errors import UserError
from approach.film.encode import encode_film, write_frames
from approach.film.sound import FADE, PARTIALS, PEAK, RATE, add_sound, drone, shares
from helpers.frames import numbered

FPS, COUNT, NOTE = 25, 100, 110.0
FALLING = np.geomspace(1, 0.01, COUNT)


def spectrum(sound, begin, seconds):
    """Magnitudes of a stretch of sound, and their frequencies in Hz."""
    part = sound[round(begin * RATE) : round((begin + seconds) * RATE)]
    return np.fft.rfftfreq(len(part), 1 / RATE), np.abs(np.fft.rfft(part * np.hanning(len(part))))


def brightness(sound, begin):
    """The spectral centroid of half a second, in Hz."""
    at, found = spectrum(sound, begin, 0.5)
    return (at * found).sum() / found.sum()


def test_the_sound_darkens_as_the_loss_falls():
    sound = drone(FALLING, FALLING, fps=FPS, note=NOTE, loop=False)
    assert len(sound) == COUNT / FPS * RATE and sound.dtype == np.float32
    assert np.abs(sound).max() == pytest.approx(PEAK, abs=1e-6)
    centroids = [brightness(sound, begin) for begin in (0.2, 1.2, 2.2, 3.3)]
    assert centroids == sorted(centroids, reverse=True) and centroids[0] > 2 * centroids[-1]
    at, found = spectrum(sound, 3.3, 0.6)
    assert at[found.argmax()] == pytest.approx(NOTE, abs=2), "the ground note, at the arrival"


def strays(sound):
    """How far the partials' peaks are from multiples of the ground note, as a share."""
    at, found = spectrum(sound, 0.5, 3)
    off = []
    for number in range(2, 9):
        near = np.flatnonzero(np.abs(at - number * NOTE) < 0.3 * NOTE)
        off.append(at[near[found[near].argmax()]] / (number * NOTE) - 1)
    return np.abs(off)


def test_partials_lock_where_the_gradient_vanishes():
    """The two ends of a scale: loss high throughout but for the last frame, gradient high, or low."""
    loss = np.ones(COUNT)
    loss[-1] = 0.1
    low, high = np.full(COUNT, 0.01), np.ones(COUNT)
    low[-1], high[-1] = 1, 0.01
    locked, detuned = (strays(drone(loss, steep, fps=FPS, note=NOTE, loop=False)) for steep in (low, high))
    assert locked.max() < 0.001 < 0.002 < detuned.max() < 0.015


@pytest.mark.parametrize("loop", [True, False])
def test_the_end_leads_into_the_beginning_or_fades(loop):
    there_and_back = np.concatenate([FALLING, FALLING[::-1]])
    sound = drone(there_and_back, there_and_back, fps=FPS, note=NOTE, loop=loop)
    if loop:
        assert abs(float(sound[-1])) < 1e-4  # every partial ends with a whole cycle, where it begins
        assert np.abs(sound[: round(FADE * RATE)]).max() > 0.1
    else:
        assert abs(sound[0]) < 1e-3 and abs(sound[-1]) < 1e-3


@pytest.mark.parametrize("values", [[1, 1, 1], [0, 0], [np.nan, np.nan], [np.inf]])
def test_what_does_not_change_is_calm(values):
    assert shares(values).tolist() == [0.0] * len(values)
    sound = drone(np.array(values), np.array(values), fps=1, note=NOTE, loop=False)
    assert np.isfinite(sound).all() and 0 < np.abs(sound).max() <= PEAK


def test_a_failed_step_sounds_like_the_nearest():
    assert shares([1, 0.1, np.nan, 0]).tolist() == pytest.approx([1, 0, 0, 0])


def test_every_partial_can_be_heard():
    assert 165 * PARTIALS * 1.02 < RATE / 2


def test_the_film_with_sound_is_the_film_and_the_sound(tmp_path):
    write_frames(numbered(COUNT), tmp_path / "0.mkv", fps=FPS, count=COUNT)
    film, output = tmp_path / "channel-1.mp4", tmp_path / "channel-1-sound.mp4"
    look, codec = {"size": 64}, {"crf": 20, "preset": "ultrafast", "metadata": {"title": "A title"}}
    encode_film([tmp_path / "0.mkv"], film, fps=FPS, count=COUNT, look=look, codec=codec)
    sound = drone(FALLING, FALLING, fps=FPS, note=NOTE, loop=False)
    add_sound(film, sound, output)
    with av.open(str(film)) as silent, av.open(str(output)) as heard:
        assert not silent.streams.audio and [one.type for one in heard.streams] == ["video", "audio"]
        pictures = [[bytes(packet) for packet in one.demux(video=0)] for one in (silent, heard)]
        assert pictures[0] == pictures[1] and heard.metadata["title"] == "A title"
    with av.open(str(output)) as heard:
        assert (heard.streams.audio[0].rate, heard.streams.audio[0].codec_context.name) == (RATE, "aac")
        samples = np.concatenate([frame.to_ndarray()[0] for frame in heard.decode(audio=0)])
    assert len(sound) <= len(samples) <= len(sound) + 4096
    assert brightness(samples, 0.2) > 2 * brightness(samples, 3.3)
    same = np.corrcoef(samples[: len(sound)], sound)[0, 1]
    assert same > 0.98, "what is heard is what was made, and in time"
    with pytest.raises(UserError, match="could not write"):
        add_sound(tmp_path / "absent.mp4", sound, output)
    assert output.is_file() and not list(tmp_path.glob(".*"))
