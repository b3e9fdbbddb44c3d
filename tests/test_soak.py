"""A short soak: kills in every stage, and nothing differs or is left. `make soak` goes on for longer."""

import json

import pytest

import soak

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    """The folder and the log of a soak, in which each stage's script runs alone."""
    folder = tmp_path_factory.mktemp("soak")
    log, common = folder / "kills.jsonl", ["--folder", str(folder), "--most", "3", "--seed", "1"]
    found = soak.main([*common, "--alone", "--rounds", str(len(soak.STAGES)), "--log", str(log)])
    return found, [json.loads(line) for line in log.read_text().splitlines()]


def test_every_stage_outlives_its_kills(kills, capsys):
    found, entries = kills
    assert [entry["what"] for entry in entries if entry["kind"] == "problem"] == []
    assert {entry["stage"] for entry in entries if entry["kind"] == "kill"} == set(soak.STAGES)
    assert found == 0


def test_a_soak_that_left_a_stage_out_has_failed(kills, tmp_path, capsys):
    _, entries = kills
    some = [entry for entry in entries if entry["kind"] != "kill" or entry["stage"] != "render"]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in some))
    assert soak.main(["--report", str(tmp_path / "some.jsonl")]) == 1
    assert "no kill landed in: render" in capsys.readouterr().out


def test_what_differs_or_is_left_over_is_a_problem(tmp_path):
    """The judge itself: on a folder with a changed file, a file too many and one too few."""
    judge = soak.Soak(tmp_path, None, 0)
    for place in (judge.folder, judge.twin):
        (place / "results").mkdir(parents=True)
        for name in ("same", "changed", "lost"):
            (place / "results" / name).write_text(name)
    judge.check_round("page", [])
    assert judge.problems == []
    (judge.folder / "results/changed").write_text("otherwise")
    (judge.folder / "results/lost").rename(judge.folder / "results/.left.part")
    judge.check_round("page", [])
    said = [problem["what"] for problem in judge.problems]
    assert said == ["left over: ['results/.left.part']", "lost: ['results/lost']", "differs: results/changed"]
    judge.server.shutdown()
