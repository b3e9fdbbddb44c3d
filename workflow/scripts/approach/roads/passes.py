"""The passes between arrivals: relaxed bands in the space that the generator sees, and how high they lead."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from approach.roads.band import Band, along_band, relax
from approach.roads.reach import Reach
from approach.sketch import sketch

PROFILE_POINTS = 101  # at which a relaxed band and the straight line are measured
CHUNK = 16


def find_passes(
    generator: torch.nn.Module,
    loss: Callable,
    arrivals: tuple[Tensor, Tensor],
    between: Sequence[tuple[int, int]],
    *,
    points: int,
    steps: int,
    bound: float | None,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, Tensor]:
    """The lowest ways found between arrivals, from the straight lines between them.

    Args:
        generator: of images [N, 3, S, S] from conditionings [N, D].
        loss: images to LossValues.
        arrivals: z [A, Z] and class probabilities [A, C].
        between: which two of them each way leads between.
        points: of a band, its two arrivals included.
        steps: rounds of forces.
        bound: of z: the band stays where latents lead; None leaves it free.
        report: called with the rounds done and all of them.

    Returns:
        For each of the K pairs, in the order of `between`: bands [K, P, D]; losses [K, P] at their points; mixtures
        [K, P, C], the class probabilities that give them, unless it is free; profiles [K, T], the losses at T places
        equally far apart along the band, and profile_x [K, T], the distance along it; straight [K, T], the losses along
        the straight line; saddles [K, D], the highest of those T places.
    """
    z, classes = arrivals
    ends = generator.conditioning(z, classes)
    reach = None if bound is None else Reach(generator.embedding, bound)
    found: dict[str, list[Tensor]] = {}
    for number, (a, b) in enumerate(between):
        share = torch.linspace(0, 1, points, dtype=ends.dtype, device=ends.device)[:, None]
        mixed = torch.lerp(classes[[a]], classes[[b]], share)[1:-1]
        holder = Held(reach, mixed) if reach else None

        def told(done: int, of: int, before: int = number) -> None:
            if report:
                report(before * of + done, len(between) * of)

        start = torch.lerp(ends[[a]], ends[[b]], share)
        band = relax(start, _landscape(generator, loss), steps=steps, hold=holder, report=told)
        line = along_band(band.points, PROFILE_POINTS)
        profile = values_at(generator, loss, line)
        straight = values_at(generator, loss, torch.lerp(ends[[a]], ends[[b]], _shares(ends)))
        if profile.max() > straight.max():  # the band went astray, and the line that it began as is the lowest way
            band, profile = Band(start, values_at(generator, loss, start)), straight
            line = along_band(start, PROFILE_POINTS)
            if holder:
                holder.mixtures = mixed
        length = band.points.diff(dim=0).norm(dim=1).sum()
        made = {
            "bands": band.points,
            "losses": band.values,
            "profiles": profile,
            "profile_x": length * torch.linspace(0, 1, PROFILE_POINTS, device=length.device),
            "straight": straight,
            "saddles": line[profile.argmax()],
        }
        if holder:
            made["mixtures"] = torch.cat([classes[[a]], holder.mixtures, classes[[b]]])
        for name, value in made.items():
            found.setdefault(name, []).append(value)
    return {name: torch.stack(values) for name, values in found.items()}


class Held:
    """Keeps a band where latents lead, and remembers the class probabilities that give it."""

    def __init__(self, reach: Reach, mixtures: Tensor):
        self.reach, self.mixtures = reach, mixtures

    def __call__(self, points: Tensor) -> Tensor:
        """The nearest points [N, D] that latents give."""
        points, self.mixtures = self.reach.nearest(points, self.mixtures)
        return points


@torch.inference_mode()
def values_at(generator: torch.nn.Module, loss: Callable, points: Tensor) -> Tensor:
    """The losses [N] at conditionings [N, D]."""
    return torch.cat([loss(generator(part)).total for part in points.split(CHUNK)])


def values_and_sketches_at(generator: torch.nn.Module, loss: Callable, points: Tensor) -> tuple[Tensor, Tensor]:
    """The losses [N] at conditionings [N, D], and the sketches of the pictures there."""
    found = [(loss(images).total, sketch(images)) for images in map(generator, points.split(CHUNK))]
    values, sketches = zip(*found, strict=True)
    return torch.cat(values), torch.cat(sketches)


def _shares(like: Tensor) -> Tensor:
    return torch.linspace(0, 1, PROFILE_POINTS, dtype=like.dtype, device=like.device)[:, None]


def _landscape(generator: torch.nn.Module, loss: Callable) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Losses and gradients of conditionings [N, D]."""

    def evaluate(points: Tensor) -> tuple[Tensor, Tensor]:
        values, gradients = [], []
        for part in points.split(CHUNK):
            here = part.detach().requires_grad_()
            total = loss(generator(here)).total
            gradients.append(torch.autograd.grad(total.sum(), here)[0])
            values.append(total.detach())
        return torch.cat(values), torch.cat(gradients)

    return evaluate
