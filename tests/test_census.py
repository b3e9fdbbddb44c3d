"""The census: places that are known, numbers of species that are known, and squares that do not overlap."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from approach.losses.alike import perceptual_products
from approach.losses.perceptual import Perceptual
from approach.pictures.places import (
    by_start_class,
    census_words,
    chao1,
    differences,
    pixel_differences,
    place_numbers,
    places_table,
    promised,
    small,
    split_check,
    typical,
    what_the_loss_does_not_say,
)
from approach.pictures.wall import pack, wall
from helpers.backbones import stand_in


def drawn(count, places, seed):
    """A sample of places that are found unequally often: the sizes of those found, and how many there are."""
    source = np.random.default_rng(seed)
    weights = source.gamma(2.0, size=places)
    return source.choice(places, size=count, p=weights / weights.sum())


def sizes_of(numbers):
    return np.unique(numbers, return_counts=True)[1]


def test_arrivals_near_one_another_are_one_place_and_the_largest_comes_first():
    source = np.random.default_rng(0)
    middles = 10 * np.eye(3)
    whose = np.array([2, 0, 1, 1, 2, 1, 1])
    points = middles[whose] + 0.1 * source.normal(size=(7, 3))
    numbers = place_numbers(differences(points @ points.T), 2.0)
    assert numbers.tolist() == [1, 2, 0, 0, 1, 0, 0]
    assert place_numbers(differences(points @ points.T), 100.0).tolist() == [0] * 7
    assert place_numbers(np.zeros((1, 1)), 1.0).tolist() == [0]


def test_pictures_differ_as_their_pixels_do():
    pictures = np.random.default_rng(1).integers(0, 256, (4, 128, 128, 3)).astype(np.uint8)
    reduced = small(pictures)
    assert reduced.shape == (4, 64, 64, 3)
    found = pixel_differences(reduced)
    for a, b in itertools.combinations(range(4), 2):
        assert found[a, b] == pytest.approx(np.sqrt(np.square(reduced[a] - reduced[b]).mean()), rel=1e-3)
    assert typical(found) == pytest.approx(np.median([found[a, b] for a, b in itertools.combinations(range(4), 2)]))


def test_products_of_features_give_lpips(tmp_path, monkeypatch):
    torch.save(stand_in("squeeze"), tmp_path / "squeeze.pth")
    module = Perceptual("squeeze", tmp_path / "squeeze.pth")
    monkeypatch.setattr("approach.losses.alike.BLOCK", 2)
    pictures = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = differences(perceptual_products(module, pictures).numpy())
    for a, b in itertools.combinations(range(5), 2):
        with torch.no_grad():
            wanted = float(module.distance(pictures[[a]], pictures[[b]]))
        assert found[a, b] ** 2 == pytest.approx(wanted, rel=1e-3)
    assert np.allclose(found, found.T)


def test_chao1_by_hand():
    told = chao1([5, 2, 2, 1, 1, 1, 1])
    assert (told["found"], told["once"], told["twice"]) == (7, 4, 2)
    assert told["estimate"] == pytest.approx(7 + 12 / 13 * 4 * 3 / (2 * 3))
    assert told["covered"] == pytest.approx(1 - 4 / 13)
    assert told["low"] < told["estimate"] < told["high"] and told["low"] >= 7
    spread = 12 / 13 * 12 / 6 + (12 / 13) ** 2 * (4 * 49 / 36 + 16 * 2 * 9 / 324)
    reach = np.exp(1.96 * np.sqrt(np.log(1 + spread / (told["estimate"] - 7) ** 2)))
    assert told["high"] == pytest.approx(7 + (told["estimate"] - 7) * reach)
    rare = chao1([3, 1, 1, 1])  # none was found twice
    unseen = 5 / 6 * 3
    spread = 5 / 6 * 3 + (5 / 6) ** 2 * (3 * 25 / 4 - 81 / (4 * (4 + unseen)))
    reach = np.exp(1.96 * np.sqrt(np.log(1 + spread / unseen**2)))
    assert (rare["low"], rare["high"]) == (pytest.approx(4 + unseen / reach), pytest.approx(4 + unseen * reach))
    sure = chao1([4, 3, 2])
    assert (sure["estimate"], sure["low"], sure["high"]) == (3, 3, 3)


def test_chao1s_interval_holds_the_number_of_places_that_there_are():
    """Where places are found unequally often it is a lower bound, and says so of itself."""
    told = [chao1(sizes_of(drawn(300, 120, seed))) for seed in range(60)]
    assert np.mean([one["low"] <= 120 <= one["high"] for one in told]) > 0.8
    assert 105 < np.mean([one["estimate"] for one in told]) < 125
    assert np.mean([one["found"] for one in told]) < 105


def test_half_of_a_sample_promises_what_all_of_it_shows():
    checks = [split_check(drawn(400, 120, seed)) for seed in range(40)]
    off = [check["promised"] / check["shown"] - 1 for check in checks]
    assert abs(np.mean(off)) < 0.03 and np.max(np.abs(off)) < 0.15
    assert all(check["half"] == 200 and check["found"] < check["shown"] for check in checks)
    assert promised([4, 3, 2], 2) == 3


def test_the_half_is_drawn_at_random_since_start_classes_follow_the_seeds():
    assert split_check(np.arange(100) % 2)["found"] == 2


@pytest.fixture(scope="module")
def counted():
    """Nine arrivals at three places, of which the largest is the farthest."""
    numbers = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2])
    points = np.stack([numbers * 5.0, np.arange(9) * 0.01], axis=1)
    table = pd.DataFrame(
        {
            "trajectory": [f"a/{seed}" for seed in range(9)],
            "start_class": ["shore"] * 4 + ["lamp"] * 5,
            "final_l2": [0.5] * 5 + [0.3] * 3 + [0.1],
        }
    )
    return numbers, places_table(numbers, differences(points @ points.T), table, "l2"), table


def test_places_know_their_basins_their_middle_and_where_they_drain_from(counted):
    numbers, places, table = counted
    assert places["arrivals"].tolist() == [5, 3, 1] and places["share"].sum() == pytest.approx(1)
    assert places["trajectory"].tolist() == ["a/2", "a/6", "a/8"]
    assert places["by_closeness"].tolist() == [3, 2, 1]
    assert places["start_classes"].tolist() == ["shore 4, lamp 1", "lamp 3", "lamp 1"]
    classes = by_start_class(numbers, table["start_class"])
    assert classes["shore"] == {"starts": 4, "places": 1, "most": {"place": 1, "share": 1.0}}
    assert classes["lamp"]["places"] == 3 and classes["lamp"]["most"]["place"] == 2


def test_the_census_says_whether_the_largest_basin_is_the_nearest(counted):
    numbers, places, _ = counted
    asked = what_the_loss_does_not_say(places, "l2")
    assert asked["largest"]["place"] == 1 and asked["nearest"]["place"] == 3
    assert asked["size_and_distance"]["spearman"] == pytest.approx(1)
    told = {"starts": 9, "places": chao1(places["arrivals"]), "check": split_check(numbers), "basins": asked}
    words = census_words(told, "l2")
    assert words[0].startswith("9 starts came to 3 places, 1 of them once and 0 twice.")
    assert "is place 3 of 3 by l2" in words[1] and "the farther it is" in words[1]


def test_squares_on_the_wall_lie_side_by_side():
    source = np.random.default_rng(0)
    sides = sorted(source.integers(10, 200, 60).tolist(), reverse=True)
    places = pack(sides, 600)
    for (left, top), side in zip(places, sides, strict=True):
        assert left >= 0 and left + side <= 600 and top >= 0
    for (one, a), (other, b) in itertools.combinations(zip(places, sides, strict=True), 2):
        apart = one[0] + a <= other[0] or other[0] + b <= one[0] or one[1] + a <= other[1] or other[1] + b <= one[1]
        assert apart
    used = sum(side**2 for side in sides)
    assert used > 0.8 * 600 * max(top + side for (_, top), side in zip(places, sides, strict=True))


def test_the_area_of_a_picture_is_its_basin():
    plain = [np.full((8, 8, 3), value, np.uint8) for value in (200, 120, 60)]
    drawn_wall = wall(plain, [16, 4, 1], plain[0], nearest=2, title="Census", words=["One sentence."] * 3)
    pixels = np.asarray(drawn_wall)[:3200]
    areas = [int((pixels == value).all(axis=2).sum()) for value in (200, 120, 60)]
    assert areas[0] / areas[1] == pytest.approx(4, rel=0.03)
    assert areas[1] / areas[2] == pytest.approx(4, rel=0.06)  # the nearest has a frame
    many = wall(
        [plain[0], *[plain[1]] * 2000], [16, *[1] * 2000], plain[2], nearest=0, title="Census", words=["One."] * 3
    )
    pixels = np.asarray(many)
    areas = [int((pixels == value).all(axis=2).sum()) for value in (200, 120)]
    assert 2000 * areas[0] / areas[1] == pytest.approx(16, rel=0.2)  # the nearest has a frame
