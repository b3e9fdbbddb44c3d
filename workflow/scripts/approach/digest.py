"""Code is tracked by what it says: a digest of a script and of the project files that it imports.

Snakemake watches a script's time stamp and never its imports. This digest goes into a rule's params: comments,
docstrings and formatting leave it alone, any other change of the code or of a module it uses reruns the rule.
"""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

# Modules that report on the work (log lines, error texts, the live picture) and shape no product: not tracked.
BYSTANDERS = ("errors.py", "job.py", "live.py")
# Where a module's reading is kept, and what it depends on beside the module.
KEPT = Path(".snakemake/approach-digests")
READER = sys.version.encode() + Path(__file__).read_bytes()


def _statements(node: ast.AST):
    """Yield the statements in a node, however deep. Expressions hold neither imports nor docstrings: not entered."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from _statements(child)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in [tree, *_statements(tree)]:
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module) -> list[tuple[int, list[str]]]:
    """What a module imports, from anywhere in it: how many leading dots, and the parts of the name."""
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [(0, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            names += [(node.level, base), *((node.level, [*base, alias.name]) for alias in node.names)]
    return names


def _read(source: bytes, path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """What a module says, as a digest, and what it imports."""
    tree = ast.parse(source, filename=str(path))
    imports = _imports(tree)
    said = ast.dump(_without_docstrings(tree), annotate_fields=False)
    return hashlib.sha256(said.encode()).hexdigest(), imports


def _remembered(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """What _read finds, kept on disk by content: all of it anew is a third of a second, in every cluster job."""
    source = path.read_bytes()
    file = KEPT / hashlib.sha256(READER + source).hexdigest()
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError):
        found = _read(source, path)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        begun = file.with_suffix(f".{os.getpid()}")
        begun.write_text(json.dumps(found))
        begun.replace(file)
    return found


@cache
def _module(path: Path, scripts: Path) -> tuple[str, frozenset[Path]]:
    """What a module says, as a digest, and the project files that it imports."""
    said, imports = _remembered(path)
    places = [(path.parents[level - 1] if level else scripts).joinpath(*parts) for level, parts in imports]
    candidates = {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")}
    return said, frozenset(file for file in candidates if file.is_file())


def closure(script: Path, scripts: Path) -> list[Path]:
    """The script and every project file that it imports, directly or not, but for BYSTANDERS; scripts is the root."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in seen and path.name not in BYSTANDERS:
            seen.add(path)
            waiting.extend(_module(path, scripts)[1])
    return sorted(seen)


@cache
def code_digest(script: Path, scripts: Path) -> str:
    """Sixteen hex digits that change when what the script (or a project file it imports) says changes."""
    lines = [f"{path.relative_to(scripts)} {_module(path, scripts)[0]}" for path in closure(script, scripts)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
