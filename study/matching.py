"""A trained generator's samples get the statistics of the painted pictures, class by class.

What a z does not decide, a generator that is taught by distances replaces by what is likeliest: windows run into one
another, needles become smears, and the mean of what a network sees in the samples of a class is far from the mean of
what it sees in the pictures. Here these means are brought together (feature matching, Salimans et al. 2016; over many
batches and for second moments too, dos Santos et al. 2019, "Learning Implicit Generative Models by Matching Perceptual
Features"). The network is SqueezeNet, but for its last map, by which samples are measured. It takes a weave for grain;
hence the power spectrum is matched as well (Durall et al. 2020, "Watch your Up-Convolution"), in which grain has no
peaks. Samples and pictures have the same latents, so that the differences of a few pairs say what many unpaired ones
would.

Between classes there are no pictures. There the generator is held to what it showed before, reduced and enlarged anew
(study/enlarging.py), by which a weave is smoothed away; within them, where it has the picture itself to go by as well,
it is held so more loosely.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.enlarging import (
    Enlarger,
    border_distance,
    edges_distance,
    falling,
    mixed_classes,
    part_done,
    without_specks,
)
from study.measuring import blur, standardised
from study.networks import hold_norms, iterate
from study.painter import normal
from study.training import (
    COLUMNS,
    Pictures,
    Trainer,
    append_curves,
    displaced,
    pyramid_distance,
    resume,
    trim_curves,
    write_checkpoint,
)

logger = logging.getLogger("match")

TAPS = (1, 4, 7, 9, 10, 11)  # SqueezeNet's maps; the twelfth measures
WINDOW = 16  # px of the squares whose spectrum is taken
WEIGHTS = (0.5, 0.5, 1.0, 1.5, 1.5, 1.5, 3.0)  # of the maps, and of the spectrum
REDUCTIONS = (1, 2)  # pictures are looked at whole and reduced by so much
PLACES = ([0, 0], [3, 6], [8, 5], [5, 1], [1, 4], [6, 7])  # from which they are looked at, see training.displaced
SOFT = 0.6  # px of the blur before a sample is reduced and enlarged anew
FLAT = 0.5  # part of the matching after which its rate falls
SECOND = 0.6  # weight of second moments beside the means

Views = list[list[Tensor]]  # by reduction; then each map's features, and the spectrum


def seen(network: nn.Sequential, images: Tensor) -> list[Tensor]:
    """What images [N, 3, S, S] in [-1, 1] are compared by.

    Means and deviations over places of SqueezeNet's maps, [N, 2C] for each of TAPS, and the spectrum.
    """
    found, x = [], standardised(images).contiguous(memory_format=torch.channels_last)
    for number, layer in enumerate(network[: TAPS[-1] + 1]):
        x = layer(x)
        if number in TAPS:
            variance, mean = torch.var_mean(x.float(), (2, 3), correction=0)
            found.append(torch.cat([mean, (variance + 1e-6).sqrt()], 1))
    return [*found, spectrum(images)]


def spectrum(images: Tensor) -> Tensor:
    """The logarithm of images' power by frequency, averaged over squares: [N, 3, S, S] to [N, 144]."""
    step, window = WINDOW // 2, torch.hann_window(WINDOW, periodic=False, device=images.device)
    squares = images.float().mean(1).unfold(1, WINDOW, step).unfold(2, WINDOW, step)
    squares = (squares - squares.mean((-1, -2), keepdim=True)) * window * window[:, None]
    power = torch.fft.rfft2(squares).abs().square()
    return (power + 0.003).log().mean((1, 2)).flatten(1)  # as much as grain of 0.01 has


@dataclass(frozen=True)
class Lessons:
    """What the steps draw from, all of it made before the first."""

    pictures: Pictures
    features: list[list[Views]]  # of the pictures, by class and place, float16
    known: Tensor  # what the generator showed of the pictures' latents, enlarged anew, uint8 [classes, n, 3, S, S]
    z: Tensor  # as on a descent, [m, z_dim]
    shares: Tensor  # mixed classes, [m, classes]
    between: Tensor  # what it showed of these, enlarged anew, uint8 [m, 3, S, S]


def make_lessons(trainer: Trainer, network: nn.Sequential, enlarger: Enlarger, pictures: Pictures) -> Lessons:
    """Look at all pictures, and let the generator, as it stands, show all latents once: minutes on two cores."""
    settings, classes = trainer.settings["matching"], pictures.images.shape[0]
    generator, labels = copy.deepcopy(trainer.generator).requires_grad_(False), torch.eye(classes)

    @torch.no_grad()
    def looked_at(label: int) -> list[Views]:
        found = [[[] for _ in REDUCTIONS] for _ in PLACES]
        for part in pictures.images[label].split(32):
            images = part.float() / 127.5 - 1
            for views, place in zip(found, PLACES, strict=True):
                for view, reduction in zip(views, REDUCTIONS, strict=True):
                    with trainer.cast():
                        features = seen(network, displaced(F.avg_pool2d(images, reduction), place))
                    view.append([feature.half() for feature in features])
        return [[[torch.cat(tap) for tap in zip(*view, strict=True)] for view in views] for views in found]

    @torch.no_grad()
    def shown(latents: tuple[Tensor, Tensor]) -> Tensor:
        with trainer.cast():
            images = generator(*latents).float()
            small = F.avg_pool2d(without_specks(blur(images, SOFT)), 2)
            large = without_specks(enlarger(small.contiguous(memory_format=torch.channels_last)).float())
        return (large.clamp(-1, 1) * 127.5 + 127.5).round().byte()

    def all_shown(z: Tensor, shares: Tensor) -> Tensor:
        return torch.cat(list(trainer.pool.map(shown, zip(z.split(32), shares.split(32), strict=True))))

    features = list(trainer.pool.map(looked_at, range(classes)))
    logger.info("looked at %d pictures", pictures.images.shape[:2].numel())
    known = torch.stack([all_shown(z, labels[k].expand(len(z), -1)) for k, z in enumerate(pictures.latents)])
    dice = torch.Generator().manual_seed(1_000_000_000)  # no step has this number
    z, shares = mixed_classes(normal(dice, settings["mixtures"], pictures.latents.shape[2]), classes, dice)
    lessons = Lessons(pictures, features, known, z, shares, all_shown(z, shares))
    logger.info("showed their latents, and %d between the classes", len(z))
    return lessons


class Matcher:
    """A step's arithmetic, and how far samples are from pictures in the moments of their features, class by class."""

    def __init__(self, trainer: Trainer, network: nn.Sequential, lessons: Lessons):
        self.trainer, self.network, self.lessons = trainer, network, lessons
        self.settings = trainer.settings["matching"]
        views = [places[0] for places in lessons.features]

        def of_each(figure: Callable[[list[Tensor]], Tensor]) -> Views:
            return [
                [figure([view[r][t].float() for view in views]) for t in range(len(WEIGHTS))]
                for r in range(len(REDUCTIONS))
            ]

        self.means = of_each(lambda classes: torch.stack([features.mean(0) for features in classes]))
        self.scales = of_each(
            lambda classes: torch.stack([features.var(0).mean() for features in classes]).mean().sqrt()
        )
        # A few pairs say little; each class remembers the differences of those before, a little less at each visit.
        self.apart = [[torch.zeros(2, *means.shape) for means in taps] for taps in self.means]
        self.met = torch.zeros(len(views), dtype=torch.bool)

    def state(self) -> dict:
        """What a resumed run needs beside the trainer's state."""
        return {"apart": self.apart, "met": self.met}

    def restore(self, state: dict) -> None:
        """Go on where a checkpoint was written."""
        self.apart, self.met = state["apart"], state["met"]

    def draw(self, step: int, worker: int) -> tuple[int, Tensor, int, Tensor]:
        """A worker's class, the pictures of it, the place to look from, and the mixtures, of a step."""
        dice = torch.Generator().manual_seed(step)
        label = torch.randperm(len(self.met), generator=dice)[worker].item()
        dice.manual_seed(1_000_003 * (worker + 1) + step)
        count = self.trainer.settings["batch"] // self.trainer.settings["workers"]
        pictures = torch.randint(self.lessons.known.shape[1], (count,), generator=dice)
        place = torch.randint(len(PLACES), (1,), generator=dice).item()
        mixtures = torch.randint(len(self.lessons.z), (self.settings["mixed"],), generator=dice)
        return label, pictures, place, mixtures

    def moments(self, images: Tensor, label: int, pictures: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """How far features are from the paired pictures', pair by pair and in their moments.

        Both in units of the pictures' variance within a class, averaged over a map's channels and summed over maps.
        """
        memory = self.settings["memory"] if self.met[label] else 0.0
        pairs = together = images.new_zeros(())
        for r, reduction in enumerate(REDUCTIONS):
            with self.trainer.cast():
                found = seen(self.network, displaced(F.avg_pool2d(images, reduction), PLACES[place]))
            for t, mine in enumerate(found):
                theirs = self.lessons.features[label][place][r][t][pictures].float()
                a, b = ((x - self.means[r][t][label]) / self.scales[r][t] for x in (mine, theirs))
                pairs = pairs + WEIGHTS[t] * (a - b).square().mean()
                now = torch.stack([(a - b).mean(0), SECOND * (a.square() - b.square()).mean(0)])
                apart = self.apart[r][t][:, label].lerp_(now.detach(), 1 - memory).clone()
                together = together + WEIGHTS[t] * (apart * now).sum() / now.shape[1]
        self.met[label] = True
        return pairs, together

    def part(self, step: int, worker: int) -> tuple[tuple[Tensor, ...], Tensor]:
        """A worker's gradients, and the figures pyramid, features (pair by pair) and means (moments)."""
        lessons, settings = self.lessons, self.settings
        label, index, place, mixtures = self.draw(step, worker)
        count = len(index)
        own = F.one_hot(torch.full((count,), label), len(self.met)).float()
        z = torch.cat([lessons.pictures.latents[label, index], lessons.z[mixtures]])
        known = torch.cat([lessons.known[label, index], lessons.between[mixtures]]).float() / 127.5 - 1
        drawn = lessons.pictures.images[label, index].float() / 127.5 - 1
        with self.trainer.cast():
            shown = self.trainer.generate(z, torch.cat([own, lessons.shares[mixtures]]))
        shown = shown.float()
        pairs, together = self.moments(shown[:count], label, index, place)
        pyramid = pyramid_distance(shown[:count], drawn)
        between = between_distance(shown[count:], known[count:])
        loss = settings["weight_moments"] * together + settings["weight_pairs"] * pairs
        loss = loss + settings["weight_pyramid"] * pyramid + settings["weight_between"] * between
        loss = loss + settings["weight_known"] * pyramid_distance(shown, known) + border_distance(shown, known)
        loss = loss + settings["weight_corners"] * corners_distance(shown, known)
        gradients = torch.autograd.grad(loss, self.trainer.generator_parameters)
        return gradients, torch.stack([pyramid.detach(), pairs.detach(), together.detach()])

    def advance(self, rate: float) -> dict[str, float]:
        """One step of the generator at a learning rate; returns its figures."""
        trainer = self.trainer
        for group in trainer.generator_optimizer.param_groups:
            group["lr"] = rate
        workers = range(trainer.settings["workers"])
        answers = list(trainer.each("matching")(lambda worker: self.part(trainer.step, worker), workers))
        trainer.descend(
            trainer.generator_parameters, [gradients for gradients, _ in answers], trainer.generator_optimizer
        )
        iterate(trainer.generator)
        trainer.count()
        values = sum(values for _, values in answers) / len(answers)
        return dict(zip(("pyramid", "features", "means"), values.tolist(), strict=True))


def corners_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the four pixels in each corner, where a generator shows specks."""
    ends = torch.tensor([0, 1, -2, -1])
    return (a - b)[:, :, ends[:, None], ends].abs().mean()


def between_distance(a: Tensor, b: Tensor) -> Tensor:
    """How far images between the classes are from others: colours, edges, and what a weave adds to the spectrum."""
    return pyramid_distance(a, b) + 0.25 * edges_distance(a, b) + 0.03 * (spectrum(a) - spectrum(b)).abs().mean()


def begin(trainer: Trainer, folder: Path) -> None:
    """Begin from an exported generator of the same form; ValueError where something in it would be new."""
    if trainer.begin_from(folder):
        raise ValueError(f"{folder} has not the form of generator=: train=match goes on with one that has")


def match(trainer: Trainer, network: nn.Sequential, enlarger: Enlarger, pictures: Pictures, folder: Path) -> dict:
    """Bring a trained generator's samples to the statistics of pictures.

    Args:
        trainer: see begin. Its generator, average and counts are moved.
        network: SqueezeNet's features (measuring.SqueezeFeatures).
        enlarger: see enlarging.learn_enlarger.
        pictures: with the latents that decide them.
        folder: where the checkpoint lies, from which a killed run goes on, and the curves.

    Returns:
        Steps, images and hours of the matching alone.
    """
    settings = trainer.settings["matching"]
    hold_norms(trainer.generator)
    begun = trainer.step, trainer.images, trainer.seconds
    matcher = Matcher(trainer, network, make_lessons(trainer, network, enlarger, pictures))
    curves = folder / "curves.csv"
    if state := resume(trainer, begun[0], folder):
        matcher.restore(state)
    trim_curves(curves, trainer.step)
    saved, before = time.monotonic(), trainer.seconds
    since = saved
    while (done := part_done(trainer.step - begun[0], trainer.seconds - begun[2], settings)) < 1:
        warm = min(1.0, (trainer.step - begun[0] + 1) / 100)
        figures = matcher.advance(settings["lr"] * warm * falling(done, FLAT))
        now = time.monotonic()
        trainer.seconds = before + now - since
        if trainer.step % 20 == 0:
            append_curves(curves, trainer, [figures.get(name, 0.0) for name in COLUMNS[3:]])
        if trainer.step % 100 == 0:
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            logger.info("step %d images %d, %.0f %% done: %s", trainer.step, trainer.images, 100 * done, told)
        if now - saved > trainer.settings["checkpoint_seconds"]:
            write_checkpoint(trainer, matcher.state(), begun[0], folder)
            saved = now
    return {
        "steps": trainer.step - begun[0],
        "images": trainer.images - begun[1],
        "hours": (trainer.seconds - begun[2]) / 3600,
    }
