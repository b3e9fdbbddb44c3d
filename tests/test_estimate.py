"""What a run says of its cost: from measurements, which are faked here."""

import os
from dataclasses import asdict

import pytest

from approach.biggan.config import read_config
from approach.planning import estimate
from approach.planning.estimate import Job
from approach.planning.plan import image_threads, make_plan

TABLE = "s\th:m:s\tmax_rss\n{}\t0:01:00\t100.0\n"


@pytest.fixture
def plan(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_plan({"loss": "l2", "seeds": 4, "steps": 99, "seeds_per_job": 2, "start": "random"}, root)


def summary(plan):
    """What is said before nothing was made, where only inversions are to be run."""
    jobs = [Job("invert", 2)] * len(plan.all_batch_files())
    return estimate.summary_lines(plan, plan.all_batch_files(), jobs, 2)


def write(folder, batch, text):
    file = folder / "benchmarks/study/loss~l2+lr~0.4/invert" / f"{batch}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    ["", "\n", "s\th:m:s\n", "s\th:m:s\n\n", "h:m:s\n0:01\n", TABLE.format("-"), TABLE.format("nan"), "\0\0\n\0"],
)
def test_a_damaged_benchmark_is_ignored(plan, tmp_path, monkeypatch, text):
    monkeypatch.setattr(estimate, "machine_gigaflops", lambda: [100.0])
    assert estimate.benchmark_seconds(write(tmp_path, "0-1", text)) is None
    assert "a guess" in "\n".join(summary(plan))
    write(tmp_path, "2-3", TABLE.format("60.0"))
    assert "as its past jobs took" in "\n".join(summary(plan))


def test_bytes_that_are_no_text_are_ignored(tmp_path):
    (tmp_path / "0.tsv").write_bytes(b"s\n\xff\xfe\n")
    assert estimate.benchmark_seconds(tmp_path / "0.tsv") is None
    assert estimate.benchmark_seconds(tmp_path / "absent.tsv") is None


def test_work_and_maps_are_counted_block_by_block():
    """One block from 4 to 8 px: 8 channels in, 2 within, 4 out."""
    one = {"channel_width": 4, "output_dim": 8, "layers": [[True, 2, 1]]}
    assert list(estimate.block_sizes(one)) == [(16, 64, 8, 2, 4)]
    assert estimate.gigaflops(one) == pytest.approx(2 * (16 * 8 * 2 + 64 * (18 * 4 + 2 * 4) + 64 * 4 * 27) / 1e9)
    assert estimate.map_millions(one) == pytest.approx((16 * (8 + 2) + 64 * (3 * 2 + 4) + 64 * (4 + 3)) / 1e6)


def test_a_step_at_128_px_takes_more_than_its_products_do(root):
    """Measured: 2.4 times as long as at 64 px, with 2.1 times the multiplications (27 November 2026)."""
    large, small = (asdict(read_config(root / f"resources/{name}/config.json")) for name in ("study", "study64"))
    each = [estimate.step_core_seconds(architecture, False, 100, 95.0) for architecture in (large, small)]
    assert each[0] / each[1] == pytest.approx(2.4, abs=0.3)


@pytest.mark.parametrize(
    ("name", "threads"), [("study/config", 1), ("study64/config", 1), ("biggan/biggan-deep-128", 2)]
)
def test_a_small_generator_takes_one_thread(root, name, threads):
    assert image_threads(root / "resources" / f"{name}.json") == threads


def test_past_inversions_give_the_time(plan, tmp_path):
    write(tmp_path, "0-1", TABLE.format("200.0"))
    assert estimate.past_steps(plan) == [1.0]  # 200 s for two seeds and a hundred rows
    write(tmp_path, "2-3", TABLE.format("400.0"))
    assert sorted(estimate.past_steps(plan)) == [1.0, 2.0]
    assert "about 8 to 12 min on 2 cores, the inversions 8 to 12 min of it" in "\n".join(summary(plan))


def test_a_guess_reaches_from_the_fastest_look_to_the_second(plan, monkeypatch):
    def guess(*speeds):
        monkeypatch.setattr(estimate, "machine_gigaflops", lambda: list(speeds))
        return [each["invert"] for each in estimate.guessed_core_seconds(plan)]

    alone, beside = guess(100.0, 100.0, 100.0), guess(100.0, 25.0, 60.0)
    assert alone[0] == beside[0]
    assert alone[0] < alone[1] < beside[1]
    assert guess(60.0, 100.0, 5.0) == beside


def test_a_guess_grows_with_what_is_made(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "machine_gigaflops", lambda: [100.0])
    few, many = (
        estimate.guessed_core_seconds(make_plan({"seeds": 3, "hydra": words}, root))[0]
        for words in ("video.seconds=12", "video.seconds=60 video.size=1024 panorama.grid=97 montage.moments=64")
    )
    assert all(many[rule] > few[rule] for rule in ("render", "encode", "survey", "stills"))
    assert many["invert"] == few["invert"]


def test_jobs_share_the_cores_but_one_waits_for_another(plan, tmp_path):
    """Four stages of ten seconds: two cores share eight renderings, and no number of cores hurries a chain.

    Snakemake's own seconds come on top.
    """
    for rule in ("choose", "render", "encode", "page"):
        file = tmp_path / "benchmarks" / "study" / f"{rule}.tsv"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(TABLE.format("10.0"))
    jobs = [Job("choose"), *[Job("render")] * 8, Job("encode"), Job("page")]
    for cores, seconds in ((1, 110.0), (2, 55.0), (64, 40.0)):
        whole, inverting, source = estimate.run_seconds(plan, jobs, 0, cores)
        wanted = pytest.approx(seconds + estimate.BEGIN_AND_END + estimate.BETWEEN * len(jobs) / cores)
        assert whole == (wanted, wanted) and inverting == (0, 0) and source == "as its past jobs took"


def test_the_machine_is_measured_more_than_once(monkeypatch):
    clock = iter([0.0, 1.0, 1.0, 3.0, 3.0, 4.0, 4.0, 4.5, 4.5, 5.0])
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(clock))
    one_second = 2 * 1024**3 / 1e9 / os.cpu_count()
    assert estimate.machine_gigaflops.__wrapped__() == pytest.approx([one_second * f for f in (1, 0.5, 1, 2, 2)])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ((2400, 5300), "40 to 88 min"),
        ((50, 180), "50 s to 3 min"),
        ((2400, 2410), "40 min"),
        ((6000, 90_000), "1.7 to 25.0 h"),
        ((90_000, 400_000), "25.0 h to 4.6 days"),
    ],
)
def test_a_range_in_words(seconds, words):
    assert estimate.duration_range(seconds) == words


def test_only_what_was_made_is_named_at_the_end(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "machine_gigaflops", lambda: [100.0])
    assert estimate.closing_lines(plan) == []
    film = tmp_path / "results/study/films" / next(iter(plan.films)) / "triptych.mp4"
    film.parent.mkdir(parents=True)
    film.touch()
    assert estimate.closing_lines(plan) == [f"film: {film.relative_to(tmp_path)}"]
    page = tmp_path / "results/study/page/index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert "page: results/study/page/index.html" in estimate.closing_lines(plan)
    assert "experiment=wanderer" in "\n".join(estimate.closing_lines(plan))


def test_one_is_not_many(plan, root, monkeypatch):
    monkeypatch.setattr(estimate, "machine_gigaflops", lambda: [100.0])
    assert summary(plan)[0].startswith("study: 1 setting x 4 seeds = 4 trajectories of 99 steps, 4 of")
    single = make_plan({"loss": "l2", "seeds": 1, "steps": 1}, root)
    assert summary(single)[0].startswith("study: 1 setting x 1 seed = 1 trajectory of 1 step, 1 of")
