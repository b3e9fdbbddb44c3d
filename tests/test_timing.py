"""Frame times: counts, ends, monotony, loops, equal perceived change."""

import itertools

import numpy as np
import pytest

from approach.errors import UserError
from approach.film.timing import distances, equal_change, film_timing, progress, ring_positions

VIDEO = {"fps": 25, "seconds": 4.0, "hold": 1.0, "ease": 0.0, "loop": False, "time": "steps", "clock": "common"}
RUSH = np.concatenate([[0], np.cumsum(np.exp(-np.arange(300) / 40))])


@pytest.mark.parametrize(
    ("seconds", "hold", "ease", "loop"),
    list(itertools.product([0.08, 1.0, 4.02], [0, 0.5], [0, 0.5, 1], [False, True])),
)
def test_progress_has_the_frames_asked_for_and_both_ends(seconds, hold, ease, loop):
    share = progress({"fps": 25, "seconds": seconds, "hold": hold, "ease": ease, "loop": loop})
    moving, held = round(seconds * 25), round(hold * 25)
    assert len(share) == moving * (2 if loop else 1) + 2 * held
    there = share[: held + moving + held]
    assert (share[: held + 1] == 0).all() and (there[held + moving - 1 :] == 1).all()
    assert (np.diff(there) >= 0).all() and (np.diff(there[held : held + moving]) > 0).all()
    if loop:
        back = share[held + moving + held :]
        assert (np.diff(back) < 0).all() and back[-1] > 0 and back[0] < 1  # neither end is shown twice


def test_a_loop_closes_without_a_jump():
    share = progress({"fps": 25, "seconds": 4, "loop": True, "ease": 0})
    steps = np.abs(np.diff(np.append(share, share[0])))
    assert steps.max() < 1.05 * steps.min()


def test_ease_slows_both_ends():
    even, eased = (np.diff(progress({"fps": 25, "seconds": 4, "ease": ease})) for ease in (0, 1))
    assert np.allclose(even, even[0])
    assert eased[0] < 0.1 * eased[50] and eased[-1] < 0.1 * eased[50]
    assert np.allclose(eased, eased[::-1])


def test_less_than_two_frames_is_one_clear_line():
    with pytest.raises(UserError, match=r"video\.seconds=0\.01"):
        progress({"fps": 25, "seconds": 0.01})


def change(values):
    """A trajectory whose sketches are one number each."""
    return np.asarray(values, float)[:, None]


def variation(pictures):
    """Coefficient of variation of the change from frame to frame."""
    found = distances(pictures)
    return found.std() / found.mean()


def test_perceived_time_changes_equally():
    where = equal_change([change(RUSH)], 241)
    assert variation(np.interp(where, np.arange(301), RUSH)) < 0.02
    assert where[0] == 0 and where[-1] == 300
    assert variation(np.interp(np.linspace(0, 300, 241), np.arange(301), RUSH)) > 1


def test_trembling_on_the_spot_takes_no_time():
    source = np.random.default_rng(0)
    pictures = np.concatenate([np.linspace([0.0] * 8, [1.0] * 8, 150), 1 + 0.02 * source.normal(size=(150, 8))])
    where = equal_change([pictures], 100)
    shown = np.stack([np.interp(where, np.arange(300), value) for value in pictures.T], axis=1)
    assert variation(shown) < 0.15


def test_perceived_time_of_a_trajectory_that_stops_or_never_moves():
    stopped = np.minimum(RUSH, RUSH[100])
    where = equal_change([change(stopped)], 100)
    assert (np.diff(where) > 0).all() and where[-2] <= 102 and where[-1] == 300
    assert np.allclose(equal_change([change(np.zeros(301))], 100), np.linspace(0, 300, 100))


def test_a_common_clock_shows_the_same_step_and_own_clocks_arrive_together():
    common = film_timing(VIDEO, [300, 300, 150])
    assert common["frames"] == 150 and [len(channel) for channel in common["positions"]] == [150] * 3
    assert common["positions"][0] == common["positions"][1]
    assert common["positions"][2] == [min(position, 150) for position in common["positions"][0]]
    own = film_timing({**VIDEO, "clock": "own"}, [300, 300, 150])
    assert np.allclose(np.array(own["positions"][0]) / 2, own["positions"][2], atol=1e-6)


@pytest.mark.parametrize("clock", ["common", "own"])
def test_perceived_films_of_three_different_trajectories(clock):
    changes = [change(RUSH), change(np.linspace(0, 9, 301)), change(np.zeros(301))]
    film = film_timing({**VIDEO, "time": "perceived", "clock": clock}, [300] * 3, changes)
    for channel in film["positions"]:
        assert channel[0] == 0 and channel[-1] == 300 and (np.diff(channel) >= 0).all()
    assert (film["positions"][0] == film["positions"][1]) is (clock == "common")


@pytest.mark.parametrize("last", [0, 1, 77, 150])
def test_a_channel_that_ends_before_its_arrival_changes_equally_until_there(last):
    changes = [change(RUSH)] * 3
    film = film_timing({**VIDEO, "time": "perceived", "clock": "own"}, [300, last, last], changes)
    assert [max(channel) for channel in film["positions"]] == [300, last, last]
    if last > 50:
        shown = np.interp(film["positions"][1], np.arange(301), RUSH)
        forward = shown[: int(np.argmax(film["positions"][1])) + 1]
        assert variation(forward[forward > 0]) < 0.1


def test_perceived_time_without_sketches_is_refused():
    with pytest.raises(ValueError, match="sketches"):
        film_timing({**VIDEO, "time": "perceived"}, [300] * 3)


STOPS = [0, 100, 112, 212, 236]  # start, arrival, arrival, start, and the first start again


@pytest.mark.parametrize(("hold", "ease"), [(0, 0), (0.4, 0), (0.4, 0.5)])
def test_a_ring_rests_at_its_stops_and_ends_where_it_began(hold, ease):
    video = {"fps": 25, "seconds": 4.0, "hold": hold, "ease": ease}
    shown = ring_positions(video, STOPS)
    held = round(25 * hold)
    assert len(shown) == 2 * 100 + 4 * held
    assert shown[0] == 0 and shown[-1] == 236 and (np.diff(shown) >= 0).all()
    for stop in STOPS[1:-1]:
        assert (shown == stop).sum() == held + 1
    moving = np.diff(shown)[np.diff(shown) > 0]
    assert moving.max() < (1.1 if not ease else 1.5) * np.median(moving)


def test_a_ring_too_short_for_its_legs_is_one_clear_line():
    with pytest.raises(UserError, match=r"video\.seconds=0\.04.*too short for a ring"):
        ring_positions({"fps": 25, "seconds": 0.04}, STOPS)


def test_the_channels_of_a_ring_go_at_even_pace_each_and_close_together():
    turns = [np.interp(np.arange(237), STOPS, [0, 9, 7, 1, 0]), np.interp(np.arange(237), STOPS, [0, 1, 3, 2, 0]) ** 2]
    changes = [change(values) for values in turns]
    video = {**VIDEO, "time": "perceived", "clock": "own"}
    film = film_timing(video, [236, 236], changes, STOPS)
    assert film["frames"] == 2 * 100 + 4 * 25
    for positions, values in zip(film["positions"], turns, strict=True):
        assert positions[0] == 0 and positions[-1] == 236
        assert {float(stop) for stop in STOPS} <= set(positions)
        moved = np.abs(np.diff(np.interp(positions, np.arange(237), values)))
        assert moved.max() < 1.5 * np.median(moved[moved > 0])
    common = film_timing({**video, "clock": "common"}, [236, 236], changes, STOPS)
    assert common["positions"][0] == common["positions"][1]
