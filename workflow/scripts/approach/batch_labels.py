"""How the files of a batch are named: its seeds are spelled "7", "0-15", "0-2+9"."""

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


def checkpoint_of(batch_file: Path) -> Path:
    """Where the checkpoint of a batch lies, beside the folder of its trajectories and log."""
    return batch_file.parent.parent / "checkpoints" / f"{batch_file.stem}.pt"
