"""What two films show is made once, and copied while it is what was made."""

import json
import threading

import numpy as np
import pytest

from approach.once import Thing, digest_of, digest_of_arrays, make_each_once, make_once
from approach.pictures.readings import PAIRS, in_channel_order, surveyed_order

SAME = {"trajectory": "abc", "positions": [0, 0.5, 1]}


@pytest.fixture
def made(tmp_path):
    """Make a file as a job would, and count the makings."""
    calls = []

    def make(name, made_of=SAME):
        def work(path):
            calls.append(name)
            path.write_text(f"made for {name}")

        return make_once(tmp_path / name, tmp_path / "made", made_of, work)

    make.calls, make.folder = calls, tmp_path
    return make


def test_the_second_is_a_copy_of_the_first(made):
    assert made("one") and not made("two") and made("other", {**SAME, "positions": [0]})
    assert made.calls == ["one", "other"]
    assert (made.folder / "two").read_text() == "made for one"
    assert {path.suffix for path in (made.folder / "made").iterdir()} == {".json"}


@pytest.mark.parametrize("harm", ["deleted", "changed", "note damaged", "note deleted"])
def test_what_is_no_longer_what_was_made_is_made_again(made, harm):
    made("one")
    (note,) = (made.folder / "made").iterdir()
    if harm == "deleted":
        (made.folder / "one").unlink()
    elif harm == "changed":
        (made.folder / "one").write_text("made for nobody")
    elif harm == "note damaged":
        note.write_text(json.dumps({"file": 1}))
    else:
        note.unlink()
    assert made("two") and made.calls == ["one", "two"]
    assert not made("three") and (made.folder / "three").read_text() == "made for two"


def test_the_same_file_is_made_again_where_it_was_asked_for_again(made):
    """Snakemake removes what a job is to make; were it still there, it would not be copied onto itself."""
    assert made("one") and made("one")


def test_what_another_job_is_making_comes_last(tmp_path):
    """That job is as far as its own second file when it hears that this one has made its first."""
    notes, held, ours = tmp_path / "made", threading.Event(), threading.Event()
    first, second = ({"trajectory": name} for name in ("first", "second"))

    def slowly(path):
        held.set()
        assert ours.wait(30)
        path.write_text("the other's")

    def quickly(path):
        path.write_text("ours")
        ours.set()

    other = threading.Thread(target=make_once, args=(tmp_path / "theirs", notes, first, slowly))
    other.start()
    assert held.wait(30)
    things = [Thing(tmp_path / "one", first, quickly), Thing(tmp_path / "two", second, quickly)]
    assert [(thing.output.name, made) for thing, made in make_each_once(things, notes)] == [
        ("two", True),
        ("one", False),
    ]
    other.join()
    assert (tmp_path / "one").read_text() == "the other's"


def test_what_a_killed_job_left_of_a_note_is_gone_after_the_next(made):
    left = made.folder / "made" / f"{digest_of(SAME)}.part"
    left.parent.mkdir()
    left.write_text('{"file": "on')
    assert made("one")
    assert not left.exists()


def test_a_job_that_fails_leaves_no_note(made):
    with pytest.raises(ZeroDivisionError):
        make_once(made.folder / "bad", made.folder / "made", SAME, lambda path: 1 / 0)
    assert not list((made.folder / "made").iterdir())


def test_digests_tell_values_shapes_and_kinds_apart():
    zeros = [np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.float32), np.ones(4)]
    assert len({digest_of_arrays(each) for each in zeros}) == 4
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_a_survey_is_shared_by_films_in_any_order(order):
    """Each array says between which trajectories it is; a film sees them in the order of its channels."""
    channels = [{"setting": "loss~l2", "seed": 10 * seed} for seed in order]
    assert [channels[place]["seed"] for place in surveyed_order(channels)] == [0, 10, 20]
    found = {
        "surface": np.zeros((2, 2)),
        "arrivals": np.array([[seed, seed] for seed in range(3)]),
        **{f"trajectory_{seed + 1}": np.full((4, 3), seed) for seed in range(3)},
        "profiles": np.array([np.linspace(a - 1, b - 1, 5) for a, b in PAIRS]),
        "profile_x": np.array([np.linspace(0, (a - b) ** 2, 5) for a, b in PAIRS]),
    }
    seen = in_channel_order(found, channels)
    assert seen["arrivals"][:, 0].tolist() == list(order)
    assert [seen[f"trajectory_{number}"][0, 0] for number in (1, 2, 3)] == list(order)
    for (a, b), profile, along in zip(PAIRS, seen["profiles"], seen["profile_x"], strict=True):
        assert (profile[0], profile[-1]) == (order[a - 1], order[b - 1])
        assert along[-1] == (order[a - 1] - order[b - 1]) ** 2
