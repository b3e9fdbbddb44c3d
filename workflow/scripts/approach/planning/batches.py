"""Which batches of seeds a setting has, and which seeds each of them holds."""

import re
from pathlib import Path

from approach.batch_labels import LABEL, label, members


def found_batches(setting_dir: Path) -> list[str]:
    """Labels of the batches that a setting has on disk, finished or under way (their checkpoints count)."""
    finished = (setting_dir / "trajectories").glob("*.safetensors")
    under_way = (setting_dir / "checkpoints").glob("*.pt")
    labels = {path.stem for path in [*finished, *under_way]}
    return sorted((text for text in labels if re.fullmatch(LABEL, text)), key=lambda text: (members(text)[0], text))


def plan_batches(found: list[str], seeds: list[int], per_job: int) -> dict[str, list[int]]:
    """Which batch inverts which of the wanted seeds.

    Batches found on disk keep their members; seeds in none of them are chunked. So a new seed costs one job,
    and another seeds_per_job costs none.

    Returns:
        label -> the wanted seeds in it, in order of their first seed.
    """
    wanted = set(seeds)
    batches: dict[str, list[int]] = {}
    for text in found:
        here = [seed for seed in members(text) if seed in wanted]
        if here:
            batches[text] = here
            wanted -= set(here)
    rest = sorted(wanted)
    for first in range(0, len(rest), per_job):
        chunk = rest[first : first + per_job]
        batches[label(chunk)] = chunk
    return dict(sorted(batches.items(), key=lambda item: item[1][0]))
