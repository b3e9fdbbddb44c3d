"""One inversion job: a batch of seeds walked from their starts to the last step, checkpointed on the way."""

import csv
import hashlib
import json
import logging
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from approach.biggan.format import GeneratorConfig, class_names, read_config, read_weights
from approach.biggan.generator import load_generator
from approach.biggan.precision import (
    decide_compile,
    decide_micro_batch,
    free_memory,
    is_out_of_memory,
    keep_memory,
    make_deterministic,
    outer_dtype,
    set_matrix_precision,
)
from approach.devices import resolve_device
from approach.inversion.checkpoint import Interrupted, Watch, only_writer, read_checkpoint, write_checkpoint
from approach.inversion.descent import State, columns, walk
from approach.inversion.preview import LivePicture
from approach.inversion.starts import Latents, sample_starts
from approach.job import Pace
from approach.losses.loading import open_loss
from approach.losses.losses import Loss, build_loss
from approach.sources import sha256_of
from approach.target import picture_sha256, read_target
from approach.trajectories import write_trajectories
from approach.version import VERSION

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """The files that a walk is made from; discriminator and backbone only where the loss uses them."""

    architecture: Path
    weights: Path
    target: Path
    class_names: Path | None = None
    discriminator: Path | None = None
    backbone: Path | None = None

    def digests(self) -> dict[str, str]:
        """sha256 of every file."""
        return {name: sha256_of(path) for name, path in vars(self).items() if path}


def decide(config: dict, seeds: list[int], architecture: GeneratorConfig) -> dict:
    """What makes a walk the same bytes again: decided once, kept in the checkpoint, written into the metadata."""
    device, precision = resolve_device(config["device"]), config["precision"]
    fits = decide_micro_batch(architecture, precision, len(seeds), free_memory(device), device)
    return {
        "device": device,
        "precision": precision,
        "threads": config["threads"],
        "compiled": decide_compile(config["compile"], architecture, len(seeds) * (config["steps"] + 1), device),
        "graphs": device.startswith("cuda") and config["graphs"],
        "micro_batch": min(config["micro_batch"] or fits, len(seeds)),
        "split_at": [],
    }


def build_inversion_loss(
    config: dict, sources: Sources, device: str, precision: str, *, compiled: bool = False
) -> Loss:
    """The loss of an inversion's configuration, with the networks it needs; compiled where the generator is."""
    net = config["perceptual_net"]
    return open_loss(config["loss"], vars(sources), net, device, precision, compiled=compiled)


def invert(
    seeds: list[int],
    config: dict,
    code: str,
    sources: Sources,
    trajectories: Path,
    log_table: Path,
    checkpoint: Path,
    labels: dict,
) -> None:
    """Walk a batch of seeds and write its trajectories and log.

    Args:
        seeds: the batch.
        config: plan.inversion_config of the setting.
        code: digest of the code; a checkpoint of other code is not gone on with.
        sources: the files it is made from.
        trajectories: the .safetensors to write.
        log_table: the .csv to write, a row per seed and step.
        checkpoint: where the walk's state is kept meanwhile; gone when it is done.
        labels: what else the metadata says (experiment, setting, batch, target).

    Raises:
        UserError: a source is wrong, or another process walks this batch.
        Interrupted: the walk was asked to stop; its checkpoint is written.
    """
    digests = sources.digests()
    said = json.dumps([seeds, config, code, digests, torch.__version__], sort_keys=True)
    fingerprint = hashlib.sha256(said.encode()).hexdigest()
    with only_writer(checkpoint):
        watch = Watch()
        torch.set_num_threads(config["threads"])
        resumed = read_checkpoint(checkpoint, fingerprint, resolve_device(config["device"]))
        architecture = read_config(sources.architecture)
        decisions = resumed[1] if resumed else decide(config, seeds, architecture)
        device, precision = decisions["device"], decisions["precision"]
        make_deterministic(device)
        set_matrix_precision(precision, device)
        keep_memory()
        weights = read_weights(sources.weights, architecture)
        generator = load_generator(
            weights, architecture, truncation=config["truncation"], device=device, precision=precision
        ).set_compiled(decisions["compiled"])
        names = class_names(sources.class_names, architecture)
        loss = build_inversion_loss(config, sources, device, precision, compiled=decisions["compiled"])
        if resumed:
            state = resumed[0]
            logger.info("goes on at step %d of %d", state.step, config["steps"])
        else:
            start = first_latents(seeds, config, generator, names, read_target(sources.target), device, precision)
            state = State.begin(start, config["steps"], len(columns(config["loss"])))
        live = LivePicture(trajectories.with_suffix(".live.png"), sources.target, seeds, config["steps"])
        pace = Pace(config["steps"] + 1, state.step)
        keeper = Keeper(seeds, config["steps"], decisions, fingerprint, checkpoint, live, watch, pace)
        state = descend_in_memory(generator, loss, state, seeds, config, decisions, keeper)
        metadata = {
            **labels,
            "seeds": seeds,
            "steps": config["steps"],
            "temperature": config["start"]["temperature"],
            "truncation": config["truncation"],
            "loss": config["loss"],
            "optimizer": config["optimizer"],
            "start": config["start"],
            "sha256": digests,
            "made_from": {
                "generator": {"file": str(sources.weights), "sha256": digests["weights"]},
                "target": {"sha256": picture_sha256(sources.target)},
            },
            "code": code,
            **decisions,
            "status": ["ok" if alive else "failed" for alive in state.alive.tolist()],
            "last_step": state.last_step.tolist(),
            "arrival_loss_float32": arrival_losses(state, weights, architecture, config, sources),
            "versions": {"approach": VERSION, "torch": torch.__version__, "python": platform.python_version()},
        }
        write_log(log_table, seeds, state, columns(config["loss"]), names)
        write_trajectories(trajectories, seeds, state.z.cpu().numpy(), state.classes.cpu().numpy(), metadata)
        checkpoint.unlink(missing_ok=True)


def first_latents(seeds, config, generator, names, target, device, precision) -> Latents:
    """The batch's starts, on the device and in the walk's precision."""
    nearest = build_loss({"name": "l2", "terms": {"l2": 1.0}}, target, device=device)

    def distance(latents: Latents):
        with torch.no_grad():
            classes = torch.softmax(latents.logits.to(device) / config["start"]["temperature"], dim=1)
            images = generator(generator.conditioning(latents.z.to(device), classes))
            return nearest(images.float()).total.cpu()

    z_dim = generator.config.z_dim
    start = sample_starts(seeds, config["start"], config["truncation"], z_dim, names, distance)
    dtype = outer_dtype(precision)
    return Latents(start.z.to(device, dtype), start.logits.to(device, dtype))


@dataclass
class Keeper:
    """What is kept of a walk after each step: a line and a picture every few seconds, a checkpoint when one is due."""

    seeds: list[int]
    steps: int
    decisions: dict
    fingerprint: str
    checkpoint: Path
    live: LivePicture
    watch: Watch
    pace: Pace

    def __call__(self, state: State, images: Tensor) -> None:
        """Look at a walk whose rows before state.step are final; images [N, 3, S, S] are the last ones.

        Raises:
            Interrupted: the walk was asked to stop; its checkpoint is written.
        """
        self.live.look(state.step - 1, images)
        if self.pace.due() or state.step == self.steps + 1:
            self.say(state)
            self.live.write()
        if state.step <= self.steps and self.watch.due():
            began = time.monotonic()
            write_checkpoint(self.checkpoint, state, self.decisions, self.fingerprint)
            self.watch.written(time.monotonic() - began)
            if why := self.watch.stop_reason:
                raise Interrupted(f"stopped at step {state.step} ({why}); the same command goes on from here")

    def say(self, state: State) -> None:
        """One line: how far, how near, how long still."""
        losses = torch.nan_to_num(state.log[:, state.step - 1, 0], nan=float("inf"))
        nearest = int(losses.argmin())
        logger.info(
            "step %d/%d, nearest is seed %d with loss %.4g, %s left",
            *(state.step - 1, self.steps, self.seeds[nearest], losses[nearest], self.pace.left(state.step)),
        )


def descend_in_memory(
    generator, loss, state: State, seeds: list[int], config: dict, decisions: dict, after_step
) -> State:
    """Walk to the end; where memory runs out, in smaller parts from that step on, and decisions say so."""
    while True:
        try:
            return walk(
                generator,
                loss,
                state,
                seeds,
                steps=config["steps"],
                optimizer=config["optimizer"],
                temperature=config["start"]["temperature"],
                truncation=config["truncation"],
                micro_batch=decisions["micro_batch"],
                graphs=decisions["graphs"],
                after_step=after_step,
            )
        except RuntimeError as error:
            if not is_out_of_memory(error) or decisions["micro_batch"] == 1:
                raise
            decisions["micro_batch"] = (decisions["micro_batch"] + 1) // 2
            decisions["split_at"].append([state.step, decisions["micro_batch"]])
            logger.warning(
                "out of memory at step %d: %d seeds at a time from here", state.step, decisions["micro_batch"]
            )


def arrival_losses(state: State, weights: dict, architecture: GeneratorConfig, config: dict, sources: Sources) -> list:
    """The loss of each arrival in float32, whatever the walk was computed in."""
    device = str(state.z.device)
    set_matrix_precision("float32", device)
    generator = load_generator(weights, architecture, truncation=config["truncation"], device=device)
    loss = build_inversion_loss(config, sources, device, "float32")
    found = []
    with torch.no_grad():
        for z, classes in zip(state.z[:, -1], state.classes[:, -1], strict=True):
            found += loss(generator(generator.conditioning(z[None], classes[None]))).total.tolist()
    return found


def write_log(path: Path, seeds: list[int], state: State, names: list[str], classes: list[str]) -> None:
    """The batch's log as CSV: seed, step, then the columns of the walk; the top class by name."""
    top = names.index("top_class")
    rows = state.log.double().cpu().tolist()
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "step", *names])
        for seed, steps in zip(seeds, rows, strict=True):
            for step, row in enumerate(steps):
                row[top] = classes[int(row[top])]
                writer.writerow([seed, step, *row])
    temporary.replace(path)
