"""Plain words: settings and films as visitors read them, commands as people type them."""

import shlex

import pytest

from approach.pictures.arrivals import film_command
from approach.planning.command_line import finish, read_short_keys
from approach.planning.sweep import points
from approach.wording import film_words, setting_words, value_words, work_of
from helpers.paths import ROOT


def test_settings_in_words():
    assert setting_words("loss~l2+lr~0.05") == "l2 loss, rate 0.05"
    assert setting_words("loss~l1-ssim+lr~1e-05+optimizer.beta1~0.9") == "l1-ssim loss, rate 1e-05, beta1 0.9"
    assert setting_words("starts+loss~l2+lr~0.05") == "starts: l2 loss, rate 0.05"
    assert setting_words("the whole experiment") == "the whole experiment"
    assert [value_words("seed", 2), value_words("loss.terms.ssim", 0.5)] == ["start 2", "weight of ssim 0.5"]
    assert film_words({"key": "losses", "title": "rate 0.05"}) == "losses: rate 0.05"
    assert film_words({"key": "mine", "title": ""}) == "mine"


@pytest.mark.parametrize(
    "command",
    [
        "snakemake --cores all",
        "snakemake --cores all --config seeds=6 'hydra=video.fps=30 video.captions=[step]'",
        "snakemake -C 'target=my picture.jpg' name=me",
    ],
)
def test_the_film_s_command_is_readable_and_means_what_it_says(command):
    trajectories = [f"loss~l1-ssim+lr~0.05/{seed}" for seed in (4, 0, 2)]
    text = film_command(command, "study", trajectories)
    assert max(map(len, text.splitlines())) < 160 and "'hydra=" not in text
    words = shlex.split(text.replace("\\\n", ""))
    assert {word for word in shlex.split(command) if not word.startswith("hydra=")} <= set(words)
    given = dict(word.split("=", 1) for word in words if word.startswith("hydra="))
    films = points(read_short_keys(given, ROOT / "config")[0], ROOT / "config")[0][0]["films"]
    assert films["mine"] == {"vary": "trajectory", "of": trajectories}


def test_the_film_s_command_asks_for_that_film_only():
    text = film_command("snakemake --cores 2 all crate --config seeds=3", "study", ["a/1", "b/2", "c/3"])
    words = shlex.split(text.replace("\\\n", ""))
    assert words[:4] == ["snakemake", "results/study/films/mine/triptych.mp4", "--cores", "2"]
    assert "all" not in words and "crate" not in words


def test_title_artist_year_and_credit_are_taken_literally():
    said = {"title": "a=b, {c}", "artist": "Ada: L.", "year": 2026}
    words, literal = read_short_keys(said, ROOT / "config")
    assert words == []
    config = {"seeds": 1, "overwrite": False, "name": "x", "credit": None, "title": None, "artist": None, "year": None}
    done = finish(config, literal, ROOT)
    assert [done[key] for key in ("title", "artist", "year", "credit")] == ["a=b, {c}", "Ada: L.", "2026", None]
    work = work_of(done, "x")
    assert (work.title, work.byline, work.credit) == ("a=b, {c}", "Ada: L., 2026", "")
    assert work_of({}, "x").title == "x" and work_of({}, "x").byline == ""
