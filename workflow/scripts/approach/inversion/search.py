"""The search of an inversion: a seed is a pool of random starts, and those that come near are gone on with.

A pool of one, in one stage, is plain gradient descent. With more, the points of a seed's pool are looked at (forward
only), the nearest become its members, all members descend together, and at the end of each stage the farthest are
dropped: successive halving (Jamieson and Talwalkar 2016). What is dropped is noted, with its last latents, and of the
nearest that a seed drops at a time the whole way is kept; the member that is left has its whole trajectory. All is
decided seed by seed, so a seed depends on nothing but itself.
"""

import logging
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.inversion.descent import State, descend
from approach.inversion.starts import Latents, start
from approach.stages import legs_of, looks, stages_of

logger = logging.getLogger(__name__)

PARTS = ("z", "classes", "sketches", "log")  # of a state, that have a row for each step


def begin_search(seeds: list[int], search: dict, steps: int, columns: int, draw: Callable) -> State:
    """The state before the first step, or before the pool was looked at.

    Args:
        seeds: N of them.
        search: the configuration's.
        steps: updates in the whole inversion.
        columns: of the log.
        draw: of seeds and orders, equally many, gives their Latents.
    """
    members, end = stages_of(search, steps)[0]
    if looks(search):
        state = State.begin(draw(seeds[:1], [0]), steps, columns, rows=1)
        state.looked = torch.full((len(seeds), search["pool"]), math.nan)
        return state
    orders = torch.arange(members).repeat(len(seeds), 1)
    return members_from(orders, seeds, steps, columns, end, draw)


def members_from(orders: Tensor, seeds: list[int], steps: int, columns: int, rows: int, draw: Callable) -> State:
    """The state of members [N, m], given by their orders among the random starts of their seeds."""
    owners = torch.arange(len(seeds)).repeat_interleave(orders.shape[1])
    orders = orders.flatten()
    latents = draw([seeds[owner] for owner in owners.tolist()], orders.tolist())
    return State.begin(latents, steps, columns, owners=owners, orders=orders, rows=rows)


def draw_starts(
    config: dict, truncation: float, z_dim: int, names: list[str], to_latents: Callable[[Latents], Latents]
) -> Callable[[list[int], list[int]], Latents]:
    """The function `draw` of begin_search, for the configuration's `start`."""

    def draw(seeds: list[int], orders: list[int]) -> Latents:
        drawn = [
            start(seed, order, config, truncation, z_dim, names) for seed, order in zip(seeds, orders, strict=True)
        ]
        return to_latents(Latents(*(torch.stack(part) for part in zip(*drawn, strict=True))))

    return draw


def embedded(latents: Latents, embedding: Tensor, temperature: float) -> Latents:
    """The same points with the class embedding itself, [N, E], in the place of the logits."""
    shares = torch.softmax(latents.logits / temperature, dim=1)
    return Latents(latents.z, F.linear(shares.to(embedding), embedding).to(latents.z.dtype))


def run_search(
    generator: Callable,
    losses: list[Callable],
    state: State,
    seeds: list[int],
    *,
    search: dict,
    steps: int,
    columns: int,
    draw: Callable[[list[int], list[int]], Latents],
    classes: str,
    temperature: float,
    micro_batch: int,
    after_look: Callable[[State], None],
    **options,
) -> State:
    """Look at the pool, then descend stage by stage; the state is changed in place.

    With several destinations the search has one stage, and its steps are shared: where it arrived at one destination,
    it sets out for the next with an optimizer that remembers nothing.

    Args:
        generator: as in descend.
        losses: as in descend, one for each destination.
        state: where to begin, or to go on.
        seeds: the batch's.
        search: the configuration's.
        steps: updates in the whole inversion.
        columns: of the log.
        draw: as in begin_search.
        classes: as in descend.
        temperature: as in descend.
        micro_batch: members per forward pass.
        after_look: called with the state when some more of the pool were looked at.
        options: what else descend wants.
    """
    stages = stages_of(search, steps)
    if state.looked is not None:
        look(generator, losses[0], state, seeds, draw, classes, temperature, micro_batch, after_look)
        nearest = state.looked.nan_to_num(nan=math.inf).argsort(dim=1, stable=True)[:, : stages[0][0]]
        vars(state).update(vars(members_from(nearest, seeds, steps, columns, stages[0][1], draw)))
        logger.info("looked at %d starts a seed; %d members begin", search["pool"], stages[0][0])
    for members, end in stages:
        if state.step >= end:
            continue
        drop(state, members, end, len(seeds))
        for loss, (begin, leg_end) in zip(losses, legs_of(len(losses), steps), strict=True):
            if state.step >= min(end, leg_end):
                continue
            if state.step == begin:
                state.adam = None
            descend(generator, loss, state, seeds, steps=steps, temperature=temperature, micro_batch=micro_batch,
                    classes=classes, until=min(end, leg_end), legs=len(losses), **options)  # fmt: skip
    return state


def look(
    generator: Callable, loss: Callable, state: State, seeds: list[int], draw: Callable, classes: str,
    temperature: float, micro_batch: int, after_look: Callable[[State], None],
) -> None:  # fmt: skip
    """Evaluate what of the pool was not yet looked at."""
    pool = state.looked.shape[1]
    while state.seen < state.looked.numel():
        owner, first = divmod(state.seen, pool)
        orders = list(range(first, min(first + micro_batch, pool)))
        points = draw([seeds[owner]] * len(orders), orders)
        shares = points.logits if classes == "embedding" else torch.softmax(points.logits / temperature, dim=1)
        with torch.no_grad():
            found = loss(generator(generator.conditioning(points.z, shares))).total
        state.looked[owner, orders] = found.float().cpu()
        state.seen += len(orders)
        after_look(state)


def drop(state: State, members: int, rows: int, seeds: int) -> None:
    """Keep the nearest `members` of each seed, in place and in that order, with room for so many rows."""
    each = len(state.owners) // seeds
    index = torch.arange(len(state.owners))
    if members < each:
        losses = torch.where(state.alive, state.log[:, state.step - 1, 0], math.inf)
        losses = losses.double().cpu().nan_to_num(nan=math.inf).view(seeds, each)
        order = losses.argsort(dim=1, stable=True)
        index = (order[:, :members] + torch.arange(seeds)[:, None] * each).flatten()
        gone = (order[:, members:] + torch.arange(seeds)[:, None] * each).flatten()
        state.dropped += [
            [int(state.owners[row]), int(state.orders[row]), state.step, float(losses.flatten()[row])] for row in gone
        ]
        nearest = set(order[:, members].add(torch.arange(seeds) * each).tolist())
        state.followed += [way_of(state, row, 0 if row in nearest else state.step - 1) for row in gone.tolist()]
        kept = losses.flatten()[index]
        logger.info("step %d: %d of %d members a seed go on, with losses of %.4g to %.4g; %.4g and more were dropped",
                    state.step, members, each, kept.min(), kept.max(), losses.flatten()[gone].min())  # fmt: skip
    if members < each or state.z.shape[1] < rows:
        take(state, index, rows)


def way_of(state: State, row: int, first: int) -> dict:
    """A member's rows up to the step, from the first wanted, with its seed and its order."""
    rows = {name: getattr(state, name)[row, first : state.step].cpu().clone() for name in PARTS}
    return {"owner": int(state.owners[row]), "order": int(state.orders[row]), **rows}


def take(state: State, index: Tensor, rows: int) -> None:
    """Keep the members at index, in place, with room for so many rows."""
    there = index.to(state.z.device)
    for name in PARTS:
        old = getattr(state, name)[there]
        new = old.new_full((len(index), rows, old.shape[2]), math.nan if name == "log" else 0.0)
        new[:, : old.shape[1]] = old
        setattr(state, name, new)
    for name in ("alive", "last_step"):
        setattr(state, name, getattr(state, name)[there])
    for name in ("latents", "previous"):
        setattr(state, name, Latents(*(part[there] for part in getattr(state, name))))
    count = len(state.owners)
    state.owners, state.orders = state.owners[index], state.orders[index]
    if state.adam is not None:
        for moments in state.adam["state"].values():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.dim() and len(value) == count:
                    moments[name] = value[index.to(value.device)]
