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

from approach.biggan.sampling import truncated_normal
from approach.inversion.gradient import Evaluation, build_evaluate
from approach.inversion.starts import Latents

FIXED_COLUMNS = ("lr_z", "lr_classes", "gradient_norm", "z_norm", "class_entropy", "top_class", "seconds")


def rate(step: int, steps: int, warmup: float, decay: float) -> float:
    """The learning rate's factor at a step: linear rise over warmup, cosine fall over decay (shares of the steps)."""
    at = step / steps
    fall = min(1.0, (1 - at) / decay) if decay else 1.0
    rise = min(1.0, (step + 1) / (steps * warmup)) if warmup else 1.0
    return rise * (0.5 - 0.5 * math.cos(math.pi * fall))


@dataclass
class State:
    """All that an inversion is between two steps; a checkpoint holds exactly this.

    N seeds, S steps, C classes, K columns (loss, its terms, FIXED_COLUMNS). Rows of z, classes and log before `step`
    are final. alive [N] bool; last_step [N] is the last step with a finite loss (S for a seed that never failed).
    """

    step: int
    z: Tensor  # [N, S+1, z_dim]
    classes: Tensor  # [N, S+1, C] probabilities
    log: Tensor  # [N, S+1, K]
    alive: Tensor
    last_step: Tensor
    latents: Latents
    previous: Latents  # the latents one step before: a seed returns to them when its loss is not finite
    adam: dict | None = None

    @classmethod
    def begin(cls, start: Latents, steps: int, columns: int) -> "State":
        """The state before the first step."""
        n, z_dim = start.z.shape
        device = start.z.device
        return cls(
            step=0,
            z=start.z.new_zeros(n, steps + 1, z_dim),
            classes=start.z.new_zeros(n, steps + 1, start.logits.shape[1]),
            log=torch.full((n, steps + 1, columns), math.nan, dtype=start.z.dtype, device=device),
            alive=torch.ones(n, dtype=torch.bool, device=device),
            last_step=torch.full((n,), steps, device=device),
            latents=start,
            previous=start,
        )

    def to(self, device: str) -> "State":
        """The state on another device.

        Adam's own state stays where it is: load_state_dict puts the moments beside their parameters and leaves the
        step counters alone. Those belong on the CPU, where reading them waits for no GPU.
        """
        return State(
            step=self.step,
            z=self.z.to(device),
            classes=self.classes.to(device),
            log=self.log.to(device),
            alive=self.alive.to(device),
            last_step=self.last_step.to(device),
            latents=self.latents.to(device),
            previous=self.previous.to(device),
            adam=self.adam,
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
    graphs: bool = False,
    after_step: Callable[[State, Tensor], None] = do_nothing,
) -> State:
    """Optimise the latents of a batch of seeds, from its state to the last step.

    Args:
        generator: has conditioning(z [n, z_dim], classes [n, C]); called, gives images [n, 3, S, S].
        loss: images -> (total [n], terms: name -> [n]).
        state: where to begin, or to go on; it is changed in place.
        seeds: the batch's seeds, in the order of the state's rows.
        steps: updates in the whole inversion.
        optimizer: lr, class_lr_ratio, classes (free, fixed), beta1, beta2, eps, warmup, decay, bound (clamp, resample,
            none): z beyond 2 * truncation is cut back, or drawn anew, before each forward pass.
        temperature: of the softmax that makes class probabilities of the logits.
        truncation: the generator's.
        micro_batch: seeds per forward pass.
        graphs: replay each evaluation as a CUDA graph.
        after_step: called with the state and the last images [N, 3, S, S] once a step's rows are final.

    Returns:
        The state, with every row final. A seed whose loss or gradient stops being finite stays at its last finite
        row, and the others go on.
    """
    latents = Latents(state.latents.z.clone().requires_grad_(), state.latents.logits.clone().requires_grad_())
    before = state.previous
    adam = make_adam(latents, optimizer, state.adam)
    evaluate = build_evaluate(generator, loss, temperature, graphs=graphs)

    for step in range(state.step, steps + 1):
        began = time.monotonic()
        found = evaluate_in_parts(evaluate, latents, micro_batch)
        latents.z.grad, latents.logits.grad = found.grad_z, found.grad_logits
        lr_z, lr_classes = learning_rates(step, steps, optimizer)
        with torch.no_grad():
            norm = gradient_norm(found, optimizer)
            classes = freeze_failed(state, step, latents, before, found, norm)
            values = [found.total, *found.terms.values(), lr_z, lr_classes, norm]
            write_row(state, step, latents, classes, values)
            before = Latents(latents.z.detach().clone(), latents.logits.detach().clone())
            if step < steps:
                take_step(adam, (lr_z, lr_classes))
                hold_within(latents.z, optimizer["bound"], truncation, seeds, step)
                keep_where(state.alive, latents, before)
            state.log[:, step, -1] = time.monotonic() - began
        state.step = step + 1
        state.latents, state.previous = Latents(latents.z.detach(), latents.logits.detach()), before
        state.adam = adam.state_dict()
        after_step(state, found.images)
    return state


def make_adam(latents: Latents, optimizer: dict, state: dict | None) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015) on z, and on the logits where classes are free; with the state of steps before."""
    moved = latents if optimizer["classes"] == "free" else [latents.z]
    adam = torch.optim.Adam(
        [{"params": [latent]} for latent in moved],
        betas=(optimizer["beta1"], optimizer["beta2"]),
        eps=optimizer["eps"],
        foreach=False,
    )
    if state is not None:
        adam.load_state_dict(state)
    return adam


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


def learning_rates(step: int, steps: int, optimizer: dict) -> tuple[float, float]:
    """The learning rates of z and of the logits at a step."""
    lr_z = optimizer["lr"] * rate(step, steps, optimizer["warmup"], optimizer["decay"])
    return lr_z, lr_z * optimizer["class_lr_ratio"] if optimizer["classes"] == "free" else 0.0


def gradient_norm(found: Evaluation, optimizer: dict) -> Tensor:
    """The length [N] of each seed's gradient, over all that moves."""
    squares = found.grad_z.square().sum(1)
    if optimizer["classes"] == "free":
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


def write_row(state: State, step: int, latents: Latents, classes: Tensor, values: list) -> None:
    """Record a step's latents and logged values; a failed seed repeats its last finite row in the log.

    Args:
        state: gets the row.
        step: the row's number.
        latents: z [N, z_dim] is recorded.
        classes: [N, C] probabilities.
        values: the log's columns up to the gradient norm, each [N] or one number; the others are computed here, but
            for the seconds, which are not over yet.
    """
    state.z[:, step], state.classes[:, step] = latents.z, classes
    entropy = torch.special.entr(classes).sum(1)
    for column, value in enumerate([*values, latents.z.norm(dim=1), entropy, classes.argmax(1), 0.0]):
        state.log[:, step, column] = value
    if step:
        stopped = step > state.last_step
        state.log[:, step] = torch.where(stopped[:, None], state.log[:, step - 1], state.log[:, step])


def take_step(adam: torch.optim.Adam, rates: tuple[float, float]) -> None:
    """Adam's update, each group of parameters at its own rate."""
    for group, lr in zip(adam.param_groups, rates, strict=False):  # fixed classes are in no group
        group["lr"] = lr
    adam.step()


def hold_within(z: Tensor, bound: str, truncation: float, seeds: list[int], step: int) -> None:
    """Bring z back within 2 * truncation, in place; redrawn values are a function of seed and step alone."""
    edge = 2 * truncation
    if bound == "clamp":
        z.clamp_(-edge, edge)
    elif bound == "resample":
        fresh = [
            truncated_normal(
                (z.shape[1],), truncation, torch.Generator().manual_seed(seed * 7_919 + (step + 1) * 104_729)
            )
            for seed in seeds
        ]
        z.copy_(torch.where(z.abs() > edge, torch.stack(fresh).to(z), z))
