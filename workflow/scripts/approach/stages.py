"""What a search does when: the stages in which its members descend, and the learning rate. No torch: it is planned."""

import math


def stages_of(search: dict, steps: int) -> list[tuple[int, int]]:
    """The stages of a search in so many steps.

    Args:
        search: its `stages` are [members, length]; the lengths are relative.
        steps: updates in the whole inversion, at least as many as there are stages.

    Returns:
        (members, end) of each: the stage computes the rows up to `end`, which is not one of them.
    """
    stages, ends, done = search["stages"], [], 0.0
    total = sum(length for _, length in stages)
    for number, (members, length) in enumerate(stages):
        done += length
        least, most = (ends[-1][1] if ends else 0) + 1, steps - (len(stages) - 1 - number)
        ends.append((members, min(max(least, round(steps * done / total)), most)))
    return [*ends[:-1], (stages[-1][0], steps + 1)]


def units_of(search: dict, steps: int) -> float:
    """What a seed takes, in images forward and backward; an image forward alone is a third of one."""
    rows = begun = 0
    for members, end in stages_of(search, steps):
        rows, begun = rows + members * (end - begun), end
    return rows + (search["pool"] / 3 if looks(search) else 0)


def looks(search: dict) -> bool:
    """Whether a pool is looked at before anything moves."""
    return search["pool"] > search["stages"][0][0]


def rate(step: int, steps: int, warmup: float, decay: float) -> float:
    """The learning rate's factor at a step: linear rise over warmup, cosine fall over decay (shares of the steps)."""
    at = step / steps
    fall = min(1.0, (1 - at) / decay) if decay else 1.0
    rise = min(1.0, (step + 1) / (steps * warmup)) if warmup else 1.0
    return rise * (0.5 - 0.5 * math.cos(math.pi * fall))


def rate_at(step: int, steps: int, optimizer: dict, legs: int = 1) -> float:
    """The learning rate's factor at a step of an inversion.

    Its schedule is that of all steps, or of each leg's where it has several destinations, or it begins anew in each
    `period` of them (warm restarts, Loshchilov and Hutter 2017).
    """
    begin, end = next(leg for leg in legs_of(legs, steps) if leg[0] <= step < leg[1])
    step, steps = step - begin, min(end, steps) - begin
    period = optimizer.get("period")
    step, steps = (step % period, period) if period else (step, steps)
    return rate(step, steps, optimizer["warmup"], optimizer["decay"])


def legs_of(count: int, steps: int) -> list[tuple[int, int]]:
    """The legs of a trajectory with so many destinations, which share its steps evenly.

    Returns:
        (begin, end) of each: the leg computes the rows from begin to `end`, which is not one of them.
    """
    begins = [round(steps * place / count) for place in range(count)]
    return list(zip(begins, [*begins[1:], steps + 1], strict=True))
