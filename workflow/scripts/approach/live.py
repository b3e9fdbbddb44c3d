"""What a run and its jobs tell whoever watches: small scripts that live/index.html loads again and again.

A page that is opened from disk may load scripts, but no data: so the data are the call of a function of the page.
"""

import json
import logging
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger("approach")

SUFFIX = ".live.js"  # of what a batch tells, beside its trajectories


def batch_of(path: Path) -> str:
    """What a batch is called between run and job: setting and seeds, by where its script lies."""
    return "/".join(path.parts[-3::2]).removesuffix(SUFFIX)


def part_of(path: Path) -> Path:
    """What is left of a script beside its place where its writer was killed."""
    return path.with_name(f".{path.name}.part")


def tell(path: Path, data: dict) -> None:
    """Write what a reader sees whole or not at all.

    What only watches stops no work: where it cannot be written, a line says so.

    Args:
        path: the script's file.
        data: plain values without NaN.
    """
    temporary = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"live({json.dumps(data, allow_nan=False)});\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s): the live page stands still", path, error.strerror)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
