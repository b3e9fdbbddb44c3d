"""GAN inversion by optimisation: gradient descent in a generator's latent space towards a target.

The method is Zhu et al.'s (2016); the schedule is that of StyleGAN2's projector (Karras et al. 2020), clamping and
stochastic clipping are Lipton and Tripathi's (2017). Seeds of a batch do not see one another: the batch's loss is the
sum of theirs, and Adam works element by element.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from approach.biggan.sampling import TRUNCATED_NORMAL_STD, truncated_normal
from approach.inversion.adam import Adam
from approach.inversion.gradient import Evaluation, build_evaluate
from approach.inversion.starts import Latents
from approach.own import load_own
from approach.sketch import NUMBERS, sketch
from approach.stages import rate_at

FIXED_COLUMNS = ("lr_z", "lr_classes", "gradient_norm", "z_norm", "class_entropy", "top_class", "seconds")


@dataclass
class State:
    """All that an inversion is between two steps; a checkpoint holds exactly this.

    N members, one a seed or several (search.py), S steps, C class values (probabilities, or the embedding's), K columns
    (loss, its terms, FIXED_COLUMNS). Rows of z, classes, sketches and log before `step` are final; there are as many
    as the search's stage needs. alive [N] bool; last_step [N] is the last step with a finite loss (S for one that
    never failed).
    """

    step: int
    z: Tensor  # [N, S+1, z_dim]
    classes: Tensor  # [N, S+1, C]
    sketches: Tensor  # [N, S+1, NUMBERS] float16, of the images
    log: Tensor  # [N, S+1, K]
    alive: Tensor
    last_step: Tensor
    latents: Latents
    previous: Latents  # the latents one step before: a member returns to them when its loss is not finite
    owners: Tensor  # [N] whose member it is, as an index of the batch's seeds
    orders: Tensor  # [N] which of its seed's random starts it began from
    dropped: list[list]  # [index of the seed, order, step before which it was dropped, its loss at the last one]
    # of each that was dropped: owner, order, and its rows of z, classes, sketches and log; but for the nearest of those
    # that a seed dropped at a time, the last row alone
    followed: list[dict]
    adam: dict | None = None
    looked: Tensor | None = None  # [seeds, pool] losses of random starts, while they are looked at
    seen: int = 0  # how many of them were
    kept: int = 0  # rows before it were written by a finished inversion, with which this one goes on

    @classmethod
    def begin(
        cls,
        start: Latents,
        steps: int,
        columns: int,
        *,
        owners: Tensor | None = None,
        orders: Tensor | None = None,
        rows: int | None = None,
    ) -> "State":
        """The state before the first step, with room for so many rows (all, unless a search drops members)."""
        n, z_dim = start.z.shape
        device, rows = start.z.device, rows or steps + 1
        return cls(
            step=0,
            z=start.z.new_zeros(n, rows, z_dim),
            classes=start.z.new_zeros(n, rows, start.logits.shape[1]),
            sketches=torch.zeros(n, rows, NUMBERS, dtype=torch.float16, device=device),
            log=torch.full((n, rows, columns), math.nan, dtype=start.z.dtype, device=device),
            alive=torch.ones(n, dtype=torch.bool, device=device),
            last_step=torch.full((n,), steps, device=device),
            latents=start,
            previous=start,
            owners=torch.arange(n) if owners is None else owners,
            orders=torch.zeros(n, dtype=torch.long) if orders is None else orders,
            dropped=[],
            followed=[],
        )

    def to(self, device: str) -> "State":
        """The state on another device.

        The optimizer's own state stays where it is: load_state_dict puts the moments beside their parameters.
        """
        return State(
            step=self.step,
            z=self.z.to(device),
            classes=self.classes.to(device),
            sketches=self.sketches.to(device),
            log=self.log.to(device),
            alive=self.alive.to(device),
            last_step=self.last_step.to(device),
            latents=self.latents.to(device),
            previous=self.previous.to(device),
            owners=self.owners,
            orders=self.orders,
            dropped=self.dropped,
            followed=self.followed,
            adam=self.adam,
            looked=self.looked,
            seen=self.seen,
            kept=self.kept,
        )


def columns(loss_config: dict) -> list[str]:
    """Names of the log's columns."""
    return ["loss", *loss_config["terms"], *FIXED_COLUMNS]


def do_nothing(state: State, images: Tensor) -> None:
    """What happens after a step unless something else is asked for."""


def descend(
    generator: Callable[[Tensor], Tensor],
    loss: Callable,
    state: State,
    seeds: list[int],
    *,
    steps: int,
    optimizer: dict,
    temperature: float,
    truncation: float,
    micro_batch: int,
    classes: str = "softmax",
    until: int | None = None,
    legs: int = 1,
    graphs: bool = False,
    after_step: Callable[[State, Tensor], None] = do_nothing,
) -> State:
    """Optimise the latents of a batch of seeds, from its state to the last step.

    Args:
        generator: has conditioning(z [n, z_dim], classes [n, C]); called, gives images [n, 3, S, S].
        loss: images -> (total [n], terms: name -> [n]).
        state: where to begin, or to go on; it is changed in place.
        seeds: the batch's seeds; the state's `owners` says which of its members are whose.
        steps: updates in the whole inversion.
        optimizer: kind, lr, class_lr_ratio, beta1, beta2, eps, warmup, decay, bound (clamp, resample, none, norm): z
            beyond 2 * truncation is cut back, or drawn anew, before each forward pass; norm: see `shorten`.
        temperature: of the softmax that makes class probabilities of the logits.
        truncation: the generator's.
        micro_batch: members per forward pass.
        classes: softmax (the class logits move), fixed (they stay), or embedding (latents.logits are the class
            embedding itself, and it moves).
        until: the row to stop before; default: after the last.
        legs: of the whole inversion, each with a destination and a schedule of its own.
        graphs: replay each evaluation as a CUDA graph.
        after_step: called with the state and the last images [N, 3, S, S] once a step's rows are final.

    Returns:
        The state, with every row final. A seed whose loss or gradient stops being finite stays at its last finite
        row, and the others go on.
    """
    latents = Latents(state.latents.z.clone().requires_grad_(), state.latents.logits.clone().requires_grad_())
    before = state.previous
    moved = [latents.z] if classes == "fixed" else list(latents)
    adam = make_optimizer(moved, optimizer, state.adam)
    evaluate = build_evaluate(generator, loss, temperature, embedding=classes == "embedding", graphs=graphs)
    own = [seeds[owner] for owner in state.owners.tolist()]

    for step in range(state.step, steps + 1 if until is None else until):
        began = time.monotonic()
        found = evaluate_in_parts(evaluate, latents, micro_batch)
        latents.z.grad, latents.logits.grad = found.grad_z, found.grad_logits
        lr_z, lr_classes = learning_rates(step, steps, optimizer, len(moved) > 1, legs)
        with torch.no_grad():
            norm = gradient_norm(found, len(moved) > 1)
            stood = freeze_failed(state, step, latents, before, found, norm)
            if step >= state.kept:
                values = [found.total, *found.terms.values(), lr_z, lr_classes, norm]
                embedding = generator.embedding if classes == "embedding" else None
                write_row(state, step, latents, stood, found.images, values, embedding)
            before = Latents(latents.z.detach().clone(), latents.logits.detach().clone())
            if step < steps:
                take_step(adam, (lr_z, lr_classes))
                hold_within(latents.z, optimizer["bound"], truncation, own, step)
                keep_where(state.alive, latents, before)
            if step >= state.kept:
                state.log[:, step, -1] = time.monotonic() - began
        state.step = step + 1
        state.latents, state.previous = Latents(latents.z.detach(), latents.logits.detach()), before
        state.adam = adam.state_dict()
        after_step(state, found.images)
    return state


def make_optimizer(moved: list[Tensor], optimizer: dict, state: dict | None) -> Adam | torch.optim.Optimizer:
    """The optimizer of z, and of the class vector where it moves; with the state of steps before.

    One that is named as module:Class is found as approach.own says.
    """
    groups = [{"params": [latent]} for latent in moved]
    kind, lr, betas = optimizer["kind"], optimizer["lr"], (optimizer["beta1"], optimizer["beta2"])
    if kind == "adam":
        made: Adam | torch.optim.Optimizer = Adam(moved, betas=betas, eps=optimizer["eps"])
    elif kind == "sgd":
        made = torch.optim.SGD(groups, lr=lr, momentum=optimizer["beta1"], foreach=False)
    elif kind == "rmsprop":
        made = torch.optim.RMSprop(groups, lr=lr, alpha=optimizer["beta2"], eps=optimizer["eps"], foreach=False)
    else:
        made = load_own(kind)(groups, lr=lr)
    if state is not None:
        made.load_state_dict(state)
    return made


def evaluate_in_parts(evaluate: Callable[..., Evaluation], latents: Latents, micro_batch: int) -> Evaluation:
    """The evaluation of all N seeds, micro_batch of them at a time."""
    parts = [slice(first, first + micro_batch) for first in range(0, len(latents.z), micro_batch)]
    found = [evaluate(latents.z[part], latents.logits[part]) for part in parts]
    return Evaluation(
        images=torch.cat([part.images for part in found]),
        classes=torch.cat([part.classes for part in found]),
        total=torch.cat([part.total for part in found]),
        terms={name: torch.cat([part.terms[name] for part in found]) for name in found[0].terms},
        grad_z=torch.cat([part.grad_z for part in found]),
        grad_logits=torch.cat([part.grad_logits for part in found]),
    )


def learning_rates(step: int, steps: int, optimizer: dict, classes_move: bool, legs: int = 1) -> tuple[float, float]:
    """The learning rates of z and of the class vector at a step."""
    lr_z = optimizer["lr"] * rate_at(step, steps, optimizer, legs)
    return lr_z, lr_z * optimizer["class_lr_ratio"] if classes_move else 0.0


def gradient_norm(found: Evaluation, classes_move: bool) -> Tensor:
    """The length [N] of each member's gradient, over all that moves."""
    squares = found.grad_z.square().sum(1)
    if classes_move:
        squares = squares + found.grad_logits.square().sum(1)
    return squares.sqrt()


def freeze_failed(
    state: State, step: int, latents: Latents, before: Latents, found: Evaluation, norm: Tensor
) -> Tensor:
    """Put seeds whose loss is not finite back to where they were a step before; note which failed, and when.

    Nothing is indexed by a mask here: on a GPU that would wait for the device in every step.

    Returns:
        The class probabilities [N, C] of the latents that stand.
    """
    stands = torch.isfinite(found.total)
    goes_on = stands & torch.isfinite(norm)
    newly_failed = state.alive & ~goes_on
    state.last_step = torch.where(newly_failed, torch.where(stands, step, max(step - 1, 0)), state.last_step)
    state.alive = state.alive & goes_on
    if step == 0:
        return found.classes
    keep_where(stands, latents, before)
    return torch.where(stands[:, None], found.classes, state.classes[:, step - 1])


def keep_where(kept: Tensor, latents: Latents, otherwise: Latents) -> None:
    """Overwrite latents, in place, with the other ones wherever kept [N] is false."""
    for latent, other in zip(latents, otherwise, strict=True):
        latent.copy_(torch.where(kept[:, None], latent, other))


def write_row(
    state: State,
    step: int,
    latents: Latents,
    classes: Tensor,
    images: Tensor,
    values: list,
    embedding: Tensor | None = None,
) -> None:
    """Record a step's latents, pictures and logged values; a failed member repeats its last finite row in the log.

    Args:
        state: gets the row.
        step: the row's number.
        latents: z [N, z_dim] is recorded.
        classes: [N, C] probabilities, or the class embedding [N, E] where it moves freely.
        images: [N, 3, S, S]; their sketches are recorded, and where one is not finite, the last that was.
        values: the log's columns up to the gradient norm, each [N] or one number; the others are computed here, but
            for the seconds, which are not over yet.
        embedding: of the classes, [E, classes], where the class embedding moves freely: it has no entropy then, and
            the top class is the one whose embedding is nearest.
    """
    state.z[:, step], state.classes[:, step], state.sketches[:, step] = latents.z, classes, sketch(images)
    if embedding is None:
        entropy, top = torch.special.entr(classes).sum(1), classes.argmax(1)
    else:
        entropy, top = math.nan, torch.cdist(classes, embedding.T.to(classes)).argmin(1)
    for column, value in enumerate([*values, latents.z.norm(dim=1), entropy, top, 0.0]):
        state.log[:, step, column] = value
    if step:
        stopped = step > state.last_step
        state.log[:, step] = torch.where(stopped[:, None], state.log[:, step - 1], state.log[:, step])
        shown = torch.isfinite(state.sketches[:, step]).all(1)
        state.sketches[:, step] = torch.where(shown[:, None], state.sketches[:, step], state.sketches[:, step - 1])


def take_step(adam: Adam | torch.optim.Optimizer, rates: tuple[float, float]) -> None:
    """The optimizer's update, each group of parameters at its own rate."""
    for group, lr in zip(adam.param_groups, rates, strict=False):  # fixed classes are in no group
        group["lr"] = lr
    adam.step()


def hold_within(z: Tensor, bound: str, truncation: float, seeds: list[int], step: int) -> None:
    """Bring z back within 2 * truncation, in place; redrawn values are a function of seed and step alone."""
    edge = 2 * truncation
    if bound in ("clamp", "norm"):
        z.clamp_(-edge, edge)
        if bound == "norm":
            shorten(z, truncation)
    elif bound == "resample":
        fresh = [
            truncated_normal(
                (z.shape[1],), truncation, torch.Generator().manual_seed(seed * 7_919 + (step + 1) * 104_729)
            )
            for seed in seeds
        ]
        z.copy_(torch.where(z.abs() > edge, torch.stack(fresh).to(z), z))


def shorten(z: Tensor, truncation: float) -> None:
    """Bring each z [N, z_dim] that is longer than a drawn one is on average back to that length, in place.

    Almost all of a high-dimensional normal distribution lies near one sphere, and a generator knows little else (PULSE,
    Menon et al. 2020). Fast steps carry half of z's components to their edge: z is twice as long then as those that
    the generator was trained on, and the embedded one's skies become a lattice. A shorter z is left alone.
    """
    longest = truncation * TRUNCATED_NORMAL_STD * z.shape[1] ** 0.5
    z.mul_((longest / z.norm(dim=1, keepdim=True)).clamp_max(1))
