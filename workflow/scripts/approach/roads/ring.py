"""Rings: trajectories joined at their arrivals and at their starts, so that a channel comes back to where it began.

From the first start to its arrival, over the pass to the next arrival, back along that trajectory to its start, and on
to the next start, or to the first. So every trajectory is seen once, and none runs to and fro. No torch.
"""

from collections.abc import Mapping, Sequence

import numpy as np

PIECES = 8  # into which the way from one point of a pass to the next is cut: a picture can change much on it
LINE = 97  # latents of a straight line, its ends included

# z [N, Z] and classes [N, C] of one way; between two of its latents the conditioning is mixed linearly
Latents = tuple[np.ndarray, np.ndarray]


def join_ring(
    trajectories: Sequence[Latents], passes: Sequence[Latents], labels: Sequence[str]
) -> tuple[Latents, list[int], list[dict]]:
    """One channel's ring.

    Args:
        trajectories: an even number of them, from start to arrival.
        passes: of every two, the way from the arrival of the first to that of the second, both included.
        labels: what the trajectories are called.

    Returns:
        The latents of all its steps, of which the last is the first again; the steps of starts and arrivals, in order
        and with the last step; and of each step {label, place, member: the trajectory's number or None, at: its step}.
    """
    parts, stops, told, count = [], [], [], len(trajectories)

    def follow(number: int, steps: range) -> None:
        way = trajectories[number]
        stops.append(len(told))
        parts.append(tuple(part[steps] for part in way))
        told.extend({"label": labels[number], "place": f"step {at}", "member": number, "at": at} for at in steps)
        stops.append(len(told) - 1)

    def cross(way: Latents, one: int, other: int, place: str) -> None:
        parts.append(tuple(part[1:-1] for part in way))
        said = {"label": f"{labels[one]} to {labels[other]}", "place": place, "member": None, "at": None}
        told.extend([said] * len(parts[-1][0]))

    for there in range(0, count, 2):
        back, on = there + 1, (there + 2) % count
        follow(there, range(len(trajectories[there][0])))
        cross(passes[there // 2], there, back, "between arrivals")
        follow(back, range(len(trajectories[back][0]) - 1, -1, -1))
        cross(straight(trajectories[back], trajectories[on], 0), back, on, "between starts")
    parts.append(tuple(part[:1] for part in trajectories[0]))
    told.append(told[0])
    stops.append(len(told) - 1)
    z, classes = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    return (z, classes), stops, told


def straight(one: Latents, other: Latents, at: int = -1) -> Latents:
    """The straight line between the same step, by default the arrival, of two trajectories."""
    share = np.linspace(0, 1, LINE)[:, None]
    z, classes = ((1 - share) * a[at] + share * b[at] for a, b in zip(one, other, strict=True))
    return z.astype(np.float32), classes.astype(np.float32)


def pass_latents(found: Mapping[str, np.ndarray], number: int, z_dim: int) -> Latents:
    """The latents of a pass in passes.safetensors: its class mixtures, or where it is free its class embeddings."""
    band = found["bands"][number]
    classes = found["mixtures"][number] if "mixtures" in found else band[:, z_dim:]
    return finer(band[:, :z_dim]), finer(classes)


def finer(points: np.ndarray) -> np.ndarray:
    """The points [P, D] of a band with those between them, PIECES to a gap."""
    share = np.arange(PIECES)[:, None] / PIECES
    gaps = points[:-1, None] * (1 - share) + points[1:, None] * share
    return np.concatenate([gaps.reshape(-1, points.shape[1]), points[-1:]]).astype(np.float32)


def ring_sketches(told: Sequence[dict], known: Sequence[np.ndarray], crossed: np.ndarray) -> np.ndarray:
    """The sketches of a ring's steps, [N, 512].

    Args:
        told: as `join_ring` gives it.
        known: of each trajectory, those of its steps.
        crossed: those of the steps between trajectories.
    """
    between = iter(crossed)
    return np.stack([next(between) if said["member"] is None else known[said["member"]][said["at"]] for said in told])


def ring_rows(
    seed: int,
    told: Sequence[dict],
    classes: np.ndarray,
    logged: Sequence[Mapping[int, Mapping]],
    crossed: Sequence[float],
    names: Sequence[str],
) -> list[dict]:
    """The rows of ring.csv for one channel: {seed, step, label, place, loss, top_class}.

    Args:
        seed: under which the ring is found in its file.
        told: as `join_ring` gives it.
        classes: [N, C] of its steps.
        logged: of each trajectory, what was logged at its steps: loss and top_class.
        crossed: the losses at the steps between trajectories.
        names: of the classes; where the class embedding moves freely, none is named between trajectories.
    """
    rows, between = [], iter(crossed)
    for step, said in enumerate(told):
        row = {"seed": seed, "step": step, "label": said["label"], "place": said["place"]}
        if said["member"] is None:
            top = names[int(classes[step].argmax())] if classes.shape[1] == len(names) else ""
            rows.append({**row, "loss": next(between), "top_class": top})
        else:
            known = logged[said["member"]][said["at"]]
            rows.append({**row, "loss": known["loss"], "top_class": known["top_class"]})
    return rows
