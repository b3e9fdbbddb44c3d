"""Batches of seeds: their spelling, and which job inverts which seed."""

import pytest

from approach.batch_labels import label, members
from approach.errors import UserError
from approach.planning.batches import found_batches, plan_batches


@pytest.mark.parametrize(
    ("seeds", "text"), [([7], "7"), (range(16), "0-15"), ([9, 0, 1, 2], "0-2+9"), ([1, 3, 5], "1+3+5"), ([0, 1], "0-1")]
)
def test_a_label_spells_its_members(seeds, text):
    assert label(list(seeds)) == text
    assert members(text) == sorted(seeds)


@pytest.mark.parametrize("text", ["", "a", "1,2", "1-", "-1", "1++2", "1 2"])
def test_what_is_no_label_is_refused(text):
    with pytest.raises(UserError, match="does not spell"):
        members(text)


def test_nothing_on_disk_is_chunked():
    assert plan_batches([], list(range(5)), 2) == {"0-1": [0, 1], "2-3": [2, 3], "4": [4]}


def test_found_batches_keep_their_members():
    assert plan_batches(["0-2"], [0, 1, 2, 7], 16) == {"0-2": [0, 1, 2], "7": [7]}
    assert plan_batches(["0-2", "7"], [0, 1, 2, 7], 1) == {"0-2": [0, 1, 2], "7": [7]}
    assert plan_batches(["0-2"], [1], 16) == {"0-2": [1]}
    # of two that hold a seed, the one with the wanted steps
    assert plan_batches(["0+2", "0-3"], [0, 1, 2, 3], 16, "0+2".__eq__) == {"0-3": [0, 1, 2, 3]}
    assert plan_batches(["0-2", "1-3"], [0, 1, 2, 3], 16) == {"0-2": [0, 1, 2], "1-3": [3]}


def test_an_inversion_under_way_is_found_by_its_checkpoint(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "trajectories").mkdir()
    (tmp_path / "checkpoints" / "0-2.pt").touch()
    (tmp_path / "checkpoints" / "0-2.lock").touch()
    (tmp_path / "trajectories" / "7.safetensors").touch()
    (tmp_path / "trajectories" / ".9.safetensors.part").touch()
    assert found_batches(tmp_path) == ["0-2", "7"]
