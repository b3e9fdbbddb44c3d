"""Contact sheets: every picture in its place, bounded, readable, with few and with many trajectories."""

import numpy as np
import pytest

from approach.lettering import SMALLEST, fit, width
from approach.pictures.montage import GROUND, MOST_PIXELS, below, experiment_sheet, pool_sheet, setting_sheet, sheet
from approach.pictures.stills import moments

TARGET = np.full((64, 64, 3), (250, 0, 250), np.uint8)


def plain(colour):
    return np.full((64, 64, 3), colour, np.uint8)


def trajectories(count, shown, failed=()):
    return [
        {
            "seed": seed,
            "images": [plain((0, 40 + seed, 60 + 10 * place)) for place in range(len(shown))],
            "losses": [0.5 / (1 + step) for step in shown],
            "status": "failed" if seed in failed else "ok",
            "last_step": 40,
        }
        for seed in range(count)
    ]


def areas(image):
    """How many pixels of each colour there are."""
    flat = np.asarray(image).reshape(-1, 3).astype(np.int64) @ (65536, 256, 1)
    colours, counts = np.unique(flat, return_counts=True)
    return {(int(c) >> 16, int(c) >> 8 & 255, int(c) & 255): int(n) for c, n in zip(colours, counts, strict=True)}


@pytest.mark.parametrize(("steps", "count"), [(300, 8), (300, 2), (20, 8), (1, 8), (3, 64), (10_000, 12)])
def test_moments_have_both_ends_and_are_denser_at_the_start(steps, count):
    shown = moments(steps, count)
    assert shown[0] == 0 and shown[-1] == steps and 2 <= len(shown) <= count
    assert (np.diff(shown) > 0).all() and (len(shown) < 4 or shown[1] - shown[0] <= shown[-1] - shown[-2])


@pytest.mark.parametrize(("count", "tile"), [(1, 128), (3, 128), (3, 40), (17, 64), (60, 32)])
def test_every_picture_and_a_target_for_each_trajectory_is_on_the_sheet(count, tile):
    shown = moments(300, 5)
    image = setting_sheet(trajectories(count, shown), shown, TARGET, title="l2 · lr 0.02", subtitle="study", tile=tile)
    area = areas(image)
    assert area[250, 0, 250] == count * tile**2
    for seed in range(count):
        for place in range(5):
            assert area[0, 40 + seed, 60 + 10 * place] == tile**2
    assert image.getpixel((0, 0)) == GROUND and image.getpixel((image.width - 1, image.height - 1)) == GROUND


def test_many_trajectories_stay_within_bounds_and_in_shape():
    shown = moments(300, 8)
    image = setting_sheet(trajectories(60, shown), shown, TARGET, title="l2", tile=256)
    assert image.width * image.height <= MOST_PIXELS
    assert 0.8 < image.width / image.height < 2.2


def test_a_failed_inversion_and_a_loss_that_is_not_finite_are_marked():
    shown = moments(300, 3)
    some = trajectories(2, shown, failed=[1])
    calm = setting_sheet(trajectories(2, shown), shown, TARGET, title="l2")
    marked = setting_sheet(some, shown, TARGET, title="l2")
    assert marked.width > calm.width
    some[1]["losses"][-1] = float("nan")
    setting_sheet(some, shown, TARGET, title="l2")


@pytest.mark.parametrize(("settings", "seeds"), [(1, 1), (4, 3), (2, 30), (30, 2)])
def test_the_experiment_on_one_sheet(settings, seeds):
    entries = [
        {
            "label": [f"l{setting}", "lr 0.02"],
            "arrivals": {
                seed: {"image": plain((0, 40 + setting, 50 + seed)), "caption": "0.031", "failed": seed == 1}
                for seed in range(seeds)
                if (setting, seed) != (0, 0)
            },
        }
        for setting in range(settings)
    ]
    image = experiment_sheet(entries, list(range(seeds)), TARGET, title="study: arrivals", tile=48)
    area = areas(image)
    assert (0, 40, 50) not in area  # the trajectory that is not there
    for setting in range(settings):
        for seed in range(seeds):
            if (setting, seed) != (0, 0):
                assert area[0, 40 + setting, 50 + seed] == 48**2


def test_titles_that_are_too_long_or_not_latin_are_kept_on_the_sheet():
    rows = [{"label": ["seed 0"], "failed": False, "tiles": [{"image": plain((1, 2, 3)), "caption": "0.1"}]}]
    image = sheet(rows, [["step 0"]], TARGET, title="Ευρώπη ç " + "very long " * 60, tile=64)
    assert image.width < 500


def test_the_default_losss_name_is_whole_above_a_column():
    text, size = fit("l1-ssim-discriminator loss", 14, 132)
    assert text == "l1-ssim-discriminator loss" and width(text, size) <= 132 < width(text, size + 1)


def test_type_is_no_larger_than_asked_for_and_cut_before_it_is_too_small():
    assert fit("step 0", 14, 132) == ("step 0", 14)
    text, size = fit("l1-ssim-discriminator loss, rate 0.4, beta1 0.9", 14, 132)
    assert size == SMALLEST and text.endswith("...") and width(text, size) <= 132
    assert fit("step 0", 9, 132) == ("step 0", 9)


def test_a_pool_is_shown_stage_by_stage():
    """Of start 3, the first stage dropped nine, of which eight are shown, the second one: nine columns, one row."""
    images = np.stack([np.full((8, 8, 3), 20 * place, np.uint8) for place in range(10)])
    dropped = {
        "seeds": np.full(10, 3),
        "steps": np.array([2] * 9 + [5]),
        "losses": np.linspace(1, 2, 10),
        "images": images,
    }
    image = pool_sheet(dropped, TARGET, title="the pool", tile=64)
    tones = {tone for _, tone in image.convert("RGB").getcolors(1 << 24)}
    assert {(20 * place,) * 3 for place in (1, 2, 3, 4, 5, 6, 7, 9)} <= tones
    row = setting_sheet(trajectories(1, range(9)), range(9), TARGET, title="l2", tile=64)
    assert image.width == row.width
    assert below(image, row).size == (row.width, image.height + row.height)
