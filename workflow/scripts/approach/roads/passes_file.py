"""passes.safetensors: bands, losses, images. No torch."""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from approach.files import reading


def write_passes(path: Path, arrays: dict[str, np.ndarray], metadata: dict) -> None:
    """Write the arrays of `passes.find_passes`, with the images; the file takes its name only when it is complete."""
    # One key of metadata: the library writes several in random order.
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"passes": json.dumps(metadata)})
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_passes(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and what is said of them (loss, free, pairs).

    Raises:
        UserError: the file is damaged.
    """
    with reading(path), safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["passes"])  # noqa: SIM118
