"""Losses and optimizers of one's own: `module:name`, the module a Python file in the working folder or on the path."""

import importlib
import importlib.util
import sys
from pathlib import Path

from approach.errors import UserError


def is_own(name: str) -> bool:
    """Whether a term or an optimizer is named as module:name."""
    return ":" in name


def file_of(name: str) -> Path:
    """The Python file of `module:name`; nothing is run.

    Raises:
        UserError: there is no such module.
    """
    module, _, attribute = name.partition(":")
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UserError(f"'{name}' must be module:name, as in my_module:my_term")
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` has it; a rule's script has its own folder there instead
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise UserError(f"'{name}': no module {module} in this folder or on PYTHONPATH; write {module}.py here")
    return Path(found.origin)


def load_own(name: str):
    """Import what `module:name` names.

    Raises:
        UserError: the module is not there, cannot be imported, or has no such name.
    """
    file = file_of(name)
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise UserError(f"'{name}': {file.name} cannot be imported ({type(error).__name__}: {error})") from error
