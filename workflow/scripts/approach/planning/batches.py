"""Batches of seeds: how a job's seeds are spelled ("7", "0-15", "0-2+9") and which batches a setting has."""

import re
from pathlib import Path

from approach.errors import UserError

LABEL = r"\d+(-\d+)?(\+\d+(-\d+)?)*"


def label(seeds: list[int]) -> str:
    """Spell a set of seeds: runs of neighbours as "first-last", joined by "+"."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return "+".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def members(text: str) -> list[int]:
    """The seeds that a label spells.

    Raises:
        UserError: the text is no label.
    """
    if not re.fullmatch(LABEL, text):
        raise UserError(f"'{text}' does not spell a batch of seeds (7, 0-15 or 0-2+9)")
    seeds = []
    for run in text.split("+"):
        first, _, last = run.partition("-")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


def found_batches(setting_dir: Path) -> list[str]:
    """Labels of the batches that a setting has on disk, finished or under way (their checkpoints count)."""
    finished = (setting_dir / "trajectories").glob("*.safetensors")
    under_way = (setting_dir / "checkpoints").glob("*.pt")
    labels = {path.stem for path in [*finished, *under_way]}
    return sorted((text for text in labels if re.fullmatch(LABEL, text)), key=lambda text: (members(text)[0], text))


def plan_batches(found: list[str], seeds: list[int], per_job: int) -> dict[str, list[int]]:
    """Which batch walks which of the wanted seeds.

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
