"""The stages of a search: how many members of a seed descend, and until which step. No torch: planning counts them."""


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
