"""Who is timed: the packages as their users write an inversion with them, and ours. Each is one update of a batch."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from pytorch_pretrained_biggan import BigGAN, BigGANConfig
from torch import Tensor

from approach.biggan.config import GeneratorConfig
from approach.biggan.generator import load_generator
from approach.biggan.precision import set_matrix_precision
from approach.inversion.gradient import build_evaluate
from approach.losses.losses import build_loss
from approach.losses.perceptual import Perceptual, load_backbone
from approach.target import Target
from approach.torchvision_guard import import_torchvision

TRUNCATION = 0.4
RATES = {"z": 0.05, "classes": 0.01}


@dataclass(frozen=True)
class Case:
    """A contestant: who (plain, plain-unfrozen, ours), precision, seeds per update, compiled or not."""

    who: str
    precision: str
    batch: int
    compiled: bool = False

    def __str__(self) -> str:
        return f"{self.who} {self.precision} batch {self.batch}{' compiled' if self.compiled else ''}"


@dataclass(frozen=True)
class Task:
    """What all contestants of a table do: this generator towards this target [3, S, S] under l2 or lpips."""

    config: GeneratorConfig
    weights: dict[str, Tensor]
    target: Tensor
    loss: str
    backbone: Path | None
    device: str


@dataclass
class Ready:
    """A contestant set up and warm. step() makes one update and returns the losses, [batch]."""

    case: Case
    step: Callable[[], Tensor]
    setup_seconds: float
    compile_seconds: float


def latents(task: Task, batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Starts: z of the truncated kind, class logits; leaves that want a gradient."""
    random = torch.Generator().manual_seed(seed)
    z = TRUNCATION * torch.randn(batch, task.config.z_dim, generator=random).clamp(-2, 2)
    logits = torch.randn(batch, task.config.num_classes, generator=random)
    return z.to(task.device).requires_grad_(), logits.to(task.device).requires_grad_()


def plain_generator(task: Task) -> BigGAN:
    """The package's model with the task's weights, in eval mode."""
    fields = asdict(task.config)
    model = BigGAN(BigGANConfig.from_dict({**fields, "layers": [list(layer) for layer in fields["layers"]]}))
    model.load_state_dict(task.weights)
    return model.eval().to(task.device)


def plain_perceptual(task: Task) -> torch.nn.Module:
    """lpips.LPIPS(net="squeeze") as the package makes it, but for the backbone that it would download."""
    import_torchvision()
    import lpips  # noqa: PLC0415 - it imports torchvision: after the guard

    model = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    load_backbone(model.net, task.backbone, "squeeze")
    return model.to(task.device)


def plain(task: Task, case: Case) -> Callable[[], Tensor]:
    """The update that users of the packages write."""
    model = plain_generator(task)
    perceptual = plain_perceptual(task) if task.loss == "lpips" else None
    if case.who == "plain":
        model.requires_grad_(False)
        if perceptual:
            perceptual.requires_grad_(False)
    z, logits = latents(task, case.batch)
    adam = torch.optim.Adam([{"params": [z], "lr": RATES["z"]}, {"params": [logits], "lr": RATES["classes"]}])
    target = task.target[None].to(task.device).expand(case.batch, -1, -1, -1)

    def step() -> Tensor:
        adam.zero_grad()
        if case.who == "plain-unfrozen":
            model.zero_grad()
        images = model(z, torch.softmax(logits, dim=1), TRUNCATION)
        if perceptual:
            losses = perceptual(images, target).flatten(1).mean(1)
        else:
            losses = F.mse_loss(images, target, reduction="none").flatten(1).mean(1)
        losses.sum().backward()
        adam.step()
        return losses.detach()

    return step


def ours(task: Task, case: Case) -> Callable[[], Tensor]:
    """The update that this project's inversion makes."""
    generator = load_generator(
        task.weights, task.config, truncation=TRUNCATION, device=task.device, precision=case.precision
    )
    generator.set_compiled(case.compiled)
    evaluate = build_evaluate(generator, our_loss(task, case), 1.0, graphs=task.device == "cuda")
    z, logits = latents(task, case.batch)
    adam = torch.optim.Adam(
        [{"params": [z], "lr": RATES["z"]}, {"params": [logits], "lr": RATES["classes"]}], foreach=False
    )

    def step() -> Tensor:
        found = evaluate(z, logits)
        z.grad, logits.grad = found.grad_z, found.grad_logits
        adam.step()
        return found.total

    return step


def our_loss(task: Task, case: Case) -> Callable:
    """The inversion's loss in the case's precision."""
    perceptual = None
    if task.loss == "lpips":
        dtype = torch.bfloat16 if case.precision == "bf16" else torch.float32
        perceptual = Perceptual("squeeze", task.backbone, device=task.device, dtype=dtype)
        perceptual.set_compiled(case.compiled)
    size = task.config.output_dim
    target = Target(pixels=task.target, mask=torch.ones(1, size, size))
    terms = {"name": task.loss, "terms": {task.loss: 1.0}}
    return build_loss(terms, target, perceptual=perceptual, device=task.device)


def get_ready(task: Task, case: Case) -> Ready:
    """Set a contestant up and warm it with two updates."""
    began = time.perf_counter()
    update = (ours if case.who == "ours" else plain)(task, case)

    def step() -> Tensor:
        if case.who == "ours":
            set_matrix_precision(case.precision, task.device)
        else:  # as PyTorch comes
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True
        return update()

    built = time.perf_counter()
    step()
    first = time.perf_counter()
    step()
    second = time.perf_counter()
    compiling = max(0.0, (first - built) - (second - first)) if case.compiled else 0.0
    return Ready(case, step, second - began - compiling, compiling)
