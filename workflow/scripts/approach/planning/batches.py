"""Which batches of seeds a setting has, and which seeds each of them holds."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from approach.batch_labels import LABEL, label, members
from approach.errors import UserError
from approach.trajectories import read_metadata


def found_batches(setting_dir: Path) -> list[str]:
    """Labels of the batches that a setting has on disk, finished or under way (their checkpoints count)."""
    finished = (setting_dir / "trajectories").glob("*.safetensors")
    under_way = (setting_dir / "checkpoints").glob("*.pt")
    labels = {path.stem for path in [*finished, *under_way]}
    return sorted((text for text in labels if re.fullmatch(LABEL, text)), key=lambda text: (members(text)[0], text))


def has_other_steps(setting_dir: Path, steps: int, text: str) -> bool:
    """Whether a batch of a setting is finished, with another number of steps than is wanted."""
    file = setting_dir / "trajectories" / f"{text}.safetensors"
    try:
        return file.is_file() and read_metadata(file).get("steps", steps) != steps
    except UserError:  # damaged: said elsewhere
        return False


def plan_batches(
    found: list[str], seeds: list[int], per_job: int, is_stale: Callable[[str], bool] = lambda _: False
) -> dict[str, list[int]]:
    """Which batch inverts which of the wanted seeds.

    Batches found on disk keep their members; seeds in none of them are chunked. So a new seed costs one job,
    and another seeds_per_job costs none. A stale batch of which only some seeds are wanted is left as it is: these get
    a batch of their own, which may go on with what it has.

    Args:
        found: labels of the batches on disk.
        seeds: the wanted ones.
        per_job: at most so many in a new batch.
        is_stale: whether a found batch would have to be inverted again; asked only where not all of it
            is wanted, or another holds one of its seeds.

    Returns:
        label -> the wanted seeds in it, in order of their first seed.
    """
    held = Counter(seed for text in found for seed in members(text))
    # Of two batches that hold a seed, the one that is as it is wanted comes first.
    found = sorted(found, key=lambda text: any(held[seed] > 1 for seed in members(text)) and is_stale(text))
    wanted = set(seeds)
    batches: dict[str, list[int]] = {}
    for text in found:
        whole = members(text)
        here = [seed for seed in whole if seed in wanted]
        if here and (len(here) == len(whole) or not is_stale(text)):
            batches[text] = here
            wanted -= set(here)
    rest = sorted(wanted)
    for first in range(0, len(rest), per_job):
        chunk = rest[first : first + per_job]
        batches[label(chunk)] = chunk
    return dict(sorted(batches.items(), key=lambda item: item[1][0]))
