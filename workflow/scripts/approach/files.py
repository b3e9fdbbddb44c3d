"""Small files that the stages hand to one another: JSON, read and written in one way."""

import json
from pathlib import Path
from typing import Any


def read_json(path: str | Path) -> Any:
    """The content of a JSON file, as plain values."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, content: Any) -> None:
    """Write plain values as JSON that a person can read."""
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
