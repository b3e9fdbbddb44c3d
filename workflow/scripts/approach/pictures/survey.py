"""The loss on the plane through a film's three arrivals, in the space that the generator sees (256-d conditioning).

Three points define a plane exactly, so the arrivals lie on it and everything else is seen from it. Computing the
surface and drawing it are two programs with a file between them (after Li et al. 2018, "Visualizing the Loss Landscape
of Neural Nets").
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline

from approach.film.render import chunk, conditioning_at

ASPECT = 1.5  # width of the window over its height
MARGIN = 0.38  # around the arrivals, in parts of their longest distance
PROFILE_POINTS = 41
MEASURED = 4  # every fourth point of a profile is computed; between them it follows the surface
PAIRS = ((0, 1), (1, 2), (2, 0))


@torch.inference_mode()
def survey(
    generator: torch.nn.Module,
    loss: Callable,
    trajectories: Sequence[tuple[np.ndarray, np.ndarray]],
    grid: int,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Survey the plane of three arrivals.

    Args:
        generator: of images [N, 3, S, S].
        loss: images to LossValues (losses.Loss).
        trajectories: z [S+1, 128] and classes [S+1, C] of each of the three.
        grid: points along the window's longer side; points are equally far apart along both.
        report: called now and then with the points done and all points.

    Returns:
        x [W], y [H]: coordinates on the plane, in units of the conditioning; surface [H, W]: the loss there;
        arrivals [3, 2]; trajectory_1..trajectory_3 [S+1, 3]: x, y, and the distance from the plane; profile_x [3, T]:
        distance along the straight line between arrivals 1-2, 2-3, 3-1; profiles [3, T]: the loss there.
    """
    # Float64 only after .cpu(): Apple's MPS has none.
    passed = [
        conditioning_at(generator, z, classes, np.arange(len(z))).cpu().double().numpy() for z, classes in trajectories
    ]
    ends = np.stack([points[-1] for points in passed])
    origin, axes = plane(ends)
    seen = [(points - origin) @ axes.T for points in passed]
    off = [np.linalg.norm(points - origin - flat @ axes, axis=1) for points, flat in zip(passed, seen, strict=True)]
    arrivals = np.stack([flat[-1] for flat in seen])
    x, y = window(arrivals, grid)
    mesh = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) @ axes + origin
    lines = np.stack([np.linspace(ends[a], ends[b], PROFILE_POINTS) for a, b in PAIRS])
    points = np.concatenate([mesh, *lines[:, ::MEASURED]])
    device = next(generator.buffers()).device
    values = []
    batch = chunk(device)
    for begin in range(0, len(points), batch):
        part = torch.as_tensor(points[begin : begin + batch], dtype=torch.float32, device=device)
        values.append(loss(generator(part)).total.cpu().double().numpy())
        if report:
            report(min(begin + batch, len(points)), len(points))
    values = np.concatenate(values)
    surface = values[: len(mesh)].reshape(len(y), len(x))
    profiles = _profiles(x, y, surface, (lines - origin) @ axes.T, values[len(mesh) :].reshape(len(PAIRS), -1))
    lengths = np.array([np.linalg.norm(ends[b] - ends[a]) for a, b in PAIRS])
    return {
        "x": x,
        "y": y,
        "surface": surface,
        "arrivals": arrivals,
        **{
            f"trajectory_{number}": np.column_stack([flat, away])
            for number, (flat, away) in enumerate(zip(seen, off, strict=True), start=1)
        },
        "profile_x": lengths[:, None] * np.linspace(0, 1, PROFILE_POINTS),
        "profiles": profiles,
    }


def _profiles(x: np.ndarray, y: np.ndarray, surface: np.ndarray, lines: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The loss along lines [L, T, 2] on the plane: the drawn surface, put right by what is `known` [L, K] there."""
    seen = RectBivariateSpline(y, x, surface)(lines[..., 1], lines[..., 0], grid=False)
    places = np.arange(lines.shape[1])
    off = known - seen[:, ::MEASURED]
    return seen + np.stack([np.interp(places, places[::MEASURED], one) for one in off])


def plane(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane through three points.

    The origin is their mean and the first axis follows the longest side. Where the points lie on a line or on one
    another, the missing directions are any that are at right angles.

    Args:
        ends: [3, D].

    Returns:
        Origin [D] and two orthonormal axes [2, D].
    """
    sides = [ends[b] - ends[a] for a, b in PAIRS]
    longest = max(range(3), key=lambda side: np.linalg.norm(sides[side]))
    a, b = PAIRS[longest]
    third = ends[3 - a - b] - ends[a]
    axes: list[np.ndarray] = []
    for wanted in (ends[b] - ends[a], third, *np.eye(ends.shape[1])):
        rest = wanted - sum((wanted @ axis) * axis for axis in axes)
        if np.linalg.norm(rest) > 1e-6 * max(1.0, np.linalg.norm(wanted)) and len(axes) < 2:
            axes.append(rest / np.linalg.norm(rest))
    return ends.mean(axis=0), np.stack(axes)


def window(arrivals: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x [W] and y [H] of a window around arrivals [3, 2], `grid` points along its longer side."""
    low, high = arrivals.min(axis=0), arrivals.max(axis=0)
    longest = max(np.linalg.norm(arrivals[b] - arrivals[a]) for a, b in PAIRS) or 1.0
    half_width = (high[0] - low[0]) / 2 + MARGIN * longest
    half_height = (high[1] - low[1]) / 2 + MARGIN * longest
    half_width = max(half_width, ASPECT * half_height)
    middle = (low + high) / 2
    count_y = round((grid - 1) / ASPECT) + 1
    step = 2 * half_width / (grid - 1)
    x = middle[0] + step * (np.arange(grid) - (grid - 1) / 2)
    return x, middle[1] + step * (np.arange(count_y) - (count_y - 1) / 2)
