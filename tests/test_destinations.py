"""Several destinations: how they are typed and planned, and what shows where another one was set out for."""

import json

import pytest
from PIL import Image

from approach.errors import UserError
from approach.planning.checks import check_before_jobs
from approach.planning.downloads import destinations
from approach.planning.identity import inversion_config
from approach.planning.plan import make_plan
from approach.trajectories import TrajectoryFile

ORDERS = ["1-2-3", "2-3-1", "3-1-2"]
COLOURS = ("red", "green", "blue")
FILM = f"films={{crossing: {{vary: target.order, of: [{', '.join(ORDERS)}], seed: 0}}}}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with three pictures."""
    monkeypatch.chdir(tmp_path)
    draw(tmp_path)
    return tmp_path


def draw(folder):
    for colour in COLOURS:
        Image.new("RGB", (40, 40), colour).save(folder / f"{colour}.png")


def planned(root, **given):
    return make_plan({"target": [f"{colour}.png" for colour in COLOURS], "loss": "l2", **given}, root)


def test_pictures_in_brackets_are_destinations_in_their_order(root, folder):
    plan = planned(root)
    check_before_jobs(plan)
    assert plan.name == "red-green-blue" and plan.departures() == [100, 200]
    (setting,) = plan.settings
    assert plan.destination_files(setting) == {
        "target": "results/red-green-blue/target.png",
        "destination_1": "results/red-green-blue/targets/1.png",
        "destination_2": "results/red-green-blue/targets/2.png",
    }
    alone = make_plan({"target": "blue.png", "loss": "l2"}, root)
    assert alone.departures() == [] and "destinations" not in inversion_config(alone.base)
    assert make_plan({"target": ["blue.png"], "loss": "l2"}, root).base == alone.base


def test_three_channels_have_the_same_destinations_in_another_order(root, folder):
    plan = planned(root, hydra=f"target.order={','.join(ORDERS)} {FILM}")
    assert [setting.split("+")[-1] for setting in plan.settings] == [f"target.order~{order}" for order in ORDERS]
    assert plan.all_inversion_files()["target"] == plan.inversion_files(next(iter(plan.settings)))["target"]
    reached = [[one["target"]["picture"] for one in destinations(one.config)] for one in plan.settings.values()]
    assert reached[1] == ["green.png", "blue.png", "red.png"]
    ends = [plan.destination_files(setting)["target"].rpartition("/")[2] for setting in plan.settings]
    assert ends == ["target.png", "1.png", "2.png"]
    (film,) = plan.films.values()
    assert [candidate["setting"] for candidate in film["candidates"]] == list(plan.settings)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hydra": "target.order=1-2"}, "order=1-2: write each number from 1 to 3 once"),
        ({"hydra": "target.order=1-2-4"}, "write each number from 1 to 3 once"),
        ({"search": "halving"}, "target: 3 pictures, and search=halving narrows towards one"),
        ({"steps": 2}, "steps=2: target has 3 pictures"),
        ({"target": ["red.png", "gone.png"]}, "target=gone.png: there is no such file"),
        ({"target": ["gone.png", "red.png"]}, "target=gone.png: there is no such file"),
    ],
)
def test_what_cannot_be_reached_is_one_line(root, folder, given, said):
    with pytest.raises(UserError, match=said) as error:
        check_before_jobs(planned(root, **given))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_one_trajectory_one_film_and_marks_where_the_destination_changed(workflow):
    folder = workflow.folder
    draw(folder)
    keys = {"name": "run", "loss": "l2", "seeds": 1, "steps": 6, "target": "[red.png,green.png,blue.png]"}
    hydra = f"target.order={','.join(ORDERS)} {FILM}"
    results = folder / "results" / "run"
    workflow.done("--until", "itinerary", "gather_losses", "stills", **keys, hydra=hydra)
    for order in ORDERS:
        made = TrajectoryFile(results / f"loss~l2+lr~0.4+target.order~{order}" / "trajectories" / "0.safetensors")
        assert made.metadata["departures"] == [2, 4]
    (streams,) = results.glob("films/*/itinerary.json")
    assert [channel["departures"] for channel in json.loads(streams.read_text())["channels"]] == [[2, 4]] * 3
    assert workflow.planned("--until", "itinerary", "gather_losses", "stills", **keys, hydra=hydra) == {}
    Image.new("RGB", (40, 40), "white").save(folder / "green.png")
    refused = workflow.run(forked=True, **keys, hydra=hydra)
    assert refused.returncode == 1 and "made with destinations=" in refused.stderr
