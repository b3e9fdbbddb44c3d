"""The inversion of a batch: one device from beginning to end, less memory, one clear line where it cannot go on."""

import csv
import errno
import hashlib
import io
import logging
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from approach import devices
from approach.batch_labels import label
from approach.biggan.config import class_names, read_config
from approach.biggan.format import read_weights
from approach.errors import UserError
from approach.going_on import before_of, finished_of, why_not
from approach.inversion import batch, checkpoint, search
from approach.inversion.descent import State, columns, make_optimizer
from approach.inversion.starts import Begin, Latents, start
from approach.stages import legs_of, rate_at, stages_of
from approach.target import prepare_target
from approach.trajectories import TrajectoryFile

LOSS = {"name": "l2", "terms": {"l2": 1.0}}
CONFIG = {
    **{"loss": LOSS, "steps": 8, "precision": "float32", "compile": "never", "graphs": False, "micro_batch": None},
    **{"threads": 1, "device": "auto", "truncation": 0.7, "perceptual_net": None},
    "start": {"classes": [], "logit_std": 1.0, "class_probability": 0.9, "temperature": 1.0, "best_of": 1},
    "optimizer": {
        **{"lr": 0.05, "class_lr_ratio": 1.0, "kind": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        **{"warmup": 0.05, "decay": 0.25, "bound": "clamp"},
    },
    "latent": {"classes": "softmax"},
    "search": {"name": "descent", "pool": 1, "stages": [[1, 1]]},
}
HALVING = {
    "search": {"name": "halving", "pool": 5, "stages": [[3, 2], [2, 3], [1, 3]]},
    "latent": {"classes": "embedding"},
}


@pytest.fixture
def sources(tiny, tmp_path):
    """The tiny generator's files and a target."""
    picture = tmp_path / "picture.png"
    Image.effect_noise((48, 48), 90).convert("RGB").save(picture)
    prepare_target(picture, 32).save(tmp_path / "target.png")
    names = tiny / "classes.json"
    return batch.Sources(tiny / "config.json", tiny / "generator.safetensors", tmp_path / "target.png", names)


def invert(sources, folder, **changes):
    """Invert two seeds; the bytes of their trajectories."""
    folder.mkdir(exist_ok=True)
    file = folder / "0-1.safetensors"
    batch.invert([0, 1], {**CONFIG, **changes}, "code", sources, file, folder / "0-1.csv", folder / "0-1.pt", {})
    return file.read_bytes()


def stop_at(monkeypatch, step):
    """Have the inversion asked to stop once a step is done."""

    def due(watch):
        watch.steps_done = getattr(watch, "steps_done", 0) + 1
        watch.stop_reason = "test" if watch.steps_done == step else None
        return watch.stop_reason is not None

    monkeypatch.setattr(checkpoint.Watch, "due", due)


def test_an_inversion_begun_on_the_cpu_stays_there_when_a_gpu_is_found(sources, tmp_path, monkeypatch):
    undisturbed = invert(sources, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(checkpoint.Interrupted, match="stopped at step 3"):
            invert(sources, tmp_path / "stopped")
    monkeypatch.setattr(batch, "resolve_device", lambda wanted: "meta")
    assert invert(sources, tmp_path / "stopped") == undisturbed


def test_whoever_watches_changes_no_byte(sources, tmp_path, monkeypatch):
    watched = invert(sources, tmp_path / "watched")
    assert (tmp_path / "watched" / "0-1.live.js").is_file()
    monkeypatch.setattr(batch.Preview, "look", lambda *_: None)
    assert invert(sources, tmp_path / "alone") == watched


def test_where_the_device_is_gone_one_line_says_so(sources, tmp_path, monkeypatch):
    stop_at(monkeypatch, 3)
    monkeypatch.setattr(batch, "device_name", lambda device: "NVIDIA H100")
    with pytest.raises(checkpoint.Interrupted):
        invert(sources, tmp_path / "stopped")
    file = tmp_path / "stopped" / "0-1.pt"
    payload = torch.load(io.BytesIO(file.read_bytes()[checkpoint.DIGEST :]), weights_only=True)
    assert payload["decisions"]["device_names"] == [[0, "NVIDIA H100"]]
    payload["decisions"]["device"] = "cuda:9"
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    file.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    with pytest.raises(UserError) as error:
        invert(sources, tmp_path / "stopped")
    assert "device cuda:9 is not on this machine" in str(error.value)
    assert f"{file} was begun on it (NVIDIA H100)" in str(error.value)
    assert "\n" not in str(error.value)


def test_another_card_of_the_same_kind_is_recorded(sources, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(checkpoint.Interrupted):
            invert(sources, tmp_path)
    monkeypatch.setattr(batch, "device_name", lambda device: "another")
    invert(sources, tmp_path)
    names = batch.read_checkpoint(tmp_path / "0-1.pt", batch.fingerprint_of([0, 1], CONFIG, "code", sources.digests()))
    assert [step for step, _ in names[1]["device_names"]] == [0, 3]


def test_a_missing_device_is_refused_before_anything_is_loaded():
    with pytest.raises(UserError, match=r"device cuda:9 is not on this machine; take device=auto"):
        devices.check_device("cuda:9", "take device=auto")
    devices.check_device("cpu", "")


def test_a_finished_state_is_written_again_without_a_step(sources, tmp_path, monkeypatch):
    once = invert(sources, tmp_path)
    (tmp_path / "0-1.safetensors").unlink()
    log = (tmp_path / "0-1.csv").read_text()
    monkeypatch.setattr(batch, "run_search", None)
    monkeypatch.setattr(batch, "load_generator", None)
    assert invert(sources, tmp_path) == once
    assert (tmp_path / "0-1.csv").read_text() == log


@pytest.mark.parametrize("where", ["begin", "step"])
def test_out_of_memory_goes_on_in_halves(sources, tmp_path, monkeypatch, where):
    invert(sources, tmp_path / "undisturbed", micro_batch=1)
    emptied, failed = [], []
    monkeypatch.setattr(batch.gc, "collect", lambda: emptied.append(True))
    honest = {"begin": State.begin, "step": search.descend}[where]

    def fails_once(*words, **keys):
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(*words, **keys)

    monkeypatch.setattr(*{"begin": (State, "begin"), "step": (search, "descend")}[where], fails_once)
    invert(sources, tmp_path / "halved", micro_batch=2)
    assert emptied
    rows = [list(csv.reader((tmp_path / name / "0-1.csv").open())) for name in ("undisturbed", "halved")]
    without_seconds = [[row[:-1] for row in table] for table in rows]
    assert without_seconds[0] == without_seconds[1]
    whole, halved = (TrajectoryFile(tmp_path / name / "0-1.safetensors") for name in ("undisturbed", "halved"))
    assert (whole.metadata["split_at"], halved.metadata["split_at"]) == ([], [[0, 1]])
    assert halved.metadata["tensors_sha256"] == whole.metadata["tensors_sha256"]


def test_in_float32_the_arrival_loss_is_the_logged_one(sources, tmp_path, monkeypatch):
    state = SimpleNamespace(log=torch.tensor([[[3.0, 0.0], [2.0, 0.0]], [[5.0, 0.0], [1.5, 0.0]]]))
    monkeypatch.setattr(batch, "load_generator", None)
    found = batch.arrival_losses(state, {}, None, CONFIG, sources, {"precision": "float32", "device": "cpu"})
    assert found == [2.0, 1.5]


def test_tf32_is_off_for_the_arrival_loss(sources, tiny, monkeypatch):
    config = read_config(tiny / "config.json")
    weights = batch.read_weights(tiny / "generator.safetensors", config)
    state = State.begin(Latents(torch.zeros(1, 128), torch.zeros(1, 5)), 1, len(columns(LOSS)))
    seen = []

    def watched(*words, **keys):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return honest(*words, **keys)

    honest = batch.load_generator
    monkeypatch.setattr(batch, "load_generator", watched)
    batch.set_matrix_precision("tf32", "cpu")
    batch.arrival_losses(state, weights, config, CONFIG, sources, {"precision": "tf32", "device": "cpu"})
    assert seen == [(False, False)]


def test_the_log_needs_no_float64_on_the_device(tmp_path, tiny):
    values = torch.zeros(1, 2, len(columns(LOSS)))

    class OnMps:
        def double(self):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")

        def cpu(self):
            return values

    names = class_names(tiny / "classes.json", read_config(tiny / "config.json"))
    batch.write_log(tmp_path / "log.csv", [4], SimpleNamespace(log=OnMps()), columns(LOSS), names)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def test_a_checkpoint_goes_on_on_another_device(tmp_path):
    state = State.begin(Latents(torch.zeros(1, 128), torch.zeros(1, 5)), 2, len(columns(LOSS)))
    latents = Latents(state.latents.z.clone().requires_grad_(), state.latents.logits.clone().requires_grad_())
    adam = make_optimizer(list(latents), CONFIG["optimizer"], None)
    for latent in latents:
        latent.grad = torch.ones_like(latent)
    adam.step()
    state.adam = adam.state_dict()
    checkpoint.write_checkpoint(tmp_path / "0.pt", state, {}, "this one")
    moved = checkpoint.read_checkpoint(tmp_path / "0.pt", "this one")[0].to("meta")
    assert {moved.z.device.type, moved.latents.z.device.type, moved.previous.logits.device.type} == {"meta"}
    there = Latents(*(latent.clone().requires_grad_() for latent in moved.latents))
    loaded = make_optimizer(list(there), CONFIG["optimizer"], moved.adam)
    assert loaded.steps == 1 and {moment.device.type for pair in loaded.moments for moment in pair} == {"meta"}


@pytest.mark.parametrize("error", [NotImplementedError("no flock"), OSError(errno.EOPNOTSUPP, "not supported")])
def test_without_file_locks_it_goes_on_with_a_warning(tmp_path, monkeypatch, caplog, error):
    def acquire(lock, timeout):
        raise error

    monkeypatch.setattr(checkpoint.FileLock, "acquire", acquire)
    with caplog.at_level(logging.WARNING), checkpoint.only_writer(tmp_path / "0.pt"):
        pass
    assert "this file system has no locks" in caplog.text


def test_other_errors_of_the_lock_are_told(tmp_path, monkeypatch):
    def acquire(lock, timeout):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.FileLock, "acquire", acquire)
    with pytest.raises(OSError, match="No space"), checkpoint.only_writer(tmp_path / "0.pt"):
        pass


def test_a_halving_is_the_same_bytes_however_often_it_is_stopped(sources, tmp_path, monkeypatch):
    undisturbed = invert(sources, tmp_path / "undisturbed", **HALVING, micro_batch=3)
    for stop in (1, 2, 4, 2):  # while the pool is looked at, in its middle, and in the stages
        with monkeypatch.context() as patch:
            stop_at(patch, stop)
            with pytest.raises(checkpoint.Interrupted):
                invert(sources, tmp_path / "stopped", **HALVING, micro_batch=3)
    assert invert(sources, tmp_path / "stopped", **HALVING, micro_batch=3) == undisturbed
    logs = [(tmp_path / name / "0-1.csv").read_text().splitlines() for name in ("stopped", "undisturbed")]
    rows = [[line.rpartition(",")[0] for line in log] for log in logs]
    assert len(rows[0]) == 1 + 2 * 9 and rows[0] == rows[1]


def test_the_survivor_has_its_whole_trajectory_and_the_dropped_are_told(sources, tiny, tmp_path):
    invert(sources, tmp_path, **HALVING)
    file = TrajectoryFile(tmp_path / "0-1.safetensors")
    dropped = file.metadata["dropped"]
    assert [[step for _, step, _ in one] for one in dropped] == [[2, 5], [2, 5]]
    with safe_open(tmp_path / "0-1.safetensors", framework="np") as data:
        of_survivors = {name for name in data.offset_keys() if name.count(".") == 1}
    assert of_survivors == {f"{seed}.{part}" for seed in (0, 1) for part in ("z", "class_embedding", "sketches")}
    config = read_config(tiny / "config.json")
    embedding = read_weights(tiny / "generator.safetensors", config)["embeddings.weight"]
    names = class_names(tiny / "classes.json", config)
    for seed, order in zip((0, 1), file.metadata["orders"], strict=True):
        assert order not in [one[0] for one in dropped[seed]]
        begun = start(seed, order, CONFIG["start"], 0.7, 128, names)
        trajectory = file.trajectory(seed)
        assert trajectory.embedded and trajectory.z.shape == (9, 128) and trajectory.classes.shape == (9, 128)
        assert torch.equal(torch.from_numpy(trajectory.z[0]), begun.z)
        assert trajectory.classes[0] == pytest.approx((embedding @ torch.softmax(begun.logits, 0)).numpy(), abs=1e-5)
        assert (trajectory.z[1:] != trajectory.z[:-1]).any(axis=1).all()
        for other, step, loss in dropped[seed]:  # a stage drops one: all of its way is there
            way = file.dropped(seed, other)
            assert way.z.shape == way.classes.shape == (step, 128) and len(way.sketches) == step
            assert torch.equal(torch.from_numpy(way.z[0]), start(seed, other, CONFIG["start"], 0.7, 128, names).z)
            assert way.losses[-1] == pytest.approx(loss) and len(way.top_classes) == step


def test_a_trajectory_says_which_of_its_random_starts_it_began_from(sources, tiny, tmp_path):
    invert(sources, tmp_path, start={**CONFIG["start"], "best_of": 5}, micro_batch=2)
    file = TrajectoryFile(tmp_path / "0-1.safetensors")
    names = class_names(tiny / "classes.json", read_config(tiny / "config.json"))
    orders = file.metadata["orders"]
    for seed, order in zip((0, 1), orders, strict=True):
        begun = start(seed, order, CONFIG["start"], 0.7, 128, names)
        assert torch.equal(torch.from_numpy(file.trajectory(seed).z[0]), begun.z)
    assert any(orders)


def test_a_seed_of_a_halving_depends_on_itself_alone(sources, tmp_path):
    invert(sources, tmp_path, **HALVING, precision="float64")
    both = TrajectoryFile(tmp_path / "0-1.safetensors")
    file = tmp_path / "1.safetensors"
    batch.invert([1], {**CONFIG, **HALVING, "precision": "float64"}, "code", sources, file, tmp_path / "1.csv",
                 tmp_path / "1.pt", {})  # fmt: skip
    alone = TrajectoryFile(file)
    assert alone.metadata["orders"][0] == both.metadata["orders"][1]
    assert alone.trajectory(1).z == pytest.approx(both.trajectory(1).z, abs=1e-6)


def test_memory_runs_out_while_a_pool_is_looked_at(sources, tmp_path, monkeypatch):
    undisturbed = invert(sources, tmp_path / "undisturbed", **HALVING, precision="float64", micro_batch=1)
    honest, failed = search.members_from, []

    def fails_once(*words):
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(*words)

    monkeypatch.setattr(search, "members_from", fails_once)
    invert(sources, tmp_path / "halved", **HALVING, precision="float64", micro_batch=2)
    files = [TrajectoryFile(tmp_path / name / "0-1.safetensors") for name in ("undisturbed", "halved")]
    assert files[1].metadata["split_at"] == [[0, 1]] and undisturbed
    dropped = [[[one[:2] for one in seed] for seed in file.metadata["dropped"]] for file in files]
    assert dropped[0] == dropped[1]
    assert files[0].trajectory(0).z == pytest.approx(files[1].trajectory(0).z, abs=1e-6)


@pytest.mark.parametrize(
    ("stages", "steps", "ends"),
    [
        ([[1, 1]], 300, [(1, 301)]),
        ([[24, 30], [12, 40], [6, 70], [2, 200], [1, 200]], 540, [(24, 30), (12, 70), (6, 140), (2, 340), (1, 541)]),
        ([[24, 30], [12, 40], [6, 70], [2, 200], [1, 200]], 5, [(24, 1), (12, 2), (6, 3), (2, 4), (1, 6)]),
    ],
)
def test_stages_share_the_steps(stages, steps, ends):
    assert stages_of({"stages": stages}, steps) == ends


# Going on after the last step

CONSTANT = {"optimizer": {**CONFIG["optimizer"], "warmup": 0.0, "decay": 0.0}}
FALLING = {"optimizer": {**CONFIG["optimizer"], "decay": 0.9}}


def put_aside(folder):
    """What planning does before a batch goes on: its three files, under names that Snakemake does not delete."""
    for file, place in zip(finished_of(folder / "0-1.safetensors", folder), before_of(folder / "0-1.pt"), strict=True):
        place.hardlink_to(file)
    (folder / "0-1.safetensors").unlink()
    (folder / "0-1.csv").unlink()
    (folder / "0-1.pt").unlink()


def log_of(folder):
    """The log's rows without the seconds."""
    return [line.rpartition(",")[0] for line in (folder / "0-1.csv").read_text().splitlines()]


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({}, ()),
        ({}, (1, 2)),
        ({"precision": "float64", "micro_batch": 1}, ()),
        ({"latent": {"classes": "embedding"}}, ()),
        ({"optimizer": {**CONSTANT["optimizer"], "kind": "sgd", "bound": "resample"}}, ()),
        ({"optimizer": {**FALLING["optimizer"], "period": 4}}, ()),
    ],
)
def test_going_on_is_one_uninterrupted_inversion(sources, tmp_path, monkeypatch, changes, stops):
    """To the byte, with more steps than before, and also where it is stopped on the way."""
    changes = {**CONSTANT, **changes}
    uninterrupted = invert(sources, tmp_path / "once", **changes)
    invert(sources, tmp_path / "twice", **changes, steps=4)
    before = (tmp_path / "twice" / "0-1.csv").read_text().splitlines()
    put_aside(tmp_path / "twice")
    for stop in stops:
        with monkeypatch.context() as patch:
            stop_at(patch, stop)
            with pytest.raises(checkpoint.Interrupted):
                invert(sources, tmp_path / "twice", **changes)
    assert invert(sources, tmp_path / "twice", **changes) == uninterrupted
    assert log_of(tmp_path / "twice") == log_of(tmp_path / "once")
    after = (tmp_path / "twice" / "0-1.csv").read_text().splitlines()
    assert (after[:6], after[10:15]) == (before[:6], before[6:])  # the seconds are those of then
    assert sorted(path.name for path in (tmp_path / "twice").iterdir()) == [
        *("0-1.csv", "0-1.end", "0-1.live.js", "0-1.lock", "0-1.pt", "0-1.safetensors"),
    ]


def test_a_seed_that_failed_stays_where_it_failed_when_the_others_go_on(sources, tmp_path, monkeypatch):
    honest = batch.build_inversion_loss

    def failing(*words, **options):
        loss = honest(*words, **options)

        def of(images):
            found = loss(images)
            broken = found.total.detach() < failing.below
            return found._replace(total=torch.where(broken, torch.nan, found.total))

        return of

    invert(sources, tmp_path / "all", **CONSTANT)
    losses = [float(line.split(",")[2]) for line in (tmp_path / "all" / "0-1.csv").read_text().splitlines()[1:]]
    failing.below = min(losses[2:4] + losses[11:13]) * 1.0001  # one of the two gets there within its first steps
    monkeypatch.setattr(batch, "build_inversion_loss", failing)
    uninterrupted = invert(sources, tmp_path / "once", **CONSTANT)
    assert sorted(TrajectoryFile(tmp_path / "once" / "0-1.safetensors").metadata["status"]) == ["failed", "ok"]
    invert(sources, tmp_path / "twice", **CONSTANT, steps=5)
    put_aside(tmp_path / "twice")
    assert invert(sources, tmp_path / "twice", **CONSTANT) == uninterrupted
    assert log_of(tmp_path / "twice") == log_of(tmp_path / "once")


def test_the_good_ones_of_several_batches_go_on_together(sources, tmp_path):
    """In float64, where company makes no difference: as if each had gone on alone."""
    config = {**CONFIG, **CONSTANT, "precision": "float64"}

    def inverted(seeds, steps):
        file = tmp_path / f"{label(seeds)}.safetensors"
        batch.invert(seeds, {**config, "steps": steps}, "code", sources, file, file.with_suffix(".csv"),
                     file.with_suffix(".pt"), {})  # fmt: skip
        return TrajectoryFile(file)

    short = {0: inverted([0, 1, 2], 3), 4: inverted([3, 4], 3)}
    together, alone = inverted([0, 4], 8), inverted([4, 9], 8)
    assert together.metadata["joined_at"] == 3 and "joined_at" not in alone.metadata
    for seed, before in short.items():
        assert (together.trajectory(seed).z[:4] == before.trajectory(seed).z).all()
    assert together.trajectory(4).z == pytest.approx(alone.trajectory(4).z, abs=1e-6)
    assert (together.trajectory(4).z[8] != together.trajectory(4).z[3]).any()


def test_what_cannot_go_on_is_not_lost(sources, tmp_path):
    """A job that finds steps put aside and cannot use them says so, and leaves them where they are."""
    invert(sources, tmp_path / "mine", **CONSTANT, steps=4)
    put_aside(tmp_path / "mine")
    with pytest.raises(UserError, match=r"before\.safetensors: cannot be gone on with.*before\.\* to begin anew"):
        invert(sources, tmp_path / "mine", **FALLING)
    assert before_of(tmp_path / "mine" / "0-1.pt").complete


@pytest.mark.parametrize(
    ("made", "wanted", "said"),
    [
        (CONSTANT, CONSTANT, None),
        (FALLING, FALLING, "the learning rate follows the number of steps: .*optimizer.period=4"),
        (FALLING, {"optimizer": {**FALLING["optimizer"], "period": 4}}, None),
        (FALLING, {"optimizer": {**FALLING["optimizer"], "period": 5}}, "the learning rate follows"),
        ({**CONSTANT, **HALVING}, {**CONSTANT, **HALVING}, "the stages of search=halving share"),
        (CONSTANT, {**CONSTANT, "steps": 3}, "they have 4 steps, more than steps=3"),
    ],
)
def test_why_an_inversion_cannot_go_on(made, wanted, said):
    found = why_not({**CONFIG, **made, "steps": 4}, {**CONFIG, "steps": 8, **wanted})
    assert found is None if said is None else re.match(said, found)


# Several destinations


@pytest.fixture
def further(sources, tmp_path):
    """The same sources with two destinations before the target."""
    before = []
    for place, colour in enumerate(("red", "blue"), start=1):
        Image.new("RGB", (48, 48), colour).save(tmp_path / f"{colour}.png")
        before.append(tmp_path / f"destination-{place}.png")
        prepare_target(tmp_path / f"{colour}.png", 32).save(before[-1])
    return replace(sources, destinations=tuple(before))


def test_each_leg_is_an_inversion_from_where_the_last_one_arrived(sources, further, tmp_path):
    """Its losses, rates and steps are those of an inversion of its own that starts at the stored latents."""
    whole = {**CONFIG, "steps": 12, "precision": "float64"}
    invert(further, tmp_path / "whole", **{key: whole[key] for key in ("steps", "precision")})
    file = TrajectoryFile(tmp_path / "whole" / "0-1.safetensors")
    assert file.metadata["departures"] == [4, 8]
    assert set(file.metadata["sha256"]) >= {"target", "destination_1", "destination_2"}
    with (tmp_path / "whole" / "0-1.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["seed"] == "0"]
    for begin, target in ((0, further.destinations[0]), (4, further.destinations[1]), (8, sources.target)):
        leg = tmp_path / f"leg-{begin}"
        leg.mkdir()
        stored = Begin("here", tmp_path / "whole" / "0-1.safetensors", None, begin)
        batch.invert([0, 1], {**whole, "steps": 4}, "code", replace(sources, target=target), leg / "0-1.safetensors",
                     leg / "0-1.csv", leg / "0-1.pt", {}, stored)  # fmt: skip
        with (leg / "0-1.csv").open() as table:
            alone = [row for row in csv.DictReader(table) if row["seed"] == "0"]
        steps = range(4) if begin < 8 else range(5)
        for column in ("loss", "lr_z"):
            told = [float(rows[begin + step][column]) for step in steps]
            assert told == pytest.approx([float(alone[step][column]) for step in steps], rel=1e-4)
        there, here = file.trajectory(1).z[begin:], TrajectoryFile(leg / "0-1.safetensors").trajectory(1).z
        assert there[: len(steps)] == pytest.approx(here[: len(steps)], abs=1e-5)


def test_a_change_of_destination_survives_every_kill_and_less_memory(further, tmp_path, monkeypatch):
    undisturbed = invert(further, tmp_path / "undisturbed")
    for stop in (1, 2, 1, 1, 1):  # before, at and after rows 3 and 5, where another destination is set out for
        with monkeypatch.context() as patch:
            stop_at(patch, stop)
            with pytest.raises(checkpoint.Interrupted):
                invert(further, tmp_path / "stopped")
    assert invert(further, tmp_path / "stopped") == undisturbed
    assert log_of(tmp_path / "stopped") == log_of(tmp_path / "undisturbed")
    invert(further, tmp_path / "whole", precision="float64", micro_batch=1)
    honest, failed = batch.run_search, []

    def fails_in_the_second_leg(generator, losses, state, *words, after_step, **options):
        def look(state, images):
            after_step(state, images)
            if state.step == 5 and not failed:
                failed.append(True)
                raise torch.OutOfMemoryError("CUDA out of memory")

        return honest(generator, losses, state, *words, after_step=look, **options)

    monkeypatch.setattr(batch, "run_search", fails_in_the_second_leg)
    invert(further, tmp_path / "halved", precision="float64", micro_batch=2)
    files = [TrajectoryFile(tmp_path / name / "0-1.safetensors") for name in ("whole", "halved")]
    assert files[1].metadata["split_at"] == [[5, 1]]
    assert files[0].trajectory(0).z == pytest.approx(files[1].trajectory(0).z, abs=1e-6)


def test_legs_share_the_steps():
    assert legs_of(1, 300) == [(0, 301)]
    assert legs_of(3, 8) == [(0, 3), (3, 5), (5, 9)]
    optimizer = {"warmup": 0.0, "decay": 0.5}
    rates = [rate_at(step, 8, optimizer, 2) for step in range(9)]
    assert rates[:4] == rates[4:8] == [rate_at(step, 4, optimizer) for step in range(4)]
