"""Files that the stages hand to one another, read in one way: what is damaged is named, with the remedy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from approach.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Read a product of an earlier rule, or of a person; whatever is wrong in it becomes a UserError that names it.

    What is inside the block must only read the file, and take out of it what has to be in it.

    Raises:
        UserError: the file is damaged or missing; the message says how it is made again.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # every reader has exceptions of its own
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, KeyError):
            said = f"it has no {said}"
        raise UserError(f"{path}: is damaged ({said[:120]}); delete it, and the same command makes it again") from error


def read_json(path: str | Path, *keys: str) -> Any:
    """The content of a JSON file, as plain values.

    Args:
        path: the file.
        keys: what it must have, where it is a table.

    Raises:
        UserError: it is damaged, or lacks a key.
    """
    with reading(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if missing := [key for key in keys if not isinstance(content, dict) or key not in content]:
            raise ValueError(f"it has no {missing[0]}")
        return content


def write_json(path: str | Path, content: Any) -> None:
    """Write plain values as JSON that a person can read."""
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_yaml(path: str | Path) -> dict:
    """The content of a YAML file that holds a table.

    Raises:
        UserError: it is damaged.
    """
    import yaml  # noqa: PLC0415  (planning imports this module and need not wait for it)

    with reading(path):
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no table")
        return content


def read_npz(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, or some of them, whose checksums are verified.

    Raises:
        UserError: it is damaged.
    """
    with reading(path), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names or file.files}


def read_table(path: str | Path, *columns: str) -> "pd.DataFrame":
    """A table from .csv or .parquet.

    Args:
        path: the file.
        columns: what it must have.

    Raises:
        UserError: it is damaged, empty, or lacks a column.
    """
    import pandas as pd  # noqa: PLC0415  (planning imports this module and need not wait for it)

    with reading(path):
        table = pd.read_parquet(path) if str(path).endswith(".parquet") else pd.read_csv(path)
        if table.empty:
            raise ValueError("it has no rows")
        if missing := [column for column in columns if column not in table]:
            raise ValueError(f"it has no column {missing[0]}")
        return table


def read_pixels(path: str | Path) -> np.ndarray:
    """The pixels of a picture that an earlier rule made, uint8 [H, W, 3].

    Raises:
        UserError: it is damaged.
    """
    from PIL import Image  # noqa: PLC0415

    with reading(path), Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
