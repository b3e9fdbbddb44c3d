"""One inversion job: a batch of seeds from their starts to the last step, checkpointed on the way."""

import csv
import gc
import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from approach.biggan.config import GeneratorConfig, class_names, read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import Generator, load_generator
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
from approach.devices import check_device, device_name, resolve_device
from approach.going_on import before_of
from approach.inversion.checkpoint import Interrupted, Watch, only_writer, read_checkpoint, write_checkpoint
from approach.inversion.descent import State, columns
from approach.inversion.onward import family_of, forget_before, go_on, write_end
from approach.inversion.preview import Preview
from approach.inversion.search import begin_search, draw_starts, embedded, run_search
from approach.inversion.starts import Begin, Latents, sample_starts, stored_latents
from approach.job import Pace
from approach.live import SUFFIX
from approach.losses.loading import open_loss
from approach.losses.losses import Loss, build_loss
from approach.sources import sha256_of
from approach.stages import legs_of, units_of
from approach.target import Target, made_from, read_target
from approach.trajectories import Dropped, read_metadata, write_trajectories
from approach.version import VERSION

logger = logging.getLogger(__name__)

STARTS_AT_A_TIME = 16  # of best_of random ones, unless memory holds fewer


@dataclass(frozen=True)
class Sources:
    """The files that an inversion is made from; discriminator and backbone only where the loss uses them."""

    architecture: Path
    weights: Path
    target: Path
    class_names: Path | None = None
    discriminator: Path | None = None
    discriminator_config: Path | None = None
    backbone: Path | None = None
    destinations: tuple[Path, ...] = ()  # before the target
    start: Path | None = None  # the trajectories at which the inversion starts, where it does

    def digests(self) -> dict[str, str]:
        """sha256 of every file."""
        files = {name: path for name, path in vars(self).items() if path and name != "destinations"}
        files |= {f"destination_{place}": path for place, path in enumerate(self.destinations, start=1)}
        return {name: sha256_of(path) for name, path in files.items()}


def decide(config: dict, seeds: list[int], architecture: GeneratorConfig) -> dict:
    """What makes an inversion the same bytes again: decided once, kept in the checkpoint, written into the metadata.

    device_names and split_at are lists of [step, value]: from which step on the named card computed, and from which
    on memory only sufficed for so many members a pass.

    Raises:
        UserError: this machine does not have the device that was asked for.
    """
    device, precision = resolve_device(config["device"]), config["precision"]
    check_device(device, "take device=auto, or one that is")
    members = len(seeds) * config["search"]["stages"][0][0]
    fits = decide_micro_batch(architecture, precision, members, free_memory(device), device)
    units = len(seeds) * units_of(config["search"], config["steps"])
    return {
        "device": device,
        "device_names": [[0, device_name(device)]],
        "precision": precision,
        "threads": config["threads"],
        "compiled": decide_compile(config["compile"], architecture, round(units), device),
        "graphs": device.startswith("cuda") and config["graphs"],
        "micro_batch": min(config["micro_batch"] or fits, members),
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
    begin: Begin | None = None,
) -> None:
    """Invert a batch of seeds and write its trajectories and log.

    The finished state stays in the checkpoint, so that nothing is computed again where Snakemake was stopped before
    it had recorded the job and deletes what is written here; the rule `losses` removes it.

    Args:
        seeds: the batch.
        config: planning.identity.inversion_config of the setting.
        code: digest of the code; a checkpoint of other code is not gone on with.
        sources: the files it is made from.
        trajectories: the .safetensors to write.
        log_table: the .csv to write, a row per seed and step.
        checkpoint: where the state is kept meanwhile.
        labels: what else the metadata says (experiment, setting, batch, target).
        begin: where it starts, unless at random; its file is sources.start.

    Raises:
        UserError: a source is wrong, another process inverts this batch, or the device it was begun on is gone.
        Interrupted: the inversion was asked to stop; what was done is in its checkpoint.
    """
    with Watch() as watch, only_writer(checkpoint):
        digests = sources.digests()
        fingerprint = fingerprint_of(seeds, config, code, digests)
        architecture = read_config(sources.architecture)
        weights = read_weights(sources.weights, architecture)
        names = class_names(sources.class_names, architecture)
        family = family_of(config, code, digests)
        state, decisions = (
            resume(checkpoint, fingerprint, config["steps"])
            or go_on_from_finished(trajectories, checkpoint, seeds, config, family, names, architecture)
            or (None, decide(config, seeds, architecture))
        )
        set_up_torch(decisions)
        if state is None or state.step <= config["steps"]:
            preview = Preview(trajectories.with_suffix(SUFFIX), sources.target, seeds, config["steps"])
            pace = Pace(config["steps"] + 1, state.step if state else 0)
            keeper = Keeper(seeds, config["steps"], decisions, fingerprint, checkpoint, preview, watch, pace)
            state = optimise(state, seeds, config, decisions, sources, weights, architecture, names, keeper, begin)
            write_checkpoint(checkpoint, state, decisions, fingerprint)
        if len(config["search"]["stages"]) == 1 and not sources.destinations:  # others do not go on
            write_end(checkpoint, state, decisions, config, family)
        forget_before(checkpoint)
        metadata = {
            **labels,
            **made_with(seeds, config, code, sources, digests),
            **decisions,
            **outcome(state),
            **({"begins": begins_at(begin, seeds)} if begin else {}),
            "arrival_loss_float32": arrival_losses(state, weights, architecture, config, sources, decisions),
        }
        write_log(log_table, seeds, state, columns(config["loss"]), names)
        shown = (part.cpu().numpy() for part in (state.z, state.classes, state.sketches))
        write_trajectories(trajectories, seeds, *shown, metadata, dropped_ways(seeds, state, columns(config["loss"])))


def fingerprint_of(seeds: list[int], config: dict, code: str, digests: dict[str, str]) -> str:
    """What tells this inversion from any other, as a sha256."""
    text = json.dumps([seeds, config, code, digests, torch.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def resume(checkpoint: Path, fingerprint: str, steps: int) -> tuple[State, dict] | None:
    """The state and decisions to go on with, on the device that was decided on; None where nothing was begun.

    Raises:
        UserError: this machine does not have that device.
    """
    found = read_checkpoint(checkpoint, fingerprint)
    if found is None:
        return None
    state, decisions = found
    if state.step > steps:
        logger.info("was finished before; its trajectories are written again")
    else:
        logger.info("goes on at step %d of %d", state.step, steps)
    return on_its_device(state, decisions, checkpoint), decisions


def on_its_device(state: State, decisions: dict, begun: Path) -> State:
    """A state on the device that was decided on; another card of its kind is noted in the decisions.

    Raises:
        UserError: this machine does not have that device.
    """
    device, (_, name) = decisions["device"], decisions["device_names"][-1]
    check_device(device, f"{begun} was begun on it ({name}): go on where it is, or delete that file to begin anew here")
    if device_name(device) != name:
        logger.warning("begun on %s, goes on on %s: the last digits may differ", name, device_name(device))
        decisions["device_names"].append([state.step, device_name(device)])
    return state.to(device)


def go_on_from_finished(
    trajectories: Path,
    checkpoint: Path,
    seeds: list[int],
    config: dict,
    family: str,
    names: list[str],
    architecture: GeneratorConfig,
) -> tuple[State, dict] | None:
    """The state after the steps that finished inversions have done, and the decisions to go on with; None without any.

    Where the batch is the same, so are its decisions. Seeds of several batches are inverted in another company from
    here on, and what is decided anew says where that was.

    Raises:
        UserError: as on_its_device, or as go_on.
    """
    found = go_on(trajectories, checkpoint, seeds, config, family, names)
    if found is None:
        return None
    state, decisions = found
    decisions = decisions or {**decide(config, seeds, architecture), "joined_at": state.step}
    return on_its_device(state, decisions, before_of(checkpoint).end), decisions


def set_up_torch(decisions: dict) -> None:
    """Threads, precision and determinism, for the whole process."""
    torch.set_num_threads(decisions["threads"])
    make_deterministic(decisions["device"], compiled=decisions["compiled"])
    set_matrix_precision(decisions["precision"], decisions["device"])
    keep_memory()


def optimise(
    state: State | None,
    seeds: list[int],
    config: dict,
    decisions: dict,
    sources: Sources,
    weights: dict,
    architecture: GeneratorConfig,
    names: list[str],
    keeper: "Keeper",
    at: Begin | None = None,
) -> State:
    """Load the networks and search from the state, or from the seeds' starts where there is none, to the last step."""
    device, precision, compiled = (decisions[key] for key in ("device", "precision", "compiled"))
    generator = load_generator(
        weights, architecture, truncation=config["truncation"], device=device, precision=precision
    ).set_compiled(compiled)
    targets = [*sources.destinations, sources.target]
    losses = [
        build_inversion_loss(config, replace(sources, target=target), device, precision, compiled=compiled)
        for target in targets
    ]

    width, embedding = len(columns(config["loss"])), config["latent"]["classes"] == "embedding"

    def to_latents(latents: Latents) -> Latents:
        latents = latents.to(device, outer_dtype(precision))
        return embedded(latents, generator.embedding, config["start"]["temperature"]) if embedding else latents

    draw = draw_starts(config["start"], config["truncation"], generator.config.z_dim, names, to_latents)

    def begin() -> State:
        if at:
            first, free = stored_latents(at, seeds, config["start"]["temperature"])
            first = first.to(device, outer_dtype(precision)) if free else to_latents(first)
            return State.begin(first, config["steps"], width)
        if config["search"]["pool"] == 1:
            first, orders = first_latents(seeds, config, generator, names, read_target(targets[0]), decisions)
            return State.begin(to_latents(first), config["steps"], width, orders=orders)
        return begin_search(seeds, config["search"], config["steps"], width, draw)

    return search_in_memory(generator, losses, state, begin, draw, seeds, config, decisions, keeper)


def first_latents(
    seeds: list[int], config: dict, generator: Generator, names: list[str], target: Target, decisions: dict
) -> tuple[Latents, Tensor]:
    """The batch's starts, on the CPU, and which of its seed's random ones each is: the first, or the nearest by L2."""
    device = decisions["device"]
    nearest = build_loss({"name": "l2", "terms": {"l2": 1.0}}, target, device=device)

    def distance(latents: Latents) -> Tensor:
        with torch.no_grad():
            classes = torch.softmax(latents.logits.to(device) / config["start"]["temperature"], dim=1)
            images = generator(generator.conditioning(latents.z.to(device), classes))
            return nearest(images.float()).total.cpu()

    if config["start"]["best_of"] > 1:
        logger.info("looks at %d random starts of each seed", config["start"]["best_of"])
    chunk = min(STARTS_AT_A_TIME, decisions["micro_batch"])
    z_dim = generator.config.z_dim
    return sample_starts(seeds, config["start"], config["truncation"], z_dim, names, distance, chunk)


@dataclass
class Keeper:
    """What is kept after each step: a line and a look every few seconds, a checkpoint when one is due."""

    seeds: list[int]
    steps: int
    decisions: dict
    fingerprint: str
    checkpoint: Path
    preview: Preview
    watch: Watch
    pace: Pace

    def __call__(self, state: State, images: Tensor) -> None:
        """Look at a state whose rows before state.step are final; images [N, 3, S, S] are the last ones.

        Raises:
            Interrupted: the inversion was asked to stop; its checkpoint is written.
        """
        self.preview.look(state, images)
        if self.pace.due() or state.step == self.steps + 1:
            self.say(state)
        if state.step <= self.steps:
            self.keep(state)

    def looked(self, state: State) -> None:
        """Some more of the pool were looked at.

        Raises:
            Interrupted: as __call__.
        """
        if self.pace.due():
            logger.info("looked at %d of %d starts", state.seen, state.looked.numel())
        self.keep(state)

    def keep(self, state: State) -> None:
        """Write a checkpoint if one is due."""
        if self.watch.due():
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
            *(state.step - 1, self.steps, self.seeds[int(state.owners[nearest])], losses[nearest]),
            self.pace.left(state.step),
        )


def search_in_memory(
    generator: Generator,
    losses: list[Loss],
    state: State | None,
    begin: Callable[[], State],
    draw: Callable[[list[int], list[int]], Latents],
    seeds: list[int],
    config: dict,
    decisions: dict,
    keeper: "Keeper",
) -> State:
    """Search to the last step; where memory runs out, in smaller parts from that step on, and decisions say so."""
    while True:
        try:
            if state is None:
                state = begin()
            return run_search(
                generator,
                losses,
                state,
                seeds,
                search=config["search"],
                steps=config["steps"],
                columns=len(columns(config["loss"])),
                draw=draw,
                classes=config["latent"]["classes"],
                temperature=config["start"]["temperature"],
                optimizer=config["optimizer"],
                truncation=config["truncation"],
                micro_batch=decisions["micro_batch"],
                graphs=decisions["graphs"],
                after_look=keeper.looked,
                after_step=keeper,
            )
        except RuntimeError as error:
            if not is_out_of_memory(error) or decisions["micro_batch"] == 1:
                raise
        # only here, after the except block, has the error let go of the tensors that filled the memory
        halve_micro_batch(decisions, state.step if state else 0)


def halve_micro_batch(decisions: dict, step: int) -> None:
    """Take half as many members a pass from this step on, with the memory that PyTorch had put by."""
    decisions["micro_batch"] = (decisions["micro_batch"] + 1) // 2
    decisions["split_at"].append([step, decisions["micro_batch"]])
    logger.warning("out of memory at step %d: %d images at a time from here", step, decisions["micro_batch"])
    gc.collect()
    if decisions["device"].startswith("cuda"):
        torch.cuda.empty_cache()
    elif decisions["device"] == "mps":
        torch.mps.empty_cache()


def arrival_losses(
    state: State, weights: dict, architecture: GeneratorConfig, config: dict, sources: Sources, decisions: dict
) -> list[float]:
    """The loss of each arrival in float32, whatever the inversion was computed in."""
    if decisions["precision"] == "float32":
        return state.log[:, -1, 0].tolist()
    device = decisions["device"]
    set_matrix_precision("float32", device)
    generator = load_generator(weights, architecture, truncation=config["truncation"], device=device)
    loss = build_inversion_loss(config, sources, device, "float32")
    found = []
    with torch.no_grad():
        for z, classes in zip(state.z[:, -1].float(), state.classes[:, -1].float(), strict=True):
            found += loss(generator(generator.conditioning(z[None], classes[None]))).total.tolist()
    return found


def made_with(seeds: list[int], config: dict, code: str, sources: Sources, digests: dict[str, str]) -> dict:
    """The metadata that was settled before the first step."""
    shown = ("steps", "truncation", "loss", "optimizer", "start", "latent", "search")
    return {
        "seeds": seeds,
        "config": config,
        **{key: config[key] for key in shown},
        **({"departures": departures(sources, config["steps"])} if sources.destinations else {}),
        "temperature": config["start"]["temperature"],
        "sha256": digests,
        "made_from": {
            "generator": {"file": str(sources.weights), "sha256": digests["weights"]},
            "target": made_from(sources.target) or {},
        },
        "code": code,
        "versions": {"approach": VERSION, "torch": torch.__version__, "python": platform.python_version()},
    }


def departures(sources: Sources, steps: int) -> list[int]:
    """The steps at which trajectories set out for their further destinations."""
    return [begin for begin, _ in legs_of(len(sources.destinations) + 1, steps)[1:]]


def begins_at(begin: Begin, seeds: list[int]) -> dict:
    """The metadata of a start that is stored: where it was found, and for a picture how near it each start is."""
    made = read_metadata(begin.file)
    told = {"from": begin.said, "of": [seed if begin.seed is None else begin.seed for seed in seeds]}
    if begin.seed is not None:
        return {**told, "step": begin.step}
    places = [made["seeds"].index(seed) for seed in seeds]
    return {**told, "loss": made["loss"], "arrival_loss": [made["arrival_loss_float32"][place] for place in places]}


def outcome(state: State) -> dict:
    """The metadata of how each seed ended."""
    return {
        "status": ["ok" if alive else "failed" for alive in state.alive.tolist()],
        "last_step": state.last_step.tolist(),
        "orders": state.orders.tolist(),
        "dropped": [[one[1:] for one in state.dropped if one[0] == owner] for owner in range(len(state.owners))],
    }


def dropped_ways(seeds: list[int], state: State, names: list[str]) -> dict[tuple[int, int], Dropped]:
    """What a state has kept of dropped members, by seed and order; names are the log's columns."""
    found = {}
    for one in state.followed:
        z, classes, sketches, log = (one[part].numpy() for part in ("z", "classes", "sketches", "log"))
        losses, top = log[:, names.index("loss")], log[:, names.index("top_class")]
        found[seeds[one["owner"]], one["order"]] = Dropped(
            z.astype(np.float32), classes.astype(np.float32), sketches, losses.astype(np.float32), top.astype(np.int32)
        )
    return found


def write_log(path: Path, seeds: list[int], state: State, names: list[str], classes: list[str]) -> None:
    """Write the batch's log as CSV: seed, step, then the log's columns; the top class by name."""
    top = names.index("top_class")
    rows = state.log.cpu().double().tolist()  # not on the device: Apple's GPUs have no float64
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "step", *names])
        for seed, steps in zip(seeds, rows, strict=True):
            for step, row in enumerate(steps):
                row[top] = classes[int(row[top])]
                writer.writerow([seed, step, *row])
    temporary.replace(path)
