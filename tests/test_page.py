"""The page, in a real Chromium: it opens from disk, the film is its clock, and nothing leaves the machine."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from approach.film.encode import encode_film, write_frames
from approach.film.timing import film_timing
from approach.page.page import arrivals_data, film_data, finite, href, moment_strips, page, render_template
from approach.pictures.arrivals import arrivals_table, film_command, film_line
from approach.pictures.itinerary import itinerary_streams
from approach.pictures.panorama import bare_map
from approach.wording import work_of
from helpers.frames import number_of, numbered
from helpers.tables import trajectory_table
from helpers.trajectories import NAMES, slowing_trajectory

NASTY = "</script><script>document.title='broken'</script>"
COMMAND = f"snakemake --cores all --config 'name={NASTY}'"
STEPS = 120
FILMS = ["starts+loss~l2+lr~0.02", "losses+lr~0.02", "gone"]
LOOK = {"size": 96, "scaling": "nearest", "gap": 6, "margin": 6}


def choice(name, failed=False, missing=False):
    channels = [
        {
            "label": NASTY if seed == 2 else f"seed {seed}",
            "status": "failed" if failed and seed == 1 else "ok",
            "last_step": 60 if failed and seed == 1 else STEPS,
            "values": {"loss": "l2"},
        }
        for seed in range(3)
    ]
    return {
        "film": name,
        "key": name.partition("+")[0],
        "title": f"{name} & {NASTY}",
        "why": "named <b>three</b>",
        "channels": channels,
    }


def losses(seed):
    steps = np.arange(STEPS + 1)
    classes = [NAMES[(step // 30 + seed) % 10] for step in steps]
    return pd.DataFrame({"step": steps, "loss": 0.1 + (seed + 1) * np.exp(-steps / 30), "top_class": classes})


def surveyed():
    x, y = np.linspace(-12, 12, 24), np.linspace(-8, 8, 16)
    arrivals = np.array([[-5.0, -3], [5, -3], [0, 5]])
    found = {"x": x, "y": y, "surface": np.hypot(*np.meshgrid(x, y)), "arrivals": arrivals}
    found["profile_x"] = np.linspace([0] * 3, [9] * 3, 20).T
    found["profiles"] = 1 + np.sin(np.linspace(0, np.pi, 20)) * np.ones((3, 1))
    for number, where in enumerate(arrivals, start=1):
        left = np.linspace(1, 0, STEPS + 1)[:, None]
        found[f"trajectory_{number}"] = np.hstack([where + 4 * left, 9 * left])
    return found


@pytest.fixture(scope="module")
def timing():
    return film_timing(
        {"fps": 25, "seconds": 4.0, "hold": 0.4, "ease": 0.3, "loop": True, "clock": "common"}, [STEPS] * 3
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory, timing):
    """A page of three films: one whole, one with a failed and a missing channel, one without file and panorama."""
    results = tmp_path_factory.mktemp("a strange # place") / "results" / "study"
    count, films = timing["frames"], []
    folder = results / "page"
    passed = [slowing_trajectory(seed)[1] for seed in range(3)]
    for name in FILMS:
        at = results / "films" / name
        at.mkdir(parents=True)
        bare_map(surveyed(), at / "panorama-map.png", colours="fog", pixels=600)
        if name != "gone":
            sources = [at / f"{channel}.mkv" for channel in range(3)]
            for source in sources:
                write_frames(numbered(count), source, fps=25, count=count)
            encode_film(
                sources, at / "triptych.mp4", fps=25, count=count, look=LOOK, codec={"crf": 14, "preset": "ultrafast"}
            )
        other = name == FILMS[1]
        rows = [losses(0), losses(1), losses(2).iloc[:0] if other else losses(2)]
        data = film_data(
            choice(name, failed=other),
            timing,
            rows,
            surveyed() if name != "gone" else None,
            itinerary_streams(passed, NAMES),
            size=(312, 108),
            loss="l2",
        )
        data |= {"video": href(at / "triptych.mp4", folder), "file": f"films/{name}/triptych.mp4"}
        if data["panorama"]:
            data["panorama"] |= {
                "map": href(at / "panorama-map.png", folder),
                "whole": href(at / "panorama.png", folder),
            }
        films.append(data)
    table = arrivals_table(trajectory_table(7, failed=[3]))
    pictures = {name: np.full((32, 32, 3), 40 + 20 * place, np.uint8) for place, name in enumerate(table["trajectory"])}
    text = page(
        name="study",
        films=films,
        arrivals=arrivals_data(table, pictures),
        record={
            "settings": {"loss~l2+lr~0.02": {}},
            "command": COMMAND,
            "configuration": {"steps": STEPS, "title": f"study {NASTY}", "artist": "A. Person", "year": "2026"},
        },
        target=np.full((32, 32, 3), 99, np.uint8),
        links=[{"title": "all", "files": [{"text": "table", "href": href(results / "arrivals.csv", folder)}]}],
        notes=[f"no film 'ranks': {NASTY}"],
        moments=moment_strips({n: ([0, 60, STEPS], np.stack([one // 2, one, one])) for n, one in pictures.items()}),
    )
    folder.mkdir()
    (folder / "index.html").write_text(text, encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def visit(browser, opened):
    """Open the page; what it said and asked for is in .said and .asked."""
    contexts = []

    def go(width=1440, height=900, path=opened, **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, **{"reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        tab = context.new_page()
        tab.said, tab.asked = [], []
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.goto(path.as_uri())
        until(tab, "document.getElementById('film').readyState >= 2")
        return tab

    yield go
    for context in contexts:
        context.close()


def until(tab, condition):
    """Wait for a condition. (Playwright itself evaluates it in the page, which the page's policy forbids.)"""
    for _ in range(200):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def number_shown(tab):
    """The frame that the film shows, read from the picture on the screen."""
    picture = Image.open(io.BytesIO(tab.locator("#film").screenshot())).convert("RGB")
    wide = np.asarray(picture.resize((312 * 2, 108 * 2), Image.Resampling.BOX))
    return [number_of(wide[12:, 12 + 204 * channel :][:192, :192]) for channel in range(3)]


def settle(tab):
    """Wait for a seek's end, then until the screen has followed: a busy machine paints late. Ten seconds at most."""
    until(tab, "!document.getElementById('film').seeking")
    for _ in range(40):
        tab.wait_for_timeout(250)
        if number_shown(tab) == [frame_said(tab)] * 3:
            return


def frame_said(tab):
    return int(tab.evaluate("document.documentElement.dataset.frame"))


def test_it_opens_from_disk_and_nothing_leaves(visit):
    tab = visit()
    tab.wait_for_timeout(300)
    assert tab.said == []
    assert {address.split(":")[0] for address in tab.asked} <= {"file", "data"}
    assert sum("triptych.mp4" in address for address in tab.asked) >= 1
    assert "%2B" in next(address for address in tab.asked if "triptych" in address)
    assert tab.title().startswith("study </script>")
    assert tab.locator("h1").inner_text() == f"study {NASTY}"
    assert tab.locator(".byline").inner_text() == "A. Person, 2026"
    assert "l2 loss, rate 0.02" in tab.locator("table.plain").first.inner_text()
    assert tab.locator("script").count() == 2
    assert tab.locator("#film-title").inner_text() == f"starts: {FILMS[0]} & {NASTY}"


def test_the_film_plays_and_the_playhead_follows(visit):
    tab = visit(reduced_motion="no-preference")
    until(tab, "document.getElementById('film').currentTime > 0.3")
    tab.keyboard.press(" ")
    settle(tab)
    assert tab.evaluate("document.getElementById('film').paused")
    assert frame_said(tab) > 5
    assert number_shown(tab) == [frame_said(tab)] * 3


def test_reduced_motion_waits_to_be_asked(visit):
    tab = visit()
    tab.wait_for_timeout(400)
    assert tab.evaluate("document.getElementById('film').paused") and frame_said(tab) == 0
    tab.locator("#play").click()
    until(tab, "document.getElementById('film').currentTime > 0.1")
    assert tab.locator("#play").get_attribute("aria-label") == "Pause"


@pytest.mark.parametrize("share", [0.1, 0.42, 0.77])
def test_dragging_the_playhead_seeks_within_one_frame(visit, timing, share):
    tab = visit()
    chart = tab.locator("#losses")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    left, wide = box["x"] + 46, box["width"] - 46 - 14
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(left + 3, middle)
    tab.mouse.down()
    for part in (0.3, 0.7, 1):
        tab.mouse.move(left + wide * share * part, middle)
    tab.mouse.up()
    settle(tab)
    step = STEPS * share
    positions = np.array(timing["positions"][0])
    turn = int(np.flatnonzero(positions == positions.max())[-1])
    wanted = int(np.abs(positions[: turn + 1] - step).argmin())
    shown = number_shown(tab)
    assert shown[0] == shown[1] == shown[2] == frame_said(tab)
    assert abs(shown[0] - wanted) <= 1
    # the marker stands on the curve, at the film's step
    x = float(tab.locator("#losses circle").first.get_attribute("cx"))
    assert (x - 46) / wide * STEPS == pytest.approx(positions[shown[0]], abs=0.2)
    assert int(tab.locator("#losses circle").first.get_attribute("data-step")) == round(positions[shown[0]])
    assert f"step {round(positions[shown[0]])} ·" in tab.locator("#channels li").first.inner_text()
    table = losses(0)
    assert f"loss {table['loss'][round(positions[shown[0]])]:.3g}"[:9] in tab.locator("#channels li").first.inner_text()


def test_the_keyboard(visit, timing):
    tab = visit()
    for key, frame in [("ArrowRight", 1), ("ArrowRight", 2), ("Shift+ArrowRight", 27), ("ArrowLeft", 26), ("Home", 0)]:
        tab.keyboard.press(key)
        settle(tab)
        assert frame_said(tab) == frame and number_shown(tab)[0] == frame
    tab.keyboard.press("End")
    settle(tab)
    positions = timing["positions"][0]
    assert positions[number_shown(tab)[0]] == STEPS
    tab.locator("#losses").focus()
    tab.keyboard.press("ArrowLeft")
    settle(tab)
    assert tab.locator("#losses").get_attribute("role") == "slider"
    assert int(tab.locator("#losses").get_attribute("aria-valuenow")) == round(positions[number_shown(tab)[0]])
    tab, reached = visit(), []
    for _ in range(12):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"play", "scrubber", "full", "films", "losses"} <= set(reached)


def test_failed_missing_and_absent_are_shown_as_such(visit):
    tab = visit()
    assert f"no film 'ranks': {NASTY}" in tab.locator("main").inner_text()
    tab.locator("#films").select_option("1")
    until(tab, "document.getElementById('film').readyState >= 2")
    assert "failed: stopped at step 60" in tab.locator("#channels li").nth(1).inner_text()
    assert "missing" in tab.locator("#channels li").nth(2).inner_text()
    assert tab.locator("#panorama").is_visible()
    assert tab.said == []
    tab.locator("#films").select_option("2")
    tab.wait_for_selector("#film-missing:not([hidden])")
    assert "films/gone/triptych.mp4" in tab.locator("#film-missing").inner_text()
    assert not tab.locator("#panorama").is_visible() and tab.locator("#itinerary").is_visible()


def test_three_arrivals_make_a_command(visit):
    tab = visit()
    tiles = tab.locator(".arrival")
    assert tiles.count() == 7 and tab.locator(".arrival.failed").count() == 1
    chosen = [tiles.nth(place).get_attribute("data-trajectory") for place in (0, 2, 1)]
    for place in (0, 2, 1):
        tiles.nth(place).click()
    assert tab.locator("#chosen").inner_text() == film_command(COMMAND, "study", chosen)
    assert tab.locator("#chosen-line").inner_text() == film_line(chosen, "mine")
    shown = tab.locator("#preview div")
    assert [shown.nth(place).get_attribute("data-trajectory") for place in range(3)] == chosen
    look = "[...document.querySelectorAll('#preview div')].map((tile) => tile.style.backgroundPositionX)"
    assert tab.evaluate(look) == ["100%"] * 3, "the arrivals first"
    tab.locator("#moment").evaluate("(bar) => { bar.value = 0; bar.dispatchEvent(new Event('input')); }")
    assert tab.evaluate(look) == ["0%"] * 3 and "url(" in shown.first.get_attribute("style")
    tab.locator("#moment").evaluate("(bar) => { bar.value = 2; bar.dispatchEvent(new Event('input')); }")
    tab.locator("#preview input").nth(1).evaluate("(bar) => { bar.value = 1; bar.dispatchEvent(new Event('input')); }")
    assert tab.evaluate(look) == ["100%", "50%", "100%"]
    assert tab.locator("#preview figcaption").all_inner_texts() == ["to its arrival", "to step 60", "to its arrival"]
    marked = [chosen[0], f"{chosen[1]}@60", chosen[2]]
    assert tab.locator("#chosen-line").inner_text() == film_line(marked, "mine")
    tab.locator("#copy").click()
    assert tab.evaluate("getSelection().toString().trim()") == film_command(COMMAND, "study", marked)
    assert tab.said == []
    tab.locator("[data-order=strangeness]").click()
    order = [tiles.nth(place).get_attribute("data-strangeness") for place in range(7)]
    assert order == ["1", "2", "3", "4", "5", "6", ""]


@pytest.mark.parametrize("width", [1440, 390])
def test_it_fits_and_follows_light_and_dark(visit, width):
    grounds = []
    for scheme in ("light", "dark"):
        tab = visit(width, color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        for part in ("#film", "#losses svg", "#map", "#itinerary svg >> nth=0", ".arrival >> nth=0"):
            box = tab.locator(part).bounding_box()
            assert box["width"] > 100 and box["height"] > 40 and box["x"] >= 0 and box["x"] + box["width"] <= width + 1
        grounds.append(tab.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert tab.said == []
    light, dark = (sum(map(int, ground[4:-1].split(","))) for ground in grounds)
    assert light > 650 and dark < 120


def test_a_page_without_a_film_is_still_a_page(browser, opened, tmp_path):
    text = page(
        name="short",
        films=[],
        arrivals=arrivals_data(
            arrivals_table(trajectory_table(2)), {f"loss~l2+lr~0.02/{s}": np.zeros((8, 8, 3), np.uint8) for s in (0, 1)}
        ),
        record={},
        target=np.zeros((8, 8, 3), np.uint8),
        links=[],
        notes=["no film 'starts': three channels need three members"],
    )
    (tmp_path / "index.html").write_text(text)
    tab = browser.new_page()
    said = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((tmp_path / "index.html").as_uri())
    assert "three channels need three members" in tab.locator("main").inner_text() and said == []
    tab.close()


def test_the_installation_page_escapes_and_opens(browser, tmp_path):
    one = {"frames": 60, "seconds": 2.4, "width": 320, "height": 180, "fps": 25.0, "codec": "h264", "profile": "High"}
    one |= {"pix_fmt": "yuv420p", "bytes": 9, "mbit": 2.0, "sha256": "0" * 64, "group": 25, "busiest": 1}
    files = [one | {"file": f"{screen}.mp4"} for screen in ("left", "centre", "right", "wide")]
    text = render_template(
        "installation.html.j2", name="study", work=work_of({"artist": "A. Person", "year": "2026"}, "study"),
        choice=choice(FILMS[0]), files=files,
        video={"loop": True, "captions": [], "mbit": 2}, target="A target.",
        record={"configuration": {"generator": {"name": NASTY}}, "commit": "abc"},
    )  # fmt: skip
    (tmp_path / "index.html").write_text(text)
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    assert tab.locator("script").count() == 0 and NASTY in tab.locator("main").inner_text()
    assert "A. Person\n\nstudy, 2026" in tab.locator(".label").inner_text()
    assert "one round takes 2.40 s and closes without a seam" in tab.locator("header").inner_text()
    tab.close()


def test_data_is_plain_and_links_are_quoted(tmp_path):
    made = finite({"a": np.float32("nan"), "b": np.arange(2), "c": [1.23456789, float("inf"), None, "x"]})
    assert made == {"a": None, "b": [0, 1], "c": [1.23457, None, None, "x"]}
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    link = href(tmp_path / "films" / "a+b~c d#1?&é" / "x.mp4", tmp_path / "page")
    assert link == "../films/a%2Bb~c%20d%231%3F%26%C3%A9/x.mp4"
