"""Names of the generator's classes, and which of them a word means. No torch: planning and inversion match alike."""

import ast
import difflib
import importlib.util
import json
from functools import cache
from pathlib import Path

from approach.errors import UserError


def read_names(path: str | Path) -> list[str]:
    """The names in a JSON list.

    Raises:
        UserError: the file cannot be read, or holds no list.
    """
    try:
        names = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the class names ({error}); give a JSON list of names") from error
    if not isinstance(names, list):
        raise UserError(f"{path}: no list of class names; give a JSON list of names")
    return [str(name) for name in names]


@cache
def imagenet_names() -> list[str]:
    """ImageNet's 1000 class names, as torchvision keeps them beside its weights.

    They are read from its source, since importing torchvision takes seconds.

    Raises:
        UserError: torchvision is not installed, or keeps them elsewhere.
    """
    torchvision = importlib.util.find_spec("torchvision")
    if torchvision is not None and torchvision.origin is not None:
        source = Path(torchvision.origin).parent / "models" / "_meta.py"
        for node in ast.parse(source.read_bytes()).body if source.is_file() else []:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_IMAGENET_CATEGORIES":
                return ast.literal_eval(node.value)
    raise UserError("ImageNet's class names are torchvision's, which is not installed or keeps them elsewhere now")


def class_index(name: str, names: list[str]) -> int:
    """The class that a name means: an exact name, or one of its comma-separated synonyms, in any case.

    Raises:
        UserError: no class of this generator is called that.
    """
    wanted = name.strip().lower()
    for index, known in enumerate(names):
        if wanted == known.lower() or wanted in [part.strip().lower() for part in known.split(",")]:
            return index
    close = difflib.get_close_matches(wanted, [known.lower() for known in names], n=1)
    some = ", ".join(names[:: max(1, len(names) // 12)][:12])
    hint = f"did you mean {close[0]}?" if close else f"it has {some}, ..."
    raise UserError(f"start.classes: this generator has no class '{name}'; {hint}")
