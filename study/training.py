"""Training of the study's generator, resumable at any step.

Hinge loss, a projection discriminator, spectral norm on both sides (but for the maps of z and class) and two learning
rates, as in BigGAN (Brock et al. 2019). The painter decides a picture by 128 normal numbers, and the generator is given
the same numbers as z: so three of four samples in a batch have a picture that they ought to be, and are drawn towards
it as in pix2pixHD (Wang et al. 2018), by a pyramid of L1, by the discriminator's features and, where it weighs, by
LPIPS; the fourth has z of its own. The discriminator is shown z as well, and judges whether picture and z belong
together; beside the whole picture it judges every place of its maps, as a PatchGAN does (Isola et al. 2017). Before it
comes in there are lessons by the pairs alone, the first of them at low resolution, for the first layers only. CPU hours
are few: layout is learned in a fraction of the images that a discriminator alone would need, and what is left to it is
the grain. Batches are small, so that in the end the generator is normalised by standing statistics, as it will be when
it is used.

What a step draws (pictures, z, classes) is a function of the seed and the step's number alone, so a checkpoint
holds networks, optimisers and counts and nothing else.
"""

from __future__ import annotations

import copy
import csv
import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from approach.biggan.format import GeneratorConfig
from approach.biggan.precision import has_bfloat16
from approach.losses.perceptual import Perceptual
from study import growing
from study.exporting import Exported, read_export, write
from study.networks import Head, PairDiscriminator, TrainableGenerator, batch_norms, iterate, standing_statistics
from study.painter import normal

logger = logging.getLogger("train")
COLUMNS = [
    "step",
    "images",
    "seconds",
    "loss_discriminator",
    "loss_generator",
    "score_drawn",
    "score_generated",
    "pyramid",
    "lpips",
    "features",
    "means",
]


PAIRED = 3  # of each four samples
CHECKPOINT = "checkpoint.pt"  # in a training's folder
COUNTS = ("step", "images", "seconds")
MARGIN = 8  # px of their mirror image around compared images
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer", "head_optimizer")


class Pictures:
    """The pictures of all shards, uint8 [classes, n, 3, S, S], and the latents that decide them, [classes, n, 128].

    Both lie on the device: a GPU would wait for the processor to gather a batch.
    """

    def __init__(self, shards: list[Path], device: str | torch.device = "cpu"):
        files = [np.load(path) for path in shards]
        self.images, self.latents = (
            torch.cat([torch.from_numpy(file[name]).to(device) for file in files], dim=1)
            for name in ("pictures", "latents")
        )


def sent(x: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor's, on a device; a GPU's work goes on meanwhile."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def draw_batch(
    pictures: Pictures, seed: int, step: int, count: int, alone: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures [N, 3, S, S] in [-1, 1], classes [N, C] one-hot, the pictures' own z [N, 128] and the samples' z.

    Three of four samples have the z of a picture; the fourth, where it may be alone, has another.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    (classes, n), device = pictures.images.shape[:2], pictures.images.device
    labels = sent(torch.randint(classes, (count,), generator=generator), device)
    index = sent(torch.randint(n, (count,), generator=generator), device)
    images = pictures.images[labels, index].float() / 127.5 - 1
    own = pictures.latents[labels, index]
    fresh = sent(normal(generator, count, own.shape[1]), device)
    paired = (torch.arange(count, device=device) % 4 < PAIRED).unsqueeze(1) | (not alone)
    return images, F.one_hot(labels, classes).float(), own, torch.where(paired, own, fresh)


def as_config(config: dict) -> GeneratorConfig:
    """A generator's configuration as the pipeline knows it."""
    return GeneratorConfig(**{**config, "layers": tuple(map(tuple, config["layers"]))})


def displacement(seed: int, step: int) -> list[int]:
    """Where a step's pairs are compared from."""
    return torch.randint(MARGIN + 1, (2,), generator=torch.Generator().manual_seed(seed * 1_000_003 + step)).tolist()


def displaced(images: Tensor, offset: list[int] | Tensor) -> Tensor:
    """Images with some of their mirror image around them, more of it at one side or the other.

    SqueezeNet looks at every second pixel and hardly at the border, and the pyramid has the generator's own grid: seen
    from one place only, the one lets a weave and a frame be, and the other adds a grid of squares.
    """
    size, padded = images.shape[2] + MARGIN, F.pad(images, (MARGIN,) * 4, mode="reflect")
    if isinstance(offset, Tensor):  # read when a recorded step is replayed
        rows, columns = offset[:, None] + torch.arange(size, device=offset.device)
        return padded.index_select(2, rows).index_select(3, columns)
    top, left = offset
    return padded[:, :, top : top + size, left : left + size]


def hinge(scores: Tensor) -> Tensor:
    """The discriminator's loss of scores whose first half is of drawn pictures, the second of generated ones."""
    drawn, generated = scores.chunk(2)
    return F.relu(1 - drawn).mean() + F.relu(1 + generated).mean()


def pair_off(x: Tensor) -> Tensor:
    """The paired members of a batch whose length is a multiple of four."""
    return x.unflatten(0, (-1, 4))[:, :PAIRED].flatten(0, 1)


def pyramid_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference, averaged over four scales, the finest of which counts half; to these come two bands.

    Where colours differ, an absolute difference says nothing of a weave laid over them; that of a band does.
    """
    difference = a - b
    total = 0.5 * difference.abs().mean()
    for scale in range(3):
        smaller = F.avg_pool2d(difference, 2)
        if scale < 2:
            total = total + (difference - F.interpolate(smaller, scale_factor=2, mode="nearest")).abs().mean()
        difference = smaller
        total = total + difference.abs().mean()
    return total / 3.5


def finest_distance(a: Tensor, b: Tensor, factor: int) -> Tensor:
    """Mean absolute difference of what images have beyond the same images reduced by a factor."""
    difference = a - b
    smaller = F.avg_pool2d(difference, factor)
    return (difference - F.interpolate(smaller, scale_factor=factor, mode="nearest")).abs().mean()


def feature_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean absolute difference of feature maps, in units of the mean absolute value of b's."""
    return sum(
        ((x - y).abs().mean() / (y.abs().mean() + 1e-3) for x, y in zip(a, b, strict=True)), a[0].new_zeros(())
    ) / len(a)


def mean_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Squared difference of feature maps' means over places, in units of b's variance in the batch.

    Where a picture cannot be told from its z, mean absolute difference settles on the median, which has less of all
    that is rare; this has the same mean (feature matching, Salimans et al. 2016).
    """
    total = a[0].new_zeros(())
    for maps, goal in zip(a, b, strict=True):
        x, y = maps.mean((2, 3)), goal.mean((2, 3))
        total = total + (x - y).square().sum(1).mean() / (y.var(0).sum() + 1e-6)
    return total / len(a)


def figures(*values: Tensor) -> Tensor:
    """Losses side by side, [n]. They stay on the device: a GPU need not wait until they are read."""
    return torch.stack([value.detach().float() for value in values])


def mean_of(parts: Iterable[Tensor]) -> Tensor:
    """The workers' figures, averaged."""
    return torch.stack(list(parts)).mean(0)


def set_rate(optimizer: torch.optim.Optimizer, rate: float, kept: float | None = None) -> None:
    """Set an optimiser's learning rate, or another one for what is kept of an older generator."""
    for group in optimizer.param_groups:
        value = kept if kept is not None and group.get("kept") else rate
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


class Recorded:
    """A step of fixed shapes on a GPU, recorded at its fourth call and from then on launched as one CUDA graph.

    Launching its ten thousand kernels from Python takes three times as long as they do.
    """

    def __init__(self, step: Callable[..., Tensor]):
        self.step, self.calls, self.graph = step, 0, None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The step's result, which the next call overwrites."""
        if self.calls < 3:  # what is chosen or allocated at first must not be recorded
            self.calls += 1
            aside, here = torch.cuda.Stream(), torch.cuda.current_stream()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):
                answer = self.step(*inputs)
            here.wait_stream(aside)
            return answer
        if self.graph is None:
            self.inputs, self.graph = [x.clone() for x in inputs], torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.answer = self.step(*self.inputs)
        for mine, new in zip(self.inputs, inputs, strict=True):
            mine.copy_(new)
        self.graph.replay()
        return self.answer


class Trainer:
    """Both networks, their optimisers and the running average of the generator's weights."""

    def __init__(self, generator: dict, discriminator: dict, train: dict, perceptual: Perceptual | None = None):
        torch.manual_seed(train["seed"])
        torch.set_num_threads(train["threads"])
        self.device = torch.device(train["device"])
        self.settings, self.perceptual, self.discriminator_config = dict(train), perceptual, discriminator
        torch.backends.cudnn.benchmark = True  # batches are of one size
        if train["bfloat16"] is None:
            self.settings["bfloat16"] = has_bfloat16(self.device)
        form = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = TrainableGenerator(generator).to(**form)
        self.discriminator = PairDiscriminator(**discriminator, z_dim=generator["z_dim"]).to(**form)
        iterate(self.generator, 20)
        iterate(self.discriminator, 20)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        betas = tuple(train["betas"])
        recorded = self.device.type == "cuda"
        fused = {"fused": True, "capturable": recorded}
        self.generator_parameters = list(self.generator.parameters())
        self.discriminator_parameters = list(self.discriminator.parameters())
        # Each tensor is a group of its own that tells whether it is kept from a generator of another form.
        groups = [{"params": [parameter], "kept": False} for parameter in self.generator_parameters]
        self.generator_optimizer = torch.optim.Adam(groups, train["lr_generator"], betas=betas, **fused)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator_parameters, train["lr_discriminator"], betas=betas, **fused
        )
        self.head = Head(generator, train["coarse_layers"] - 1).to(**form)
        self.head_parameters = list(self.head.parameters())
        self.head_optimizer = torch.optim.Adam(self.head_parameters, train["lr_lessons"], **fused)
        self.hold_rates()
        self.recorded: dict[tuple[str, bool], Recorded] = {}  # by phase, with or without steady norms
        self.generate, self.features = self.generator.forward, self.discriminator.features
        if train["compile"]:
            self.generate, self.features = torch.compile(self.generate), torch.compile(self.features)
        self.compiled: set[tuple[str, bool]] = set()  # phases whose graphs are there, with or without steady norms
        self.elder: TrainableGenerator | None = None  # what this one is grown from
        self.step = self.images = 0
        self.seconds = 0.0
        self.pool = ThreadPoolExecutor(
            train["workers"], initializer=torch.set_num_threads, initargs=(train["threads"],)
        )

    def hold_rates(self) -> None:
        """Keep learning rates where a recorded step reads them."""
        if self.device.type == "cuda":
            for name in OPTIMIZERS:
                for group in getattr(self, name).param_groups:
                    group["lr"] = torch.tensor(float(group["lr"]), device=self.device)

    def cast(self) -> torch.autocast:
        """bfloat16 where it is wanted."""
        enabled = self.settings["bfloat16"]
        return torch.autocast(self.device.type, torch.bfloat16, enabled, cache_enabled=self.device.type != "cuda")

    def discriminator_gradients(self, images: Tensor, classes: Tensor, own: Tensor, z: Tensor) -> tuple:
        """The discriminator's gradients on one worker's part of the batch; the fakes go on to the generator's turn."""
        with self.cast():
            fakes = self.generate(z, classes)
            both = torch.cat([images.to(fakes.dtype), fakes.detach()]).contiguous(memory_format=torch.channels_last)
            maps = self.features(both)
            labels = torch.cat([classes, classes])
            scores = self.discriminator.judge_pair(maps[-1], labels, torch.cat([own, z]))
            places = self.discriminator.judge_places(maps, labels)
        drawn, generated = scores.chunk(2)
        loss = hinge(scores) + sum(map(hinge, places)) / len(places)
        gradients = torch.autograd.grad(loss, self.discriminator_parameters)
        ideal = [pair_off(part.detach()[: len(images)].float()) for part in maps]
        return gradients, fakes, ideal, figures(loss, drawn.mean(), generated.mean())

    def generator_gradients(
        self, fakes: Tensor, ideal: list[Tensor], images: Tensor, classes: Tensor, z: Tensor, offset: list[int] | Tensor
    ) -> tuple:
        """The generator's gradients on fakes just judged; `ideal`: the pictures' features."""
        with self.cast():
            maps = self.features(fakes)
            deceit = -self.discriminator.judge_pair(maps[-1], classes, z).mean()
            places = self.discriminator.judge_places(maps, classes)
        deceit = deceit - sum(scores.mean() for scores in places) / len(places)
        paired = (pair_off(part) for part in (fakes.float(), images, z, classes))
        towards, pyramid, lpips = self.pair_loss(*paired, offset)
        mine = [pair_off(part).float() for part in maps]
        features, means = feature_distance(mine, ideal), mean_distance(mine, ideal)
        loss = self.settings["weight_deceit"] * deceit + towards
        loss = loss + self.settings["weight_features"] * features + self.settings["weight_means"] * means
        gradients = torch.autograd.grad(loss, self.generator_parameters)
        return gradients, figures(deceit, pyramid, lpips, features, means)

    def pair_loss(
        self, fakes: Tensor, images: Tensor, z: Tensor, classes: Tensor, offset: list[int] | Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What samples lose by not being the pictures that they ought to be; its pyramid and its LPIPS.

        Beside an elder the pyramid is of what is finer than the elder's images.
        """
        settings = self.settings
        pyramid, lpips = self.pair_distances(fakes, images, offset)
        loss = settings["weight_lpips"] * lpips
        if self.elder is not None and settings["weight_elder"] > 0:
            elder, pyramid = self.elder_distance(fakes, images, z, classes)
            loss = loss + settings["weight_elder"] * elder
        return loss + settings["weight_pyramid"] * pyramid, pyramid, lpips

    def pair_distances(self, fakes: Tensor, images: Tensor, offset: list[int] | Tensor) -> tuple[Tensor, Tensor]:
        """How far samples are from the pictures that they ought to be: the pyramid and LPIPS."""
        fakes, images = displaced(fakes, offset), displaced(images, offset)
        pyramid = pyramid_distance(fakes, images)
        if self.perceptual is None:
            return pyramid, pyramid.new_zeros(())
        with torch.no_grad():
            goal = self.perceptual.features(images)
        return pyramid, self.perceptual.distance(fakes, goal).mean()

    def lesson(self, images: Tensor, classes: Tensor, own: Tensor, coarse: bool, offset: list[int] | Tensor) -> tuple:
        """Gradients of generator and head towards the paired pictures alone, before the discriminator comes in."""
        with self.cast():
            fakes = self.generator(own, classes, self.head if coarse else None)
        if coarse:
            loss = pyramid = (fakes.float() - F.adaptive_avg_pool2d(images, fakes.shape[2])).abs().mean()
            lpips = loss.new_zeros(())
        else:
            loss, pyramid, lpips = self.pair_loss(fakes.float(), images, own, classes, offset)
        parameters = self.generator_parameters + self.head_parameters
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        count = len(self.generator_parameters)
        return gradients[:count], gradients[count:], figures(pyramid, lpips)

    def elder_distance(self, fakes: Tensor, images: Tensor, z: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """How far samples, reduced, are from the elder's, and how far from the pictures in what the elder cannot show.

        What of a picture its z does not decide, lessons replace by its median, and half the contrast is gone. The
        elder has learned it of a discriminator already, and shows for a z always the same.
        """
        with torch.no_grad(), self.cast():
            known = self.elder(z, classes).float()
        factor = fakes.shape[2] // known.shape[2]
        return pyramid_distance(F.avg_pool2d(fakes, factor), known), finest_distance(fakes, images, factor)

    def descend(self, parameters: list[nn.Parameter], parts: list[tuple], optimizer: torch.optim.Optimizer) -> None:
        """One step along the mean of the workers' gradients, always summed in the same order."""
        for parameter, *gradients in zip(parameters, *parts, strict=True):
            if gradients[0] is not None:  # laid out as the parameter is, which Adam asks for on a GPU
                mean = sum(gradients[1:], gradients[0]) / len(gradients)
                parameter.grad = torch.empty_like(parameter).copy_(mean)
            else:
                parameter.grad = None
        optimizer.step()

    def steady(self) -> None:
        """Let the generator normalise by standing statistics, which follow those of fresh samples at truncation 1."""
        settings, layers = self.settings, batch_norms(self.generator)
        empty = not layers[0].running_means[-1].any()
        if empty or self.step % settings["steady_every"] == 0:
            for layer in layers:
                layer.steady = False
            samples, share = settings["steady_samples"], settings["steady_share"]
            torch.set_num_threads(settings["threads"] * settings["workers"])  # the workers wait meanwhile
            fresh = standing_statistics(self.generator, 1.0, 8 * samples if empty else samples, seed=self.step)
            torch.set_num_threads(settings["threads"])
            for layer, (mean, variance) in zip(layers, fresh, strict=True):
                layer.running_means[-1].lerp_(mean, 1.0 if empty else share)
                layer.running_vars[-1].lerp_(variance, 1.0 if empty else share)
        for layer in layers:
            layer.steady = True

    def advance(self, pictures: Pictures) -> list[float | Tensor]:
        """One step of both networks. Returns the figures that COLUMNS names, from loss_discriminator on."""
        settings = self.settings
        if self.images >= settings["steady_from"]:
            self.steady()
        early = self.images < settings["lessons"]
        if early:
            set_rate(self.generator_optimizer, settings["lr_lessons"], settings["lr_kept"])
        else:
            set_rate(self.generator_optimizer, self.rate(), settings["share_kept"] * self.rate())
        set_rate(self.discriminator_optimizer, settings["lr_discriminator"] * self.decay())
        batch = draw_batch(pictures, settings["seed"], self.step, settings["batch"], alone=not early)
        batch = [part.to(self.device) for part in batch]
        offset = displacement(settings["seed"], self.step)
        if early:
            phase = "coarse lessons" if self.images < settings["coarse_lessons"] else "lessons"
        else:
            alone = self.images < settings["lessons"] + settings["discriminator_alone"]
            phase = "discriminator" if alone else "both"
        answer = self.take_step(phase, batch, offset)
        self.count()
        return list(answer)

    def take_step(self, phase: str, batch: list[Tensor], offset: list[int] | Tensor) -> Tensor:
        """The arithmetic of a step in one of the four phases, recorded where there is a GPU."""
        steps = {"discriminator": self.step_discriminator, "both": self.step_both}
        step = steps.get(phase) or functools.partial(self.step_lesson, phase == "coarse lessons")
        if self.device.type != "cuda":
            return step(*batch, offset)
        key = phase, batch_norms(self.generator)[0].steady
        recorded = self.recorded.setdefault(key, Recorded(step))
        return recorded(*batch, sent(torch.tensor(offset), self.device))

    def parts(self, *batch: Tensor) -> list[tuple[Tensor, ...]]:
        """A batch's parts, one for each worker."""
        return list(zip(*(part.chunk(self.settings["workers"]) for part in batch), strict=True))

    def step_lesson(self, coarse: bool, images: Tensor, classes: Tensor, own: Tensor, _: Tensor, offset) -> Tensor:
        """A step of the generator alone, towards the paired pictures."""
        each = self.each("coarse lessons" if coarse else "lessons")
        parts = self.parts(images, classes, own)
        answers = list(each(lambda part: self.lesson(*part, coarse, offset), parts))
        self.descend(self.generator_parameters, [answer[0] for answer in answers], self.generator_optimizer)
        self.descend(self.head_parameters, [answer[1] for answer in answers], self.head_optimizer)
        iterate(self.generator)
        return F.pad(mean_of(answer[2] for answer in answers), (4, 2))

    def step_discriminator(self, images: Tensor, classes: Tensor, own: Tensor, z: Tensor, _) -> Tensor:
        """A step of the discriminator alone."""
        loss, drawn, generated = self.judge(self.each("discriminator"), self.parts(images, classes, own, z))[1]
        nothing = torch.zeros_like(loss)
        return torch.stack([loss, nothing, drawn, generated, *[nothing] * 4])

    def step_both(self, images: Tensor, classes: Tensor, own: Tensor, z: Tensor, offset) -> Tensor:
        """A step of the discriminator, then one of the generator on the samples that were judged."""
        parts, each = self.parts(images, classes, own, z), self.each("both")
        turns, (loss, drawn, generated) = self.judge(each, parts)
        tasks = [
            (turn[1], turn[2], images, classes, z, offset)
            for turn, (images, classes, _, z) in zip(turns, parts, strict=True)
        ]
        answers = list(each(lambda task: self.generator_gradients(*task), tasks))
        self.descend(self.generator_parameters, [answer[0] for answer in answers], self.generator_optimizer)
        iterate(self.generator)
        deceit, *paired = mean_of(answer[1] for answer in answers)
        return torch.stack([loss, deceit, drawn, generated, *paired])

    def judge(self, each: Callable, parts: list[tuple[Tensor, ...]]) -> tuple[list[tuple], Tensor]:
        """The discriminator's step: what each worker found, and its figures."""
        turns = list(each(lambda part: self.discriminator_gradients(*part), parts))
        self.descend(self.discriminator_parameters, [turn[0] for turn in turns], self.discriminator_optimizer)
        iterate(self.discriminator)
        return turns, mean_of(turn[3] for turn in turns)

    def rate(self) -> float:
        """The generator's learning rate after the lessons; it rises while it begins to listen to the discriminator.

        Adam divides by the size of earlier gradients, and those of the lessons were small: at the full rate its first
        steps would be ten times as long, and undo in minutes what the lessons taught.
        """
        settings = self.settings
        heard = self.images - settings["lessons"] - settings["discriminator_alone"] + settings["batch"]
        return settings["lr_generator"] * min(1.0, max(heard, 0) / max(settings["ramp"], 1)) * self.decay()

    def decay(self) -> float:
        """What is left of both rates: all of it up to `decay_from`, then falling to nothing at the last image."""
        begin, end = self.settings["decay_from"], self.settings["images"]
        return 1.0 if begin is None else min(1.0, max(end - self.images, 0) / max(end - begin, 1))

    def each(self, phase: str) -> Callable:
        """The map over workers' parts in a step of a phase: at once, or in turn where its graphs are to be compiled.

        Threads that compile at once can wait for each other for ever.
        """
        if self.device.type == "cuda":  # a stream belongs to a thread
            return map
        graphs = phase, batch_norms(self.generator)[0].steady
        there = graphs in self.compiled or not self.settings["compile"]
        self.compiled.add(graphs)
        return self.pool.map if there else map

    def count(self) -> None:
        """A step is done."""
        self.step += 1
        self.images += self.settings["batch"]
        self.follow()

    @torch.no_grad()
    def follow(self) -> None:
        """Move the running average towards the generator."""
        keep = min(self.settings["ema"], (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), self.generator_parameters, 1 - keep)

    def averaged(self) -> TrainableGenerator:
        """A copy of the averaged generator with its spectral norms brought up to date."""
        generator = copy.deepcopy(self.average)
        iterate(generator, 15)
        return generator

    def state(self) -> dict:
        """All that a resumed run needs."""
        networks = {
            name: getattr(self, name).state_dict() for name in ("generator", "discriminator", "average", "head")
        }
        optimizers = {name: getattr(self, name).state_dict() for name in OPTIMIZERS}
        return {**networks, **optimizers, **{name: getattr(self, name) for name in COUNTS}}

    def restore(self, state: dict) -> None:
        """Go on where a checkpoint was written. Learning rates come from the configuration, not from the file."""
        for name in ("generator", "discriminator", "average", "head", *OPTIMIZERS):
            getattr(self, name).load_state_dict(state[name])
        for name, optimizer in (
            ("generator", self.generator_optimizer),
            ("discriminator", self.discriminator_optimizer),
        ):
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = self.settings[f"lr_{name}"], tuple(self.settings["betas"])
        self.hold_rates()
        for name in COUNTS:
            setattr(self, name, state[name])

    def begin_from(self, folder: Path) -> list[str]:
        """Begin with the networks of an exported generator; what fits is taken, and the log says what is new.

        From a generator of the same form the count of steps, images and seconds goes on; from another it begins anew,
        with lessons in which what stands before the first new part learns slowly. The optimisers are new, and so is
        what of the discriminator is not exported: its eyes for z and for places.

        Returns:
            The names of the generator's tensors that were made new.
        """
        old = read_export(folder)
        mine, theirs = (as_config(config) for config in (self.generator.config, old.generator_config))
        new = growing.take(self.generator, old.generator, growing.generator_parts(mine, theirs))
        self.average.load_state_dict(self.generator.state_dict())
        logger.info("generator from %s, made new: %s", folder, growing.told(new))
        widths = (config["channels"] for config in (self.discriminator_config, old.discriminator_config))
        unknown = growing.take(self.discriminator, old.discriminator, growing.discriminator_parts(*widths))
        logger.info("discriminator from %s, made new: %s", folder, growing.told(unknown))
        if new:
            names = [name for name, _ in self.generator.named_parameters()]
            first = next(index for index, name in enumerate(names) if name in new)
            for group in self.generator_optimizer.param_groups[:first]:
                group["kept"] = True
            self.remember(old)
        else:
            self.step, self.images, self.seconds = old.steps, old.images, old.seconds
        for network in (self.generator, self.average, self.discriminator):
            iterate(network, 20)
        return new

    def remember(self, old: Exported) -> None:
        """Keep the generator that this one grows from beside it, where it is of another size."""
        if old.generator_config["output_dim"] == self.generator.config["output_dim"]:
            return
        self.elder = TrainableGenerator(old.generator_config)
        self.elder.load_state_dict(old.generator)
        self.elder.to(device=self.device, memory_format=torch.channels_last).requires_grad_(False)
        for layer in batch_norms(self.elder):
            layer.steady = True


def save(state: dict, path: Path) -> None:
    """Write under a temporary name, then rename: a kill leaves the old file or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def write_checkpoint(trainer: Trainer, own: dict, begun: int, folder: Path) -> None:
    """Keep what a killed training goes on from: the trainer's state, and what its script needs beside it."""
    script = trainer.settings["script"]
    save({"script": script, "begun": begun, "trainer": trainer.state(), "own": own}, folder / CHECKPOINT)


def resume(trainer: Trainer, begun: int, folder: Path) -> dict | None:
    """Go on from a folder's checkpoint, where there is one.

    Args:
        trainer: is restored.
        begun: the step at which this training began, as it was told to write_checkpoint.
        folder: of the training.

    Returns:
        What the script kept beside the trainer's state; None where there is no checkpoint.

    Raises:
        ValueError: the checkpoint is of another script's training, or of one that began from another generator.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True, map_location=trainer.device)
    if (state.get("script"), state.get("begun")) != (trainer.settings["script"], begun):
        raise ValueError(f"{path} is of another training: remove it, or train in another folder (--config work=)")
    trainer.restore(state["trainer"])
    logger.info("resumed at step %d", trainer.step)
    return state["own"]


@torch.no_grad()
def pair_sheet(generator: TrainableGenerator, pictures: Pictures, path: Path, count: int = 8) -> None:
    """The first pictures of every class, a row each, and to the right of each the sample that ought to be it."""
    device = generator.embeddings.weight.device
    latents = pictures.latents[:, :count]
    classes = torch.eye(len(latents))
    rows = []
    for index in range(latents.shape[1]):  # all classes in each batch
        fakes = generator(latents[:, index].to(device), classes.to(device)).float().cpu()
        rows += [pictures.images[:, index].float().cpu() / 127.5 - 1, fakes]
    sheet = torch.stack(rows, 1).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    Image.fromarray(((sheet + 1) * 127.5).round().clamp(0, 255).byte().numpy()).save(path)


def trim_curves(path: Path, step: int) -> None:
    """Drop what a killed run wrote after its last checkpoint."""
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n")
        return
    header, *rows = path.read_text().splitlines()
    kept = [row for row in rows if row.split(",")[0].isdigit() and int(row.split(",")[0]) <= step]
    path.write_text("\n".join([header, *kept]) + "\n")


def append_curves(path: Path, trainer: Trainer, values: list[float]) -> list[float]:
    """Add a row of the figures that COLUMNS names; returns its counts: step, images and seconds."""
    row = [trainer.step, trainer.images, round(trainer.seconds, 1)]
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(row + [round(value, 5) for value in values])
    return row


def train(trainer: Trainer, pictures: Pictures, folder: Path) -> None:
    """Train to the end that the configuration names; checkpoint, curves and sample sheets go into the folder."""
    settings = trainer.settings
    curves = folder / "curves.csv"
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    if settings["begin_from"]:
        trainer.begin_from(Path(settings["begin_from"]))
    # It may go on for longer after its export, whose steps are then not those that it began with.
    resume(trainer, 0, folder)
    trim_curves(curves, trainer.step)
    begun, before = time.monotonic(), trainer.seconds
    saved = shown = begun
    every = 20
    while trainer.images < settings["images"] and trainer.seconds < settings["minutes"] * 60:
        answers = trainer.advance(pictures)
        now = time.monotonic()
        trainer.seconds = before + now - begun
        if trainer.step % every == 0:
            values = [float(answer) for answer in answers]
            row = append_curves(curves, trainer, values)
            if trainer.step % (5 * every) == 0:
                logger.info(
                    "step %d images %d %.0f s: discriminator %.3f deceit %.3f drawn %.2f fake %.2f"
                    " pyramid %.3f lpips %.3f maps %.3f means %.3f",
                    *row,
                    *values,
                )
        if now - saved > settings["checkpoint_seconds"]:
            write_checkpoint(trainer, {}, 0, folder)
            saved = now
        if now - shown > settings["sample_seconds"]:
            pair_sheet(trainer.averaged(), pictures, folder / "samples" / f"{trainer.step:07d}.png")
            shown = now
    write_checkpoint(trainer, {}, 0, folder)
    pair_sheet(trainer.averaged(), pictures, folder / "samples" / f"{trainer.step:07d}.png")
    save(trainer.state(), folder / "final.pt")
    write(folder / "record.json", json.dumps(record(trainer, pictures), indent=2) + "\n")


def record(trainer: Trainer, pictures: Pictures) -> dict:
    """What the model card tells of a training."""
    device = trainer.settings["device"]
    return {
        "steps": trainer.step,
        "images": trainer.images,
        "hours": trainer.seconds / 3600,
        "grown": any(group["kept"] for group in trainer.generator_optimizer.param_groups),
        "script": trainer.settings["script"],
        "pictures": pictures.images.shape[:2].numel(),
        "device": device if device != "cpu" else f"CPU, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "generator_parameters": sum(parameter.numel() for parameter in trainer.generator_parameters),
        "discriminator_parameters": sum(parameter.numel() for parameter in trainer.discriminator_parameters),
    }
