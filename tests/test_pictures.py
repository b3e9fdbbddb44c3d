"""What explains the trajectories: change along them, panorama, itinerary, arrivals, fog."""

import re
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from approach.film.fog import fog
from approach.film.render import images_at, render_frames
from approach.film.timing import distances, film_timing
from approach.losses.losses import LossValues, build_loss
from approach.pictures.arrivals import arrivals_sheet, arrivals_table, film_line
from approach.pictures.itinerary import (
    chosen_categories,
    in_words,
    itinerary_plot,
    itinerary_streams,
    itinerary_table,
    stacked,
)
from approach.pictures.panorama import PALETTES, bare_map, draw_map, draw_trajectories, panorama
from approach.pictures.readings import ridge
from approach.pictures.survey import PROFILE_POINTS, plane, survey
from approach.planning.films import film_table
from approach.sketch import NUMBERS, SIDE, sketch
from approach.target import Target
from helpers.generators import Smooth, StandIn
from helpers.tables import trajectory_table
from helpers.trajectories import NAMES, STEPS, random_trajectory, slowing_trajectory, spell

# ---------------------------------------------------------------------------------------------------- perceived time


def variation(values):
    return float(np.std(values) / np.mean(values))


def second_distance(frames):
    """Laplacian-pyramid L1 from frame to frame: the timing knows only root mean squares of smaller pictures."""
    images = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
    found = []
    for one, following in pairwise(images):
        loss = build_loss({"name": "pyramid", "terms": {"pyramid": 1.0}}, Target(one, torch.ones(1, *one.shape[1:])))
        found.append(float(loss(following[None]).total))
    return np.array(found)


def sketches_of(generator, z, classes):
    """As an inversion records them."""
    with torch.no_grad():
        return sketch(images_at(generator, z, classes, range(len(z)))).numpy()


@pytest.mark.parametrize("clock", ["own", "common"])
def test_equal_change_is_seen_as_equal_change(clock, record_property):
    generator = Smooth()
    trajectories = [slowing_trajectory(seed) for seed in range(3)]
    sketches = [sketches_of(generator, *one) for one in trajectories]
    video = {"fps": 25, "seconds": 9.6, "hold": 0, "ease": 0, "loop": False, "time": "perceived", "clock": clock}
    film = film_timing(video, [STEPS] * 3, sketches)
    even = film_timing({**video, "time": "steps"}, [STEPS] * 3)
    assert film["frames"] == 240
    spread = {"perceived": [], "steps": []}
    second = {"perceived": [], "steps": []}
    for time, timing in (("perceived", film), ("steps", even)):
        for (z, classes), positions in zip(trajectories, timing["positions"], strict=True):
            frames = list(render_frames(generator, z, classes, positions))
            spread[time].append(distances(np.stack(frames)))
            second[time].append(second_distance(frames) if clock == "own" else np.ones(239))
    if clock == "own":
        timed = max(variation(one) for one in spread["perceived"])
        other = max(variation(one) for one in second["perceived"])
        before = min(variation(one) for one in spread["steps"])
    else:
        # The common clock shares its time among the three: what is even is their mean.
        timed, before = (variation(np.mean([one / one.sum() for one in spread[time]], 0)) for time in spread)
        other = 0
    record_property("variation", {"timed": timed, "second": other, "equal steps": before})
    print(f"{clock}: timed by {timed:.3f}, second distance {other:.3f}, equal steps {before:.3f}")
    assert timed <= 0.15
    assert other <= 0.25
    assert before > 0.8


@pytest.mark.parametrize("size", [8, 20, SIDE, 2 * SIDE])
def test_sketches_are_as_far_apart_as_pictures_and_mix_as_they_do(size):
    images = torch.rand(40, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = sketch(images)
    assert found.shape == (40, NUMBERS) and found.dtype == torch.float16
    assert torch.equal(found[7:8], sketch(images[7:8]))
    small = torch.nn.functional.adaptive_avg_pool2d(images, min(SIDE, size))
    ratios = distances(found.numpy()) / distances(small.numpy())
    assert abs(ratios.mean() - 1) < 0.02 and ratios.std() < 0.05
    between = sketch(torch.lerp(images[0], images[1], 0.3)[None])[0]
    assert torch.allclose(between.float(), torch.lerp(found[0].float(), found[1].float(), 0.3), atol=0.01)


# ---------------------------------------------------------------------------------------------------- panorama


def height(images):
    """A loss that is easy to check: the mean brightness, squared."""
    return LossValues(images.mean((1, 2, 3)) ** 2, {})


@pytest.fixture(scope="module")
def surveyed():
    return survey(Smooth(16), height, [slowing_trajectory(seed) for seed in range(3)], 24)


def test_the_plane_goes_through_the_arrivals(surveyed):
    generator = Smooth(16).requires_grad_(False)
    for number in range(3):
        z, classes = slowing_trajectory(number)
        last = generator.conditioning(torch.from_numpy(z[-1:]), torch.from_numpy(classes[-1:]))
        assert float(height(generator(last)).total) == pytest.approx(surveyed["profiles"][number, 0], rel=1e-3)
        seen = surveyed[f"trajectory_{number + 1}"]
        assert seen.shape == (STEPS + 1, 3) and seen[-1, 2] == pytest.approx(0, abs=1e-4) and seen[0, 2] > 1
        assert np.allclose(seen[-1, :2], surveyed["arrivals"][number])
    # the surface is the profile where the two cross
    x, y, surface = surveyed["x"], surveyed["y"], surveyed["surface"]
    assert surface.shape == (len(y), len(x)) and len(x) == 24
    assert np.diff(x)[0] == pytest.approx(np.diff(y)[0])
    for number in range(3):
        where = surveyed["arrivals"][number]
        near = surface[np.abs(y - where[1]).argmin(), np.abs(x - where[0]).argmin()]
        assert near == pytest.approx(surveyed["profiles"][number, 0], abs=0.2 * np.ptp(surface))


def test_profiles_lead_from_arrival_to_arrival(surveyed):
    assert surveyed["profiles"].shape == (3, PROFILE_POINTS)
    assert np.allclose(surveyed["profiles"][:, -1], np.roll(surveyed["profiles"][:, 0], -1), rtol=1e-4)
    sides = np.linalg.norm(np.roll(surveyed["arrivals"], -1, axis=0) - surveyed["arrivals"], axis=1)
    assert np.allclose(surveyed["profile_x"][:, -1], sides)
    assert ridge(np.array([1.0, 3.0, 2.0])) == 1 and ridge(np.array([1.0, 1.5, 2.0])) == 0


class WithoutDoubles(torch.Tensor):
    """A tensor on a device that has no float64, as Apple's MPS: it must come to the CPU first."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.double or any(
            value is torch.float64 for value in (*args, *(kwargs or {}).values())
        ):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        result = super().__torch_function__(function, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if function is torch.Tensor.cpu else result


class SmoothWithoutDoubles(Smooth):
    """The stand-in on such a device."""

    def conditioning(self, z, classes):
        return super().conditioning(z, classes).as_subclass(WithoutDoubles)

    def forward(self, conditioning):
        return super().forward(conditioning).as_subclass(WithoutDoubles)


def test_a_device_without_float64_can_be_surveyed(surveyed):
    found = survey(SmoothWithoutDoubles(16), height, [slowing_trajectory(seed) for seed in range(3)], 24)
    assert all(np.array_equal(found[name], surveyed[name]) for name in surveyed)


def test_a_device_without_float64_shows_frames_between_steps():
    z, classes = random_trajectory(3)
    found, wanted = (list(render_frames(kind(), z, classes, [0, 1.5, 3])) for kind in (SmoothWithoutDoubles, Smooth))
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("ends", [np.zeros((3, 8)), np.outer([0.0, 1, 2], np.ones(8)), np.eye(8)[[0, 0, 1]]])
def test_arrivals_on_a_line_or_a_point_still_have_a_plane(ends):
    origin, axes = plane(ends)
    assert np.allclose(axes @ axes.T, np.eye(2))
    assert np.allclose((ends - origin) @ axes.T @ axes, ends - origin)


def test_three_inversions_that_arrive_at_one_place_can_be_drawn(tmp_path):
    found = survey(Smooth(16), height, [slowing_trajectory(0)] * 3, 8)
    panorama(found, tmp_path / "p.png", labels="abc", loss="l2", title="one place", colours="fog")
    assert Image.open(tmp_path / "p.png").width > 3000


@pytest.mark.parametrize("colours", PALETTES)
def test_the_panorama_is_drawn_from_the_file_alone(surveyed, tmp_path, colours):
    np.savez(tmp_path / "s.npz", **surveyed)
    found = dict(np.load(tmp_path / "s.npz"))
    panorama(found, tmp_path / "p.png", labels=["a", "b", "c"], loss="l2", title="Panorama", colours=colours)
    bare_map(found, tmp_path / "m.png", colours=colours, pixels=300)
    assert Image.open(tmp_path / "p.png").width > 3000
    shape = Image.open(tmp_path / "m.png").size
    assert shape[0] == 300 and shape[1] == pytest.approx(200, abs=12)
    tones = [int(part[1:3], 16) for part in PALETTES[colours]]
    assert tones == sorted(tones)


def test_the_heights_beside_the_colours_are_heights_of_the_map(surveyed, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("approach.pictures.panorama.save", lambda figure, *_: drawn.append(figure))
    panorama(surveyed, tmp_path / "p.png", labels="abc", loss="l2", title="Panorama", colours="fog")
    (bar,) = (axis for axis in drawn[0].axes if axis.get_title(loc="left") == "loss")
    low, high = bar.get_ylim()
    assert low == pytest.approx(surveyed["surface"].min())
    named = bar.get_yticks()
    assert len(named) > 3 and low <= named.min() and named.max() <= high


def test_relief_and_fog_fill_their_map_in_a_pdf_too(surveyed, tmp_path):
    figure = Figure(figsize=(5, 5))
    axis = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    draw_map(axis, surveyed, "fog")
    draw_trajectories(axis, surveyed)
    with mpl.rc_context({"pdf.compression": 0}):
        figure.savefig(tmp_path / "m.pdf", dpi=300)
    written = (tmp_path / "m.pdf").read_bytes().decode("latin1")
    placed = re.findall(r"q ([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm /I\d Do", written)
    map_in_points = axis.get_window_extent().transformed(figure.dpi_scale_trans.inverted()).bounds
    left, bottom, wide, high = np.array(map_in_points) * 72
    assert len(placed) == 2
    assert np.allclose(np.array(placed, float), (wide, high, left, bottom), atol=0.5)


# ---------------------------------------------------------------------------------------------------- itinerary


def test_streams_add_up_and_are_named():
    passed = [slowing_trajectory(seed)[1] for seed in range(3)]
    edges = stacked(passed[0], chosen_categories(passed))
    assert edges.shape == (10, STEPS + 1)
    assert np.allclose(edges[-1], 1, atol=1e-5) and (np.diff(edges, axis=0) >= -1e-6).all()
    streams = itinerary_streams(passed, NAMES)
    assert len(streams["names"]) == len(streams["colours"]) == 8 and "lighthouse, beacon" not in streams["names"]
    table = itinerary_table(passed, ["a", "b", "c"], NAMES)
    assert len(table) == 24 and list(table.columns) == ["channel", "label", "category", "start", "mean", "arrival"]
    best = table[table["channel"] == 2].iloc[0]
    assert best["arrival"] == pytest.approx(passed[1][-1].max(), abs=1e-5)
    assert best["category"] == NAMES[passed[1][-1].argmax()]


def test_a_class_vector_in_words():
    assert in_words([0.43, 0.21, 0.3, 0.06], NAMES) == "lighthouse 43 %, alp 30 %, shore 21 %"


@pytest.mark.parametrize(("steps", "categories"), [(1, 2), (300, 1000)])
def test_itineraries_of_any_size_are_drawn(tmp_path, steps, categories):
    source = np.random.default_rng(0)
    passed = [source.dirichlet(np.ones(categories), size=steps + 1) for _ in range(3)]
    names = [f"thing {number}" for number in range(categories)]
    itinerary_plot(passed, ["a", "b", "c"], names, tmp_path / "i.png", title="Itinerary")
    assert Image.open(tmp_path / "i.png").width > 1500


# ---------------------------------------------------------------------------------------------------- arrivals


def test_arrivals_in_order():
    table = arrivals_table(trajectory_table(10, failed=[0]))
    assert table["final_l2"].iloc[:9].is_monotonic_increasing and table["status"].iloc[-1] == "failed"
    assert table["by_closeness"].tolist()[:9] == list(range(1, 10)) and pd.isna(table["by_closeness"].iloc[-1])
    strangest = table.sort_values("by_strangeness").iloc[0]
    assert strangest["strangeness"] == table[table["status"] == "ok"]["strangeness"].max()


def test_the_line_of_the_gallery_makes_a_film():
    yaml = pytest.importorskip("yaml")
    axes = {"loss": ["l2"], "lr": [0.02]}
    chosen = [f"{spell({'loss': 'l2', 'lr': 0.02})}/{seed}" for seed in (4, 0, 2)]
    films, notes = film_table(yaml.safe_load(film_line(chosen)), axes, range(6), spell)
    assert [one["seed"] for one in films[0]["candidates"]] == [4, 0, 2] and not notes


@pytest.mark.parametrize("count", [1, 3, 60])
def test_the_gallery_of_few_and_many(count):
    table = arrivals_table(trajectory_table(count, failed=[1]))
    pictures = {name: np.full((16, 16, 3), 90, np.uint8) for name in table["trajectory"]}
    sheet = arrivals_sheet(table, pictures, np.zeros((16, 16, 3), np.uint8), title="study: arrivals", tile=64)
    assert sheet.width < 900 and sheet.height < 1800


# ---------------------------------------------------------------------------------------------------- fog


def test_fog_lies_where_the_picture_is_wrong_and_lifts():
    aim = torch.zeros(3, 64, 64)
    target = Target(aim, torch.ones(1, 64, 64))
    start = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    near = aim + 0.02
    lay = fog(target, torch.stack([start, near]), 0.9)
    half = start.clone()
    half[:, :, 32:] = near[:, :, 32:]
    before = torch.stack([start, half, near])
    after = lay(before)
    moved = (after - before).abs().mean(1)
    assert moved[0].mean() > 5 * moved[2].mean() and moved[2].mean() < 0.05
    assert moved[1, :, :24].mean() > 4 * moved[1, :, 40:].mean()
    assert torch.equal(fog(target, torch.stack([start, near]), 0.0)(before), before)


def test_no_fog_on_the_padding():
    mask = torch.ones(1, 64, 64)
    mask[:, :16] = 0
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    after = fog(Target(torch.zeros(3, 64, 64), mask), images, 1.0)(images)
    assert torch.equal(after[:, :, :16], images[:, :, :16]) and not torch.equal(after, images)


def test_frames_are_finished_before_they_become_frames():
    z, classes = random_trajectory(3)
    plain, inverted = (
        list(render_frames(StandIn(), z, classes, [0, 1.5, 3], **more)) for more in ({}, {"finish": torch.neg})
    )
    assert np.abs(plain[1].astype(int) + inverted[1] - 255).max() <= 1
