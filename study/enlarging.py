"""A generator of twice the size whose new blocks are taught by enlarged samples of the old one.

Towards the painted pictures themselves a grown generator's new blocks learn blur: what a z does not decide is replaced
by its median. But how a picture is enlarged can be learned without any z, from painted pictures and the same pictures
reduced (Dong et al. 2014). So an enlarger learns that first, of pictures that are worn as the old generator's samples
are; then it enlarges these, and the new blocks, behind the old ones as they were, are taught to show the same. Its
answer is a function of what they see: there is nothing left to guess.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study import growing
from study.networks import batch_norms, hold_norms, iterate
from study.painter import normal
from study.training import (
    COLUMNS,
    Trainer,
    append_curves,
    as_config,
    pyramid_distance,
    resume,
    save,
    trim_curves,
    write_checkpoint,
)

logger = logging.getLogger("enlarge")

MARGIN = 8  # px of their mirror image around a picture that is enlarged
FLAT = 0.4  # part of the teaching after which its rate falls
PATCH = 32  # px of the reduced pictures that the enlarger learns from


class Residual(nn.Module):
    """Two convolutions beside their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.01)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] to the same."""
        return x + self.second(F.relu(self.first(x)))


class Enlarger(nn.Module):
    """Pictures to twice their size: what a cubic makes of them, and what is wanting in it (EDSR, Lim et al. 2017)."""

    def __init__(self, channels: int, blocks: int):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.last = nn.Conv2d(channels, 12, 3, padding=1)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] to [N, 3, 2S, 2S], not bounded."""
        x = F.pad(x, (MARGIN,) * 4, mode="reflect")
        seen = self.first(x)
        fine = F.pixel_shuffle(self.last(seen + self.blocks(seen)), 2)
        inner = slice(2 * MARGIN, -2 * MARGIN)
        return (fine + F.interpolate(x, scale_factor=2, mode="bicubic"))[:, :, inner, inner]


def blurred(images: Tensor, dice: torch.Generator) -> Tensor:
    """Images, each blurred by a Gaussian of up to 0.75 px."""
    count = len(images)
    sigma = 0.75 * torch.rand(count, 1, generator=dice) + 1e-3
    kernel = torch.exp(-torch.arange(-2, 3).float().square() / (2 * sigma.square()))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    x = F.pad(images, (2,) * 4, mode="reflect").flatten(0, 1).unsqueeze(0)
    x = F.conv2d(x, kernel[:, None, :, None], groups=3 * count)
    return F.conv2d(x, kernel[:, None, None, :], groups=3 * count).view_as(images)


def weave(count: int, size: int, dice: torch.Generator) -> Tensor:
    """Two oblique waves an image, of 2 to 7 px, stronger here than there: [N, 3, S, S]."""

    def chance(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=dice)

    rows, columns = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
    total = torch.zeros(count, 3, size, size)
    for _ in range(2):
        angle, length, phase = math.pi * chance(1, 1), 2 + 5 * chance(1, 1).square(), 2 * math.pi * chance(1, 1)
        wave = torch.sin((columns * angle.cos() + rows * angle.sin()) * 2 * math.pi / length + phase)
        place = F.interpolate(chance(1, 4, 4), size=(size, size), mode="bicubic").clamp(0, 1)
        strength = 0.12 * chance(1, 1, 1).square() * (chance(1, 1, 1) < 0.7)
        total += strength * place * wave.unsqueeze(1) * (0.7 + 0.6 * chance(3, 1, 1))
    return total


def worn(images: Tensor, dice: torch.Generator) -> Tensor:
    """Images [N, 3, S, S] as a small generator shows them: soft, grainy, with a weave here and there."""
    count, _, size, _ = images.shape
    grain = torch.randn(images.shape, generator=dice)
    coarse = torch.randn(count, 3, size // 2, size // 2, generator=dice)
    coarse = F.interpolate(coarse, scale_factor=2, mode="bicubic")
    fine_share, coarse_share = torch.rand(2, count, 1, 1, 1, generator=dice)
    return blurred(images, dice) + 0.02 * (fine_share * grain + coarse_share * coarse) + weave(count, size, dice)


def edges_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the differences between neighbouring pixels: of edges, however bright they are."""
    difference = a - b
    return difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()


def border_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference near the border only; corners weigh most.

    Maps are padded with zeros there, and since few pixels lie there, a network learns them last.
    """
    away = torch.arange(a.shape[2], device=a.device)
    near = 1 + 3 * torch.exp(-torch.minimum(away, away.flip(0)) / 1.5)
    return ((near[:, None] * near - 1) * (a - b).abs()).mean()


def without_specks(images: Tensor) -> Tensor:
    """Images [N, 3, S, S] whose corners, where a small generator shows specks, are filled with an inner neighbour."""
    images = images.clone()
    for rows, row in ((slice(2), 2), (slice(-2, None), -3)):
        for columns, column in ((slice(2), 2), (slice(-2, None), -3)):
            images[:, :, rows, columns] = images[:, :, row, column][:, :, None, None]
    return images


def mixed_classes(z: Tensor, classes: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a descent passes: latents [N, z_dim] made short or long, in [-2, 2], and shares of classes, [N, classes]."""
    count = len(z)
    reach, spread = 0.3 + 2.7 * torch.rand(count, 1, generator=dice), 1 + 4 * torch.rand(count, 1, generator=dice)
    return (reach * z).clamp(-2, 2), (spread * torch.randn(count, classes, generator=dice)).softmax(1)


def falling(done: float, flat: float) -> float:
    """The share of the learning rate after a part `done` of the time: all of it for `flat`, then a half cosine."""
    return 1.0 if done < flat else 0.5 * (1 + math.cos(math.pi * (done - flat) / (1 - flat)))


def part_done(steps: int, seconds: float, settings: dict) -> float:
    """The part that is done of a learning that ends after `steps`, or, where these are null, after `minutes`."""
    return steps / settings["steps"] if settings["steps"] else seconds / (60 * settings["minutes"])


def learn_enlarger(pictures: Tensor, settings: dict, cast: Callable[[], torch.autocast]) -> Enlarger:
    """An enlarger that learned of pictures, uint8 [N, 3, S, S]; settings: the configuration's `train.enlarger`."""
    torch.manual_seed(settings["seed"])
    dice = torch.Generator().manual_seed(settings["seed"])
    enlarger = Enlarger(settings["channels"], settings["blocks"]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(enlarger.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    step, begun = 0, time.monotonic()
    while (done := part_done(step, time.monotonic() - begun, settings)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * min(1.0, (step + 1) / 100) * falling(done, 0.0)
        index = torch.randint(len(pictures), (settings["batch"],), generator=dice)
        size = min(PATCH, pictures.shape[2] // 2)
        top, left = (2 * torch.randint(pictures.shape[2] // 2 - size + 1, (2,), generator=dice)).tolist()
        whole = pictures[index, :, top : top + 2 * size, left : left + 2 * size].float() / 127.5 - 1
        if step % 2:
            whole = whole.flip(3)
        small = worn(F.avg_pool2d(whole, 2), dice).contiguous(memory_format=torch.channels_last)
        with cast():
            large = enlarger(small)
        loss = (large.float() - whole).abs().mean() + 0.5 * edges_distance(large.float(), whole)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(enlarger.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 500 == 0:
            logger.info("enlarger: step %d, loss %.4f", step, loss.item())
    return enlarger.requires_grad_(False)


def enlarger_of(folder: Path, pictures: Tensor, settings: dict, cast: Callable[[], torch.autocast]) -> Enlarger:
    """The enlarger in a folder's enlarger.pt, or, where there is none yet, one that learns now and is kept there."""
    learned = folder / "enlarger.pt"
    if learned.exists():
        enlarger = Enlarger(settings["channels"], settings["blocks"]).requires_grad_(False)
        enlarger.load_state_dict(torch.load(learned, weights_only=True))
        return enlarger.to(memory_format=torch.channels_last)
    enlarger = learn_enlarger(pictures, settings, cast)
    save(enlarger.state_dict(), learned)
    return enlarger


class Teacher:
    """What the new blocks of a grown generator are taught by: its elder, and an enlarger of the elder's samples.

    Raises:
        ValueError: the generator has not begun from one of another form and half the size.
    """

    def __init__(self, trainer: Trainer, enlarger: Enlarger):
        if trainer.elder is None or 2 * trainer.elder.config["output_dim"] != trainer.generator.config["output_dim"]:
            raise ValueError("begin_from is no generator of half the size")
        self.trainer, self.enlarger = trainer, enlarger
        self.elder, self.body = trainer.elder, trainer.generator.generator
        new, old = as_config(trainer.generator.config), as_config(self.elder.config)
        self.first = growing.first_new_layer(new, old)
        hold_norms(trainer.generator)
        hold_norms(self.elder)

    def parameters(self) -> list[nn.Parameter]:
        """Of the new blocks, the last norm and the last convolution."""
        parts = [*self.body.layers[self.first :], self.body.bn, self.body.conv_to_rgb]
        return [parameter for part in parts for parameter in part.parameters()]

    def conditions(self, number: int, count: int) -> Tensor:
        """Conditions [count, 256]: half like samples, half with mixed classes and any z, as on a descent."""
        config, dice = self.elder.config, torch.Generator().manual_seed(number)
        classes = config["num_classes"]
        z = normal(dice, count, config["z_dim"], 1.0)
        pure = F.one_hot(torch.randint(classes, (count,), generator=dice), classes).float()
        whole = torch.arange(count).unsqueeze(1) < count // 2
        z, shares = map(functools.partial(torch.where, whole), (z, pure), mixed_classes(z, classes, dice))
        return torch.cat([z, self.elder.embeddings(shares)], 1)

    @torch.no_grad()
    def lesson(self, number: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The maps before the new blocks, the conditions, and the images that are to be shown."""
        elder, condition = self.elder.generator, self.conditions(number, count)
        with self.trainer.cast():
            maps = elder.through(elder.begin(condition), condition, 0, self.first)
            known = elder.show(elder.through(maps, condition, self.first)).float()
            goal = self.enlarger(without_specks(known).contiguous(memory_format=torch.channels_last))
        return maps, condition, goal.float().clamp(-1, 1)

    def images(self, maps: Tensor, condition: Tensor) -> Tensor:
        """What the new blocks show."""
        return self.body.show(self.body.through(maps, condition, self.first))

    @torch.no_grad()
    def settle(self, number: int, share: float) -> None:
        """Move the new norms' standing statistics towards what 128 images give them, each after the one before it."""
        maps, condition, _ = self.lesson(number, 128)

        def follow(layer: nn.Module, inputs: tuple) -> None:
            variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
            layer.running_means[-1].lerp_(mean, share)
            layer.running_vars[-1].lerp_(variance, share)

        layers = [*batch_norms(self.body.layers[self.first :]), self.body.bn]
        hooks = [layer.register_forward_pre_hook(follow) for layer in layers]
        with self.trainer.cast():
            self.images(maps, condition)
        for hook in hooks:
            hook.remove()


def teach(trainer: Trainer, enlarger: Enlarger, settings: dict, folder: Path) -> None:
    """Teach a trainer's new blocks what an enlarger makes of its elder's samples.

    Args:
        trainer: has begun from a generator of half the size. Its generator, average and counts are moved.
        enlarger: see learn_enlarger.
        settings: the configuration's `train.teaching`.
        folder: where the checkpoint lies, from which a killed teaching goes on, and the curves.
    """
    teacher = Teacher(trainer, enlarger)
    parameters = teacher.parameters()
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    images = torch.compile(teacher.images) if trainer.settings["compile"] else teacher.images
    curves = folder / "curves.csv"
    if state := resume(trainer, 0, folder):
        optimizer.load_state_dict(state)
    trim_curves(curves, trainer.step)
    begun, before = time.monotonic(), trainer.seconds
    saved = begun
    while (done := part_done(trainer.step, trainer.seconds, settings)) < 1:
        step = trainer.step
        # While the rate falls they stand: what changes then can no longer be followed.
        if step % settings["settle_every"] == 0 and done < FLAT:
            teacher.settle(1_000_000_000 + step, 1.0 if step == 0 else 0.3)
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * min(1.0, (step + 1) / 50) * falling(done, FLAT)
        maps, condition, goal = teacher.lesson(step, settings["batch"])
        with trainer.cast():
            shown = images(maps, condition)
        shown = shown.float()
        pyramid = pyramid_distance(shown, goal)
        loss = pyramid + 0.25 * edges_distance(shown, goal) + border_distance(shown, goal)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimizer.step()
        iterate(teacher.body.layers[teacher.first :])
        iterate(teacher.body.conv_to_rgb)
        trainer.step, trainer.images = step + 1, trainer.images + settings["batch"]
        trainer.follow()
        now = time.monotonic()
        trainer.seconds = before + now - begun
        if trainer.step % 20 == 0:
            append_curves(curves, trainer, [pyramid.item() if name == "pyramid" else 0.0 for name in COLUMNS[3:]])
        if trainer.step % 100 == 0:
            logger.info("step %d images %d: loss %.4f", trainer.step, trainer.images, loss.item())
        if now - saved > trainer.settings["checkpoint_seconds"]:
            write_checkpoint(trainer, optimizer.state_dict(), 0, folder)
            saved = now
    # The average has met no images of its own: it is exported with the statistics that the generator was taught with.
    for mine, averaged in zip(batch_norms(trainer.generator), batch_norms(trainer.average), strict=True):
        averaged.running_means.copy_(mine.running_means)
        averaged.running_vars.copy_(mine.running_vars)
