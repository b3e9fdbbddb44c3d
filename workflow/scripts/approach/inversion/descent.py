"""The walk: gradient descent through a generator's latent space towards a target, step by step.

The method is GAN inversion by optimisation (Zhu et al. 2016; the schedule is StyleGAN2's projector's, Karras et al.
2020; clamping and stochastic clipping after Lipton and Tripathi 2017). Seeds of a batch do not see one another: the
batch's loss is the sum of theirs, and Adam works element by element.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from approach.inversion.gradient import build_evaluate
from approach.inversion.starts import Latents, truncated_normal

FIXED_COLUMNS = ("lr_z", "lr_classes", "gradient_norm", "z_norm", "class_entropy", "top_class", "seconds")


def rate(step: int, steps: int, warmup: float, decay: float) -> float:
    """The learning rate's factor at a step: linear rise over warmup, cosine fall over decay (shares of the walk)."""
    at = step / steps
    fall = min(1.0, (1 - at) / decay) if decay else 1.0
    rise = min(1.0, (step + 1) / (steps * warmup)) if warmup else 1.0
    return rise * (0.5 - 0.5 * math.cos(math.pi * fall))


@dataclass
class State:
    """All that a walk is, between two steps; a checkpoint holds exactly this.

    N seeds, S steps, C classes, K columns (loss, its terms, FIXED_COLUMNS). Rows of z, classes and log before `step`
    are final. alive [N] bool; last_step [N] is the last step with a finite loss (S for a walk that never failed).
    """

    step: int
    z: Tensor  # [N, S+1, 128]
    classes: Tensor  # [N, S+1, C] probabilities
    log: Tensor  # [N, S+1, K]
    alive: Tensor
    last_step: Tensor
    latents: Latents
    previous: Latents  # where the latents were a step before: what a seed goes back to when its loss is not finite
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


def columns(loss_config: dict) -> list[str]:
    """Names of the log's columns."""
    return ["loss", *loss_config["terms"], *FIXED_COLUMNS]


def walk(
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
    after_step: Callable[[State, Tensor], None] = lambda state, images: None,
) -> State:
    """Walk a batch of seeds from its state to the last step.

    Args:
        generator: has conditioning(z [n, 128], classes [n, C]) -> [n, 256]; called, gives images [n, 3, S, S].
        loss: images -> (total [n], terms: name -> [n]).
        state: where to begin, or to go on; it is changed in place.
        seeds: the batch's seeds, in the order of the state's rows.
        steps: updates in the whole walk.
        optimizer: lr, class_lr_ratio, classes (free, fixed), beta1, beta2, eps, warmup, decay, bound (clamp, resample,
            none): z beyond 2 * truncation is cut back, or drawn anew, before each forward pass.
        temperature: of the softmax that makes class probabilities of the logits.
        truncation: the generator's.
        micro_batch: seeds per forward pass.
        graphs: replay each pass as a CUDA graph.
        after_step: called with the state and the last images [N, 3, S, S] once a step's rows are final.

    Returns:
        The state, with every row final. A seed whose loss or gradient stops being finite stays at its last finite
        row, and the others go on.
    """
    z = state.latents.z.clone().requires_grad_()
    logits = state.latents.logits.clone().requires_grad_()
    free = optimizer["classes"] == "free"
    adam = torch.optim.Adam(
        [{"params": [z]}, {"params": [logits]}] if free else [{"params": [z]}],
        betas=(optimizer["beta1"], optimizer["beta2"]),
        eps=optimizer["eps"],
        foreach=False,
    )
    if state.adam is not None:
        adam.load_state_dict(state.adam)
    evaluate = build_evaluate(generator, loss, temperature, graphs=graphs)
    parts = [slice(first, first + micro_batch) for first in range(0, len(seeds), micro_batch)]
    before = state.previous

    for step in range(state.step, steps + 1):
        began = time.monotonic()
        seen = [evaluate(z[part], logits[part]) for part in parts]
        images, classes, total, z.grad, logits.grad = (
            torch.cat([getattr(each, name) for each in seen])
            for name in ("images", "classes", "total", "grad_z", "grad_logits")
        )
        terms = [torch.cat([each.terms[name] for each in seen]) for name in seen[0].terms]
        norm = (z.grad.square().sum(1) + (logits.grad.square().sum(1) if free else 0)).sqrt()
        lr_z = optimizer["lr"] * rate(step, steps, optimizer["warmup"], optimizer["decay"])
        lr_classes = lr_z * optimizer["class_lr_ratio"] if free else 0.0

        with torch.no_grad():
            reached = torch.isfinite(total)  # the row stands
            onward = reached & torch.isfinite(norm)  # and can be left
            newly = state.alive & ~onward
            state.last_step = torch.where(newly, torch.where(reached, step, max(step - 1, 0)), state.last_step)
            state.alive = state.alive & onward
            # torch.where and no indexing by masks: on a GPU that would wait for the device in every step
            if step:
                z.copy_(torch.where(reached[:, None], z, before.z))
                logits.copy_(torch.where(reached[:, None], logits, before.logits))
                classes = torch.where(reached[:, None], classes, state.classes[:, step - 1])
            state.z[:, step], state.classes[:, step] = z, classes
            entropy = torch.special.entr(classes).sum(1)
            values = [total, *terms, lr_z, lr_classes, norm, z.norm(dim=1), entropy, classes.argmax(1), 0.0]
            for column, value in enumerate(values):
                state.log[:, step, column] = value
            if step:
                stopped = step > state.last_step
                state.log[:, step] = torch.where(stopped[:, None], state.log[:, step - 1], state.log[:, step])

            before = Latents(z.detach().clone(), logits.detach().clone())
            if step < steps:
                for group, lr in zip(adam.param_groups, (lr_z, lr_classes), strict=False):
                    group["lr"] = lr
                adam.step()
                _bound(z, optimizer["bound"], truncation, seeds, step)
                z.copy_(torch.where(state.alive[:, None], z, before.z))
                logits.copy_(torch.where(state.alive[:, None], logits, before.logits))
            state.log[:, step, -1] = time.monotonic() - began
        state.step = step + 1
        state.latents, state.previous = Latents(z.detach(), logits.detach()), before
        state.adam = adam.state_dict()
        after_step(state, images)
    return state


def _bound(z: Tensor, bound: str, truncation: float, seeds: list[int], step: int) -> None:
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
