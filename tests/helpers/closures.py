"""Which library modules each script uses: printed as the table that tests/closures.yaml holds (`make closures`)."""

import ast
import sys
from itertools import groupby
from pathlib import Path

from helpers.paths import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
LIBRARY = SCRIPTS / "approach"
HEADING = """\
# The closure of every script: the library modules that it imports, directly or not, by room. What only reports on the
# work (digest.BYSTANDERS) and empty __init__.py files are left out. An edit of a module here reruns the script's rule.
# Written by `make closures`; tests/test_house.py compares it with the code, so that a new arrow is seen.
"""


def room_of(module: Path) -> str:
    """The room that a file of the library lies in, or "shared" for what lies beside the rooms."""
    folder = module.relative_to(LIBRARY).parent.name
    return folder or "shared"


def closures() -> dict[str, dict[str, str]]:
    """Script -> room -> the names of its modules, separated by spaces."""
    from approach.digest import closure  # noqa: PLC0415 (this file runs alone, too, and the path is set by then)

    table = {}
    for script in sorted(SCRIPTS.glob("*.py")):
        modules = [path for path in closure(script, SCRIPTS) if path != script and path.read_bytes()]
        rooms = groupby(sorted(modules, key=lambda path: (room_of(path), path.stem)), key=room_of)
        table[script.stem] = {room: " ".join(path.stem for path in files) for room, files in rooms}
    return table


def imports_of(module: Path) -> set[str]:
    """The packages that a file imports when it is loaded, by their first names; safetensors.torch counts as torch."""
    names = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return {name.partition(".")[0] for name in names} | {"torch" for name in names if name.endswith(".torch")}


def scripts_that_load(*packages: str) -> set[str]:
    """The scripts whose closure imports one of the packages when it is loaded."""
    from approach.digest import closure  # noqa: PLC0415

    wanted = set(packages)
    scripts = sorted(SCRIPTS.glob("*.py"))
    return {script.stem for script in scripts if any(wanted & imports_of(path) for path in closure(script, SCRIPTS))}


def as_yaml(table: dict[str, dict[str, str]]) -> str:
    """The table as a file that a person reads."""
    lines = []
    for script, rooms in table.items():
        lines += [f"{script}:", *(f"  {room}: {modules}" for room, modules in rooms.items())]
    return HEADING + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.append(str(SCRIPTS))
    print(as_yaml(closures()), end="")
