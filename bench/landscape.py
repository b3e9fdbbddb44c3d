"""What the searches of bench/search.py look at: one generator, many targets, an objective with its gradient.

Points are conditionings [n, 256]: z beside the class embedding. Each has its own target, so that all runs of a method
on all targets go through the networks together.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.biggan.config import GeneratorConfig, read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import Generator, load_generator
from approach.biggan.pointwise import missing_compiler
from approach.biggan.precision import set_matrix_precision
from approach.biggan.sampling import truncated_normal
from approach.biggan.stand_in import seeded_state
from approach.losses.discriminator import load_discriminator
from approach.losses.losses import _ssim_term, build_loss
from approach.losses.perceptual import Perceptual
from approach.target import Target, prepare_target

logger = logging.getLogger("bench")

OBJECTIVES = {"l1-lpips": {"l1": 1.0, "lpips": 10.0}, "l1-ssim": {"l1": 1.0, "ssim": 0.5}}
OWN_SEED, UNSEEN_SEED = 71_000, 72_000


def read_generator(folder: Path) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Configuration and weights of a folder; of a configuration file alone, with seeded weights."""
    if folder.is_file():
        config = read_config(folder)
        return config, seeded_state(config, power_iterations=5)
    config = read_config(folder / "config.json")
    return config, read_weights(folder / "generator.safetensors", config)


def pixels_of(picture: Path, size: int) -> Tensor:
    """A picture file as [3, S, S] in [-1, 1]."""
    square = prepare_target(picture, size).convert("RGB")
    values = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8).view(size, size, 3)
    return values.permute(2, 0, 1) / 127.5 - 1


def own_samples(generator: Generator, count: int) -> Tensor:
    """Pictures [count, 3, S, S] by the generator itself; the classes take turns."""
    random = torch.Generator().manual_seed(OWN_SEED)
    z = truncated_normal((count, generator.config.z_dim), generator.truncation, random)
    labels = torch.randperm(generator.config.num_classes, generator=random)
    labels = labels[torch.arange(count) % generator.config.num_classes]
    classes = F.one_hot(labels, generator.config.num_classes).float()
    device = generator.embedding.device
    with torch.no_grad():
        return generator(generator.conditioning(z.to(device), classes.to(device)))


def unseen_pictures(size: int, count: int) -> Tensor:
    """Pictures [count, 3, S, S] by the painter that drew the study generator's world, of seeds it never trained on."""
    from study.painter import CLASSES, LATENTS, normal, paint  # noqa: PLC0415 - the study lies beside the pipeline

    random = torch.Generator().manual_seed(UNSEEN_SEED)
    labels = torch.randperm(len(CLASSES), generator=random).tolist()
    drawn = [
        paint(labels[index % len(CLASSES)], normal(random, 1, LATENTS), seed=UNSEEN_SEED + index, size=size)
        for index in range(count)
    ]
    return torch.cat(drawn).float() / 127.5 - 1


@dataclass
class Landscape:
    """Generator, LPIPS network and targets [T, 3, S, S]; chunk points go through the networks at a time."""

    generator: Generator
    perceptual: Perceptual | None
    names: list[str]
    targets: Tensor
    terms: dict[str, float]
    chunk: int
    device: str
    precision: str
    units: float = 0.0
    features: list[Tensor] = field(default_factory=list)

    def __post_init__(self):
        if "lpips" in self.terms:
            with torch.no_grad():
                parts = [self.perceptual.features(part) for part in self.targets.split(self.chunk)]
            self.features = [torch.cat(layer) for layer in zip(*parts, strict=True)]

    @property
    def edge(self) -> float:
        """How far z may lie from 0."""
        return 2 * self.generator.truncation

    def objective(self, images: Tensor, which: Tensor) -> Tensor:
        """The weighted sum [n] of the terms of images [n, 3, S, S] against targets which [n]."""
        goals = self.targets[which]
        total = 0
        for name, weight in self.terms.items():
            if name == "l1":
                value = (images - goals).abs().mean((1, 2, 3))
            elif name == "ssim":
                value = _ssim_term(goals)(images)
            else:
                value = self.perceptual.distance(images, [layer[which] for layer in self.features])
            total = total + weight * value
        return total

    def parts(self, points: Tensor, which: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Points and their targets in parts of nearly equal size."""
        count = -(-len(points) // self.chunk)
        return zip(points.tensor_split(count), which.tensor_split(count), strict=True)

    def values(self, points: Tensor, which: Tensor) -> Tensor:
        """The objective [n] of points [n, 256]; a third of a unit each."""
        self.units += len(points) / 3
        with torch.no_grad():
            found = [self.objective(self.generator(part), goal) for part, goal in self.parts(points, which)]
        return torch.cat(found)

    def distances(self, points: Tensor, which: Tensor) -> Tensor:
        """How far [n] the images of points [n, 256] are from targets which [n], by L2; a third of a unit each."""
        self.units += len(points) / 3
        with torch.no_grad():
            found = [(self.generator(part) - self.targets[goal]).square().mean((1, 2, 3))
                     for part, goal in self.parts(points, which)]  # fmt: skip
        return torch.cat(found)

    def gradients(self, points: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The objective [n] of points [n, 256] and its gradient [n, 256]; a unit each."""
        self.units += len(points)
        values, gradients = [], []
        for part, goal in self.parts(points, which):
            leaf = part.detach().requires_grad_()
            value = self.objective(self.generator(leaf), goal)
            gradients.append(torch.autograd.grad(value.sum(), leaf)[0])
            values.append(value.detach())
        return torch.cat(values), torch.cat(gradients)


def open_landscape(
    folder: Path,
    backbone: Path | None,
    paintings: dict[str, Path],
    *,
    own: int = 20,
    unseen: int = 10,
    objective: str = "l1-lpips",
    device: str = "cpu",
    precision: str = "float32",
    chunk: int | None = None,
    compiled: bool = False,
) -> Landscape:
    """The generator of a folder, and its targets: paintings by name, own samples, unseen pictures of the painter."""
    set_matrix_precision(precision, device)
    config, weights = read_generator(folder)
    generator = load_generator(weights, config, truncation=1.0, device=device, precision=precision)
    perceptual = Perceptual("squeeze", backbone, device=device) if backbone else None
    size = config.output_dim
    named = {name: pixels_of(path, size) for name, path in paintings.items()}
    names = [*named, *(f"own-{index}" for index in range(own)), *(f"unseen-{index}" for index in range(unseen))]
    parts = [picture[None].to(device) for picture in named.values()]
    set_matrix_precision("float32", device)
    parts += [own_samples(generator, own)] if own else []
    set_matrix_precision(precision, device)
    parts += [unseen_pictures(size, unseen).to(device)] if unseen else []
    chunk = chunk or (8 if device == "cpu" else max(64, 2048 * 64**2 // size**2))
    landscape = Landscape(
        generator, perceptual, names, torch.cat(parts), OBJECTIVES[objective], chunk, device, precision
    )
    set_compiled(landscape, compiled and not missing_compiler(torch.device(device)))
    return landscape


def set_compiled(landscape: Landscape, on: bool) -> None:
    """Run the networks' norms and comparisons compiled, or not."""
    landscape.generator.set_compiled(on)
    if landscape.perceptual:
        landscape.perceptual.set_compiled(on)


@contextmanager
def exactly(landscape: Landscape) -> Iterator[None]:
    """Compute in float32, whatever the searches do; and uncompiled: the shapes differ, and each would be compiled."""
    compiled = landscape.generator.compiled
    set_matrix_precision("float32", landscape.device)
    set_compiled(landscape, False)
    yield
    set_compiled(landscape, compiled)
    set_matrix_precision(landscape.precision, landscape.device)


def warm_up(landscape: Landscape) -> None:
    """Compile and choose kernels before anything counts; where compiling fails, go on without."""
    points = torch.zeros(landscape.chunk, 2 * landscape.generator.config.z_dim, device=landscape.device)
    which = torch.zeros(landscape.chunk, dtype=torch.long, device=landscape.device)
    began = time.perf_counter()
    try:
        landscape.gradients(points, which)
    except Exception as error:
        if not landscape.generator.compiled:
            raise
        logger.warning("compiling failed (%s): going on without", str(error).splitlines()[0][:200])
        set_compiled(landscape, False)
        landscape.gradients(points, which)
    wait(landscape.device)
    first, began = time.perf_counter() - began, time.perf_counter()
    landscape.gradients(points, which)
    wait(landscape.device)
    logger.info("first call %.1f s; %.0f units a second", first, len(points) / (time.perf_counter() - began))
    landscape.units = 0.0


def wait(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class Yardstick:
    """One float32 evaluation for every arrival: the objective's terms, and metrics that nobody descended."""

    def __init__(self, landscape: Landscape, discriminator: Path | None, second: Path | None, net: str = "alex"):
        self.discriminator, self.device = None, landscape.device
        if discriminator and discriminator.is_file():
            self.discriminator = load_discriminator(discriminator, discriminator.with_suffix(".json"))
            self.discriminator = self.discriminator.to(landscape.device)
        self.second = Perceptual(net, second, device=landscape.device) if second else None
        self.net = net

    def measure(self, landscape: Landscape, points: Tensor, which: Tensor) -> list[dict[str, float]]:
        """What _measure says, computed in float32."""
        with exactly(landscape):
            return self._measure(landscape, points, which)

    def _measure(self, landscape: Landscape, points: Tensor, which: Tensor) -> list[dict[str, float]]:
        """Of points [n, 256] against targets which [n]: the objective, l1, lpips, l2, ssim, and what has a net."""
        rows: list[dict[str, float]] = [{} for _ in points]
        for target in which.unique().tolist():
            places = (which == target).nonzero().flatten()
            pixels = landscape.targets[target]
            goal = Target(pixels, torch.ones_like(pixels[:1]))
            kinds = ["l1", "l2", "ssim"] + (["lpips"] if landscape.perceptual else [])
            kinds += ["discriminator"] if self.discriminator else []
            terms = dict.fromkeys(kinds, 1.0)
            loss = build_loss(
                {"name": "yardstick", "terms": terms}, goal, perceptual=landscape.perceptual,
                discriminator=self.discriminator, device=landscape.device,
            )  # fmt: skip
            for part in places.split(landscape.chunk):
                with torch.no_grad():
                    images = landscape.generator(points[part])
                    found = dict(loss(images).terms)
                    if self.second:
                        found[f"lpips-{self.net}"] = self.second.distance(images, pixels[None])
                found["objective"] = sum(weight * found[name] for name, weight in landscape.terms.items())
                table = {name: value.tolist() for name, value in found.items()}
                for place, row in enumerate(part.tolist()):
                    rows[row] = {name: values[place] for name, values in table.items()}
        return rows
