"""What planning knows of losses and optimizers of one's own: that they are there, and what they say. Nothing is run."""

import ast
from collections.abc import Iterable

from approach.digest import code_digest
from approach.errors import UserError
from approach.own import file_of, is_own


def own_names(config: dict) -> list[str]:
    """The module:name of every term and optimizer of one's own in a setting's configuration."""
    return [name for name in [*config["loss"]["terms"], config["optimizer"]["kind"]] if is_own(name)]


def check_own(name: str) -> None:
    """Look whether the module is there and defines that name.

    Raises:
        UserError: it does not.
    """
    file = file_of(name)
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        raise UserError(f"{file.name}, line {error.lineno}: {error.msg}") from None
    wanted = name.partition(":")[2]
    if wanted not in _defined(tree):
        raise UserError(f"'{name}': {file.name} defines no {wanted}")


def _defined(tree: ast.Module) -> set[str]:
    """The names that a module's own statements bind."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def digests(names: Iterable[str]) -> dict[str, str]:
    """What each of them says, with the files beside it that it imports: an edit reruns the settings that use it."""
    return {name: code_digest(file_of(name), file_of(name).parent) for name in names}
