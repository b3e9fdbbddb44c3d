"""Passes: the lowest way that a relaxed band finds between two points of a landscape.

A nudged elastic band with a climbing image (Henkelman, Uberuaga and Jonsson 2000) and the improved tangent (Henkelman
and Jonsson 2000). Points of the band go downhill at right angles to it, and springs along it keep them apart; where it
kinks, they pull it straight (Jonsson, Mills and Jacobsen 1998). The highest point goes uphill along the band until it
stands on the pass. Forces are averaged over the rounds and divided by their usual size, point by point, as Adam does
element by element.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# [N, D] -> values [N] and their gradients [N, D]
Landscape = Callable[[Tensor], tuple[Tensor, Tensor]]
CLIMB_FROM = 0.6  # of the steps: before that, the highest point is not yet near the pass
GOLDEN = (5**0.5 - 1) / 2  # its multiples fill an interval evenly
SHRINKS_FROM = 0.6
STIFFNESS = 1.0
BETAS, EPS = (0.7, 0.99), 1e-12


@dataclass
class Band:
    """points [P, D] from one end to the other, and their values [P]."""

    points: Tensor
    values: Tensor


def relax(
    start: Tensor,
    landscape: Landscape,
    *,
    steps: int,
    stride: float = 0.4,
    hold: Callable[[Tensor], Tensor] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Band:
    """Relax a band; its ends stay where they are.

    Args:
        start: [P, D], where the points begin; at least three.
        landscape: values and gradients of points.
        steps: rounds of forces.
        stride: about how far a point moves in a round, in mean gaps of the start; it shrinks to zero in the end.
        hold: brings inner points [P - 2, D] back to where they may be.
        report: called after each round with the rounds done and all of them.

    Returns:
        The band after the last round.
    """
    inner = start[1:-1].clone()
    longest = stride * float(torch.linalg.vector_norm(start.diff(dim=0), dim=1).mean())
    ends, _ = landscape(start[[0, -1]])
    mean, square = torch.zeros_like(inner), torch.zeros_like(inner)
    for step in range(steps + 1):
        climbs = step >= CLIMB_FROM * steps
        points = torch.cat([start[:1], inner, start[-1:]])
        # Until the highest point stands on a pass, forces are taken at places between the points: a ridge that two
        # points have between them would not be seen from either.
        values, gradients = landscape(inner if climbs else between(points, (step * GOLDEN) % 1 - 0.5))
        heights = torch.cat([ends[:1], values, ends[1:]])
        if step == steps:
            return Band(points, heights)
        pull = forces(points, heights, gradients, climb=climbs)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * pull
        square = BETAS[1] * square + (1 - BETAS[1]) * pull.square()
        even = (square.sum(1, keepdim=True) / (1 - BETAS[1] ** (step + 1))).sqrt()
        left = min(1.0, (1 - step / steps) / (1 - SHRINKS_FROM))
        inner = inner + longest * left * (mean / (1 - BETAS[0] ** (step + 1))) / (even + EPS)
        if hold:
            inner = hold(inner)
        if report:
            report(step + 1, steps)
    raise ValueError(f"steps={steps}: a band is relaxed in 0 rounds or more")


def forces(points: Tensor, values: Tensor, gradients: Tensor, *, climb: bool) -> Tensor:
    """What moves the inner points of a band.

    Args:
        points: [P, D], ends included.
        values: [P].
        gradients: of the inner points [P - 2, D].
        climb: the highest inner point feels no spring, and goes uphill along the band.

    Returns:
        [P - 2, D].
    """
    along = tangents(points, values)
    downhill = -gradients
    slope = (downhill * along).sum(1, keepdim=True)
    gaps = torch.linalg.vector_norm(points.diff(dim=0), dim=1)
    # Springs are as stiff as the landscape is steep, so that neither outweighs the other whatever the loss's scale.
    stiff = STIFFNESS * gradients.norm(dim=1).mean() / gaps.mean().clamp_min(1e-12)
    spring = stiff * gaps.diff()[:, None] * along
    forward, backward = points[2:] - points[1:-1], points[1:-1] - points[:-2]
    cosine = F.cosine_similarity(forward, backward, dim=1)[:, None]
    bend = stiff * (forward - backward)
    kink = (1 + torch.cos(torch.pi * cosine.clamp_min(0))) / 2
    straighten = kink * (bend - (bend * along).sum(1, keepdim=True) * along)
    pull = downhill - slope * along + spring + straighten
    if climb:
        top = int(values[1:-1].argmax())
        if values[1:-1][top] > max(values[0], values[-1]):
            pull[top] = downhill[top] - 2 * slope[top] * along[top]
    return pull


def between(points: Tensor, share: float) -> Tensor:
    """The inner points [P - 2, D] of a band, shifted by a share (-1 to 1) of the way to the next point, or the last."""
    other = points[2:] if share > 0 else points[:-2]
    return torch.lerp(points[1:-1], other, abs(share))


def tangents(points: Tensor, values: Tensor) -> Tensor:
    """Unit tangents [P - 2, D] of a band's inner points: towards the higher neighbour, mixed at tops and hollows."""
    forward, backward = points[2:] - points[1:-1], points[1:-1] - points[:-2]
    rise, fall = values[2:] - values[1:-1], values[1:-1] - values[:-2]
    most, least = torch.maximum(rise.abs(), fall.abs()), torch.minimum(rise.abs(), fall.abs())
    next_higher = values[2:] > values[:-2]
    mixed = forward * torch.where(next_higher, most, least)[:, None]
    mixed = mixed + backward * torch.where(next_higher, least, most)[:, None]
    climbing, descending = (rise > 0) & (fall > 0), (rise < 0) & (fall < 0)
    along = torch.where(climbing[:, None], forward, torch.where(descending[:, None], backward, mixed))
    return along / along.norm(dim=1, keepdim=True).clamp_min(1e-12)


def along_band(points: Tensor, count: int) -> Tensor:
    """`count` points [count, D], equally far apart along the band's straight pieces, ends included."""
    places = torch.cat([points.new_zeros(1), points.diff(dim=0).norm(dim=1).cumsum(0)])
    wanted = torch.linspace(0, 1, count, dtype=points.dtype, device=points.device) * places[-1]
    after = torch.searchsorted(places, wanted, right=True).clamp(1, len(points) - 1)
    length = (places[after] - places[after - 1]).clamp_min(1e-12)
    return torch.lerp(points[after - 1], points[after], ((wanted - places[after - 1]) / length)[:, None])
