"""The benchmarks run, count what they say they count, and leave out what they measured too little of."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from PIL import Image

import arrival
import contestants
import graph
import inversion
import measuring
import rendering
import report
import run
from approach.film.probe import count_frames
from approach.planning.plan import make_plan
from contestants import Case


@pytest.fixture(scope="module")
def backbone(backbones):
    return backbones["squeeze"]


def test_needed_operations_are_the_packages_less_what_is_not_needed(backbone):
    task = inversion.make_task("study", "l2", backbone, "cpu")
    model = contestants.plain_generator(task)
    z, logits = contestants.latents(task, 1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.generator(torch.cat([z, model.embeddings(torch.softmax(logits, 1))], 1), 0.4)
    config, spared, size = task.config, 0, 4
    for up, wide_in, _ in config.layers:
        size *= 2 if up else 1
        spared += up * 2 * size**2 * (wide_in * config.channel_width // 4) ** 2 * (9 - 4)
    spared += 2 * size**2 * config.channel_width * (config.channel_width - 3) * 9
    wide = config.channel_width * config.layers[config.attention_layer_position][1]
    pixels = (4 * 2 ** sum(up for up, _, _ in config.layers[: config.attention_layer_position])) ** 2
    attention = 2 * pixels * (pixels // 4) * (wide // 8 + wide // 2)
    needed = 2 * (counter.get_total_flops() - spared) + attention  # attention's backward pass is twice its forward
    embedding = 2 * config.num_classes * config.z_dim
    assert measuring.generator_flop(config) == pytest.approx(needed - 2 * embedding, rel=0.01)


def test_rows(backbone, tmp_path, monkeypatch):
    few = [Case("plain", "float32", 1), Case("ours", "float32", 2), Case("ours", "bf16", 2)]
    monkeypatch.setattr(inversion, "cases", lambda size, device, quick: few)
    path = tmp_path / "rows.json"
    arguments = ["--sizes", "study", "--losses", "lpips", "--seconds", "5", "--json", str(path)]
    inversion.main([*arguments, "--backbone", str(backbone), "--threads", str(torch.get_num_threads())])
    found = json.loads(path.read_text())
    wanted = {
        "size",
        "loss",
        "who",
        "precision",
        "batch",
        "compiled",
        "seed_steps_per_s",
        "ratio",
        "peak_share",
        "peak_memory_mb",
    }
    assert found["rows"]
    for row in found["rows"]:
        assert wanted <= row.keys()
        assert row["repeats"] >= 3
        assert 0 < row["peak_share"] < 1.2
    plain = next(row for row in found["rows"] if row["who"] == "plain" and row["batch"] == 1)
    assert plain["ratio"] == 1
    table = report.markdown([found])
    assert table.count("\n| study |") == len(found["rows"])
    report.plot([found], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_rows_of_few_repeats_are_left_out_and_named(backbone, monkeypatch):
    task = inversion.make_task("study", "l2", backbone, "cpu")
    monkeypatch.setattr(
        inversion, "cases", lambda size, device, quick: [Case("plain", "float32", 1), Case("ours", "float32", 2)]
    )
    monkeypatch.setattr(inversion, "matrix_peak", lambda precision, device: 1e11)
    monkeypatch.setattr(inversion, "interleave", lambda ready, seconds, device: [[1.0, 1.0, 1.0], [1.0, 1.0]])
    rows, note = inversion.table("study", task, 1)
    assert [row["who"] for row in rows] == ["plain"]
    assert note["left_out"] == ["ours float32 batch 2"]


def test_bfloat16_is_timed_only_where_there_are_units_for_it(monkeypatch):
    monkeypatch.setattr(inversion, "missing_compiler", lambda device: None)
    for able in (True, False):
        monkeypatch.setattr(inversion, "has_bfloat16", lambda device, able=able: able)
        for size in ("study", "128", "256", "512"):
            found = inversion.cases(size, "cpu")
            assert {case.precision for case in found} == ({"float32", "bf16"} if able else {"float32"})
            assert any(case.compiled for case in found)
            assert not any(case.compiled for case in inversion.cases(size, "cpu", quick=True))


def test_a_loss_without_its_file_is_one_line(tmp_path, capsys):
    for wanted in ([], ["--backbone", str(tmp_path / "none.pth")]):
        with pytest.raises(SystemExit):
            inversion.main(["--losses", "lpips", *wanted])
        assert "lpips needs --backbone FILE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        arrival.main([])
    assert "required: --picture, --backbone" in capsys.readouterr().err


def test_contestants_do_the_same_work(backbone):
    """Plain and ours, float32: the same losses from the same starts, over three updates."""
    task = inversion.make_task("study", "lpips", backbone, "cpu")
    steps = [contestants.plain(task, Case("plain", "float32", 2)), contestants.ours(task, Case("ours", "float32", 2))]
    for _ in range(3):
        theirs, mine = (step() for step in steps)
        assert torch.allclose(mine, theirs, rtol=2e-3, atol=1e-4)


def test_the_skeleton_names_scripts_and_environments_that_are_there():
    named = re.findall(r"'(\S+\.(?:py|yaml))'", graph.skeleton(scripts=True))
    assert len(named) == 2 * len(graph.RULES)
    assert not [name for name in named if not Path(name).is_file()]


def test_arrival_compares_a_whole_run(backbone, tmp_path):
    Image.new("RGB", (64, 64), (90, 120, 150)).save(tmp_path / "target.png")
    files = ["--picture", str(tmp_path / "target.png"), "--backbone", str(backbone)]
    few = ["--seeds", "1", "--plain-steps", "1", "--steps", "2", "--plain-rates", "ours"]
    found = arrival.main([*files, *few, "--json", str(tmp_path / "arrival.json")])
    assert [len(one["seconds_at_step"]) for one in found["ours"].values()] == [3, 3]
    assert [row["ours"] for row in found["plain"]] == list(arrival.OURS)
    assert "| seeds that reach" in report.waiting(json.loads((tmp_path / "arrival.json").read_text()))


def test_rates_of_rendering_count_every_frame(tmp_path, monkeypatch):
    monkeypatch.setitem(rendering.FRAMES, "study", 20)
    found = rendering.rates("study", 1, torch.get_num_threads(), tmp_path)
    assert list(found) == ["generator alone", "encoder alone", "both"]
    assert all(rate > 0 for rate in found.values())
    assert count_frames(tmp_path / "frames.mkv") == 20


def test_the_three_experiments_of_a_whole_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = {}
    for name, given in run.EXPERIMENTS.items():
        plan = make_plan({"name": name, **given}, run.ROOT)
        counts[name] = (len(plan.settings) * len(plan.seeds), len(plan.films))
    assert counts == {"demo": (3, 1), "films": (12, 7), "seeds": (64, 3)}


def test_a_whole_run_by_stage():
    """What every process told when it ended; ffmpeg worked for the second one."""
    told = "tmpab_1.render.py\t2.0\t1.5\t0.0\ntmpcd.render.py\t4.0\t3.0\t0.5\n__main__.py\t9.0\t1.0\t5.0\n"
    found = run.by_stage(told)
    assert found == {"render": (2, 6.0, 5.0), run.SNAKEMAKE: (1, 9.0, 1.0)}
    before = {"render": (3, 12.0, 9.0), run.WHOLE: (1, 20.0, 30.0)}
    lines = run.as_table({"old": [before, before], "new": [found]}).splitlines()
    assert lines[0] == "| stage | old: processes | seconds | processor | new: processes | seconds | processor |"
    assert lines[2:4] == [
        "| the whole run | 1 | 20.0 | 30.0 | 0 | 0.0 | 0.0 |",
        "| render | 3 | 12.0 | 9.0 | 2 | 6.0 | 5.0 |",
    ]


def test_a_process_tells_what_it_worked(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(run.TOLD)
    command = [sys.executable, "-c", "sum(range(100_000))"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True)
    ((jobs, seconds, worked),) = run.by_stage((tmp_path / "told").read_text()).values()
    assert jobs == 1 and seconds > 0 and worked > 0
