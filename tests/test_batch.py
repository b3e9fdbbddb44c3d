"""The inversion of a batch: one device from beginning to end, less memory, one clear line where it cannot go on."""

import csv
import errno
import hashlib
import io
import logging
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from approach import devices
from approach.biggan.config import class_names, read_config
from approach.errors import UserError
from approach.inversion import batch, checkpoint
from approach.inversion.descent import State, columns, make_adam
from approach.inversion.starts import Latents
from approach.target import prepare_target

LOSS = {"name": "l2", "terms": {"l2": 1.0}}
CONFIG = {
    **{"loss": LOSS, "steps": 8, "precision": "float32", "compile": "never", "graphs": False, "micro_batch": None},
    **{"threads": 1, "device": "auto", "truncation": 0.7, "perceptual_net": None},
    "start": {"classes": [], "logit_std": 1.0, "class_probability": 0.9, "temperature": 1.0, "best_of": 1},
    "optimizer": {
        **{"lr": 0.05, "class_lr_ratio": 1.0, "classes": "free", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        **{"warmup": 0.05, "decay": 0.25, "bound": "clamp"},
    },
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
    monkeypatch.setattr(batch, "descend", None)
    monkeypatch.setattr(batch, "load_generator", None)
    assert invert(sources, tmp_path) == once
    assert (tmp_path / "0-1.csv").read_text() == log


@pytest.mark.parametrize("where", ["begin", "step"])
def test_out_of_memory_goes_on_in_halves(sources, tmp_path, monkeypatch, where):
    undisturbed = invert(sources, tmp_path / "undisturbed", micro_batch=1)
    emptied, failed = [], []
    monkeypatch.setattr(batch.gc, "collect", lambda: emptied.append(True))
    honest = {"begin": State.begin, "step": batch.descend}[where]

    def fails_once(*words, **keys):
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(*words, **keys)

    monkeypatch.setattr(*{"begin": (State, "begin"), "step": (batch, "descend")}[where], fails_once)
    invert(sources, tmp_path / "halved", micro_batch=2)
    assert emptied
    rows = [list(csv.reader((tmp_path / name / "0-1.csv").open())) for name in ("undisturbed", "halved")]
    without_seconds = [[row[:-1] for row in table] for table in rows]
    assert without_seconds[0] == without_seconds[1]
    assert undisturbed != b""


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


def test_adams_step_stays_on_the_cpu(tmp_path):
    state = State.begin(Latents(torch.zeros(1, 128), torch.zeros(1, 5)), 2, len(columns(LOSS)))
    latents = Latents(state.latents.z.clone().requires_grad_(), state.latents.logits.clone().requires_grad_())
    adam = make_adam(latents, CONFIG["optimizer"], None)
    for latent in latents:
        latent.grad = torch.ones_like(latent)
    adam.step()
    state.adam = adam.state_dict()
    checkpoint.write_checkpoint(tmp_path / "0.pt", state, {}, "this one")
    moved = checkpoint.read_checkpoint(tmp_path / "0.pt", "this one")[0].to("meta")
    assert {moved.z.device.type, moved.latents.z.device.type, moved.previous.logits.device.type} == {"meta"}
    there = Latents(*(latent.clone().requires_grad_() for latent in moved.latents))
    loaded = make_adam(there, CONFIG["optimizer"], moved.adam).state[there.z]
    assert loaded["step"].device.type == "cpu"
    assert loaded["exp_avg"].device.type == "meta"


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
