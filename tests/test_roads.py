"""Roads: bands on landscapes whose passes are known, what latents can reach, and the passes of a film."""

import numpy as np
import pytest
import torch
from PIL import Image

from approach.errors import UserError
from approach.film.render import conditioning_at
from approach.losses.losses import LossValues
from approach.pictures.passes_sheet import passes_sheet
from approach.pictures.readings import ridge
from approach.pictures.roads import passes_on_plane
from approach.pictures.survey import survey
from approach.pictures.tree import tree_plot
from approach.planning.plan import make_plan
from approach.roads.band import Band, along_band, relax, tangents
from approach.roads.pairs import experiment_arrivals, film_arrivals, pairs
from approach.roads.passes import find_passes
from approach.roads.passes_file import read_passes, write_passes
from approach.roads.reach import Reach, onto_simplex
from approach.roads.ring import LINE, join_ring, pass_latents, ring_rows
from approach.roads.tree import tree
from helpers.generators import Smooth
from helpers.paths import ROOT

WIDE = 1.7  # the two wells lie at x = -WIDE and WIDE
PASS = 2.0
SIDEWAYS = 0.8  # how far the valley between them bends


def two_wells(points):
    """Two wells in 12 dimensions; the way between them bends, and its saddle is PASS high, at y = SIDEWAYS."""
    points = points.detach().requires_grad_()
    x, y, rest = points[:, 0], points[:, 1], points[:, 2:]
    valley = SIDEWAYS * (1 - (x / WIDE) ** 2)
    values = PASS * (1 - (x / WIDE) ** 2) ** 2 + 3 * (y - valley) ** 2 + rest.square().sum(1)
    (gradients,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradients


@pytest.mark.parametrize("count", [8, 13])  # with an even number no point begins on the top
def test_the_pass_between_two_wells_is_found_to_one_percent(count):
    ends = torch.zeros(2, 12, dtype=torch.float64)
    ends[0, 0], ends[1, 0] = -WIDE, WIDE
    start = torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, count, dtype=torch.float64)[:, None])
    straight, _ = two_wells(along_band(start, 201))
    assert float(straight.max()) > 1.5 * PASS
    band = relax(start, two_wells, steps=200)
    assert float(band.values.max()) == pytest.approx(PASS, rel=0.01)
    measured, _ = two_wells(along_band(band.points, 201))
    assert float(measured.max()) == pytest.approx(PASS, rel=0.03)
    top = band.points[band.values.argmax()]
    assert top[:2].tolist() == pytest.approx([0, SIDEWAYS], abs=0.05)
    assert torch.equal(band.points[[0, -1]], ends)


def test_the_points_of_a_band_stay_apart():
    ends = torch.zeros(2, 12, dtype=torch.float64)
    ends[0, 0], ends[1, 0] = -WIDE, WIDE
    start = torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, 13, dtype=torch.float64)[:, None])
    gaps = relax(start, two_wells, steps=200).points.diff(dim=0).norm(dim=1)
    assert float(gaps.max() / gaps.min()) < 2


def thin_wall(points):
    """A wall between two points of the band, lower the further one keeps to the side."""
    points = points.detach().requires_grad_()
    x, y = points[:, 0], points[:, 1]
    values = (1 - ((x - 0.14) / 0.1) ** 2).clamp_min(0) ** 2 / (1 + (y + 0.3).square())
    (gradients,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradients


def test_a_ridge_between_two_points_of_a_band_is_seen():
    """Where forces were taken at the points alone, the study's first pass was a ridge of 0.22 instead of 0.08."""
    ends = torch.tensor([[-WIDE, 0.0], [WIDE, 0.0]], dtype=torch.float64)
    start = torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, 13, dtype=torch.float64)[:, None])
    before, _ = thin_wall(along_band(start, 401))
    after, _ = thin_wall(along_band(relax(start, thin_wall, steps=100).points, 401))
    assert float(after.max()) < 0.7 * float(before.max())


def test_a_tangent_looks_at_the_higher_neighbour():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert tangents(points, torch.tensor([0.0, 1.0, 2.0])).tolist() == [[0.0, 1.0]]
    assert tangents(points, torch.tensor([2.0, 1.0, 0.0])).tolist() == [[1.0, 0.0]]
    top = tangents(points, torch.tensor([0.0, 1.0, 0.5]))
    assert top[0, 0] / top[0, 1] == pytest.approx(0.5)


def test_a_point_beyond_what_latents_reach_is_put_on_the_nearest():
    embedding = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    points = torch.tensor([[3.0, 0.2, 0.5, 0.9]], dtype=torch.float64)
    found, mixtures = Reach(embedding, 0.8).nearest(points, torch.full((1, 3), 1 / 3, dtype=torch.float64))
    assert found[0].tolist() == pytest.approx([0.8, 0.2, 0.3, 0.7], abs=1e-5)
    assert mixtures[0].tolist() == pytest.approx([0.3, 0.7, 0.0], abs=1e-5)


def test_probabilities_stay_what_they_are_on_the_simplex():
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(20, 7, generator=random, dtype=torch.float64)
    found = onto_simplex(vectors)
    assert float(found.min()) >= 0
    assert found.sum(1).tolist() == pytest.approx([1] * 20)
    assert torch.allclose(onto_simplex(found), found)


def brightness(images):
    """A loss with as many valleys as images are alike."""
    total = (images[:, 0].mean((1, 2)) - 0.3).abs() + images.square().mean((1, 2, 3))
    return LossValues(total, {"any": total})


@pytest.fixture(scope="module")
def film_passes():
    generator = Smooth(32)
    generator.embedding.requires_grad_(False)
    generator.paint.requires_grad_(False)
    random = np.random.default_rng(0)
    z = random.normal(size=(3, 128)).clip(-0.8, 0.8).astype(np.float32)
    classes = random.dirichlet(np.ones(10), size=3).astype(np.float32)
    arrivals = torch.from_numpy(z), torch.from_numpy(classes)
    found = {
        bound: find_passes(generator, brightness, arrivals, pairs(3), points=7, steps=15, bound=bound)
        for bound in (0.8, None)
    }
    return generator, z, classes, found


def test_every_image_of_a_pass_has_latents_that_give_it(film_passes):
    generator, z, classes, found = film_passes
    held = found[0.8]
    assert float(held["bands"][..., :128].abs().max()) <= 0.8 + 1e-6
    assert float(held["mixtures"].min()) >= 0
    assert torch.allclose(held["mixtures"].sum(2), torch.ones(3, 7), atol=1e-5)
    made = generator.conditioning(held["bands"][..., :128].flatten(0, 1), held["mixtures"].flatten(0, 1))
    assert torch.allclose(made, held["bands"].flatten(0, 1), atol=1e-5)
    for band, (a, b) in zip(held["bands"], pairs(3), strict=True):
        ends = conditioning_at(generator, z[[a, b]], classes[[a, b]], [0, 1])
        assert torch.allclose(band[[0, -1]], ends, atol=1e-5)
    assert "mixtures" not in found[None]


def test_a_pass_is_no_higher_than_the_straight_line(film_passes):
    for found in film_passes[3].values():
        for profile, straight in zip(found["profiles"], found["straight"], strict=True):
            assert ridge(profile) <= ridge(straight) + 1e-6


def test_a_band_that_went_astray_gives_way_to_the_straight_line(film_passes, monkeypatch):
    generator, z, classes, _ = film_passes
    arrivals = torch.from_numpy(z), torch.from_numpy(classes)
    far = lambda start, landscape, **_: Band(torch.cat([start[:1], start[1:-1] + 3, start[-1:]]), start[:, 0])  # noqa: E731
    monkeypatch.setattr("approach.roads.passes.relax", far)
    found = find_passes(generator, brightness, arrivals, [(0, 1)], points=5, steps=1, bound=0.8)
    assert torch.equal(found["profiles"], found["straight"])
    made = generator.conditioning(found["bands"][0, :, :128], found["mixtures"][0])
    assert torch.allclose(made, found["bands"][0], atol=1e-5)


def test_passes_are_drawn_where_the_panorama_has_its_arrivals(film_passes):
    generator, z, classes, found = film_passes
    surveyed = survey(generator, brightness, [(z[[k]], classes[[k]]) for k in range(3)], 6)
    arrays = {name: value.numpy() for name, value in found[0.8].items()}
    seen = passes_on_plane(arrays, surveyed["arrivals"])
    for band, (a, b) in zip(seen["pass_bands"], pairs(3), strict=True):
        assert np.allclose(band[[0, -1]], surveyed["arrivals"][[a, b]], atol=1e-3)
    assert seen["pass_tops"].shape == (3, 2)


def test_passes_are_written_and_read_and_drawn(film_passes, tmp_path):
    arrays = {name: value.numpy() for name, value in film_passes[3][0.8].items()}
    arrays["images"] = np.zeros((3, 7, 32, 32, 3), np.uint8)
    said = {"loss": "l2", "free": False, "pairs": pairs(3), "labels": ["a", "b", "c"]}
    for name in ("one", "two"):
        write_passes(tmp_path / name, arrays, said)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read, told = read_passes(tmp_path / "one")
    assert np.array_equal(read["bands"], arrays["bands"])
    assert told["pairs"] == [[0, 1], [1, 2], [2, 0]]
    target = np.zeros((32, 32, 3), np.uint8)
    sheet = passes_sheet(read, told, target, title="Passes", tile=48)
    assert sheet.width > 8 * 48
    assert passes_sheet(read, told, target, title="Passes", tile=48, shown=[1]).height < sheet.height
    order, joins = tree(told["pairs"], read["profiles"].max(axis=1).tolist())
    tree_plot(read, told, order, joins, tmp_path / "tree.png", title="Tree")
    with Image.open(tmp_path / "tree.png") as drawn:
        assert drawn.height > 1000 and np.asarray(drawn.convert("L")).std() > 5


def test_a_tree_joins_arrivals_at_the_lowest_pass_by_whatever_way():
    """0 and 2 are joined over 1, lower than directly; 3 is cut off from all."""
    between = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    order, joins = tree(between, [0.2, 0.9, 0.8, 0.4, 0.7, 0.6])
    assert [(join.height, join.over) for join in joins] == [
        (pytest.approx(0.2), 0),
        (pytest.approx(0.4), 3),
        (pytest.approx(0.6), 5),
    ]
    assert {joins[0].left, joins[0].right} == {0, 1} and {joins[2].left, joins[2].right} == {3, 5}
    assert sorted(order) == [0, 1, 2, 3] and order.index(2) not in range(*sorted(map(order.index, (0, 1))))


def test_the_nearest_arrivals_of_an_experiment_get_passes():
    rows = [
        {"setting": "loss~l2+lr~0.4", "seed": seed, "status": status, "final_l2": far, "trajectories": f"{seed}.st"}
        for seed, status, far in [(0, "ok", 0.3), (1, "failed", 0.0), (2, "ok", 0.1), (3, "ok", 0.2)]
    ]
    chosen, between = experiment_arrivals(rows, "l2", 2)
    assert [(one["seed"], one["trajectory"], one["label"]) for one in chosen] == [
        (2, "2.st", "start 2"),
        (3, "3.st", "start 3"),
    ]
    assert between == [(0, 1)]
    assert len(experiment_arrivals(rows, "l2", 12)[1]) == 3
    with pytest.raises(UserError, match="passes need two"):
        experiment_arrivals(rows[:2], "l2", 12)


def test_the_arrivals_of_an_experiment_get_passes_and_a_tree_where_they_are_asked_for():
    plan = make_plan({"seeds": 6, "hydra": "passes.arrivals=6"}, ROOT)
    assert {"passes.safetensors", "passes.png", "tree.png"} <= set(plan.experiment_products())
    assert make_plan({}, ROOT).tree() == []
    with pytest.raises(UserError, match="two arrivals"):
        make_plan({"hydra": "passes.arrivals=1"}, ROOT)
    with pytest.raises(UserError, match="truncation is swept"):
        make_plan({"hydra": "passes.arrivals=3 generator.truncation=0.5,1.0"}, ROOT)


def test_passes_are_made_only_where_they_are_asked_for():
    plain, asked = (make_plan(given, ROOT) for given in ({}, {"hydra": "passes.films=[starts]"}))
    (film,) = plain.films
    assert [file for file in plain.final_products() if "passes" in file] == []
    assert plain.passes(film) == []
    assert len([file for file in asked.final_products() if "passes" in file]) == 2
    assert asked.passes(film) == [f"results/study/films/{film}/passes.safetensors"]
    with pytest.raises(UserError, match="no film 'else'"):
        make_plan({"hydra": "passes.films=[else]"}, ROOT)


def way(first, steps, kinds=4):
    """Latents of a trajectory that can be told from any other's."""
    z = np.arange(first, first + steps, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    return z, np.full((steps, kinds), 1 / kinds, np.float32)


def test_a_ring_goes_forth_over_the_pass_and_back_another_way():
    ways = [way(first, 5) for first in (0, 10, 20, 30)]
    passes = [way(100, 6), way(200, 6)]
    (z, classes), stops, told = join_ring(ways, passes, ["a", "b", "c", "d"])
    line = [None] * (LINE - 2)
    wanted = [0, 1, 2, 3, 4, 101, 102, 103, 104, 14, 13, 12, 11, 10, *line, 20, 21, 22, 23, 24, 201, 202, 203, 204]
    wanted += [34, 33, 32, 31, 30, *line, 0]
    seen = [float(value) for value in z[:, 0]]
    assert [a for a, b in zip(seen, wanted, strict=True) if b is not None] == [b for b in wanted if b is not None]
    assert [seen[stop] for stop in stops] == [0, 4, 14, 10, 20, 24, 34, 30, 0]
    assert len(told) == len(z) == len(classes)
    assert (told[4]["label"], told[4]["place"]) == ("a", "step 4")
    assert told[5]["place"] == "between arrivals" and told[14]["place"] == "between starts"
    between = seen[13 : 13 + LINE]
    assert np.allclose(np.diff(between), (20 - 10) / (LINE - 1), atol=1e-4)
    assert seen != seen[::-1]


def test_a_pass_is_cut_finer_where_it_is_straight():
    band = np.array([[0, 0, 1], [8, 0, 2], [8, 8, 3]], np.float32)
    mixtures = np.array([[1, 0], [0.5, 0.5], [0, 1]], np.float32)
    z, classes = pass_latents({"bands": band[None], "mixtures": mixtures[None]}, 0, 2)
    assert z[:, 0].tolist() == [*range(9), *[8] * 8] and z[:, 1].tolist() == [*[0] * 8, *range(9)]
    assert classes[4].tolist() == [0.75, 0.25] and len(classes) == 17
    free = pass_latents({"bands": band[None]}, 0, 2)[1]
    assert free[:, 0].tolist() == pytest.approx(np.linspace(1, 3, 17).tolist())


def test_the_steps_of_a_ring_have_the_losses_that_were_logged_or_measured():
    ways = [way(0, 3), way(10, 3)]
    (_, classes), _, told = join_ring(ways, [way(100, 4)], ["a", "b"])
    logged = [{at: {"loss": number + at / 10, "top_class": "x"} for at in range(3)} for number in range(2)]
    count = sum(said["member"] is None for said in told)
    rows = ring_rows(1, told, classes, logged, [9.0] * count, ["p", "q", "r", "s"])
    assert [row["loss"] for row in rows[:8]] == [0, 0.1, 0.2, 9, 9, 1.2, 1.1, 1.0]
    assert rows[3]["top_class"] == "p" and rows[-1]["loss"] == 0
    free = ring_rows(1, told, classes, logged, [9.0] * count, ["p", "q"])
    assert free[3]["top_class"] == ""


def test_the_members_of_a_ring_are_passed_two_by_two():
    channels = [{"members": [{"seed": 2 * n}, {"seed": 2 * n + 1}]} for n in range(3)]
    members, between = film_arrivals({"channels": channels})
    assert [member["seed"] for member in members] == [0, 1, 2, 3, 4, 5]
    assert between == [(0, 1), (2, 3), (4, 5)]
    assert film_arrivals({"channels": members[:3]})[1] == pairs(3)


def test_a_ring_has_passes_where_they_join_it_and_no_panorama():
    ring = "films.starts={vary: seed, join: %s}"
    joined, straight = (make_plan({"seeds": 6, "hydra": ring % join}, ROOT) for join in ("passes", "straight"))
    (film,) = joined.films
    assert joined.passes(film) and not straight.passes(film)
    assert joined.surveyed_films() == []
    assert joined.video(film)["clock"] == "own" and joined.base["video"]["clock"] == "common"
    assert make_plan({"seeds": 6, "video": "exhibition", "hydra": ring % "straight"}, ROOT).video(film)["ease"] == 0
    assert joined.shown_batches(film) == [f"results/study/films/{film}/ring.safetensors"]
    with pytest.raises(UserError, match=r"passes\.free=true"):
        make_plan({"seeds": 6, "hydra": f"{ring % 'passes'} latent.classes=embedding"}, ROOT)
