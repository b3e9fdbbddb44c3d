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

# Modules that report on the work (log lines, error texts, the preview) and shape no product: not tracked.
BYSTANDERS = ("errors.py", "job.py", "preview.py")
# Where a module's reading is kept, and what it depends on beside the module.
KEPT = Path(".snakemake/approach-digests")
READER = sys.version.encode() + Path(__file__).read_bytes()

Import = tuple[int, list[str]]  # how many leading dots, and the parts of the name


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


def _without_places(tree: ast.Module) -> ast.Module:
    """The tree with `from X import name` saying the name alone: what X holds is digested, where it lies is not."""
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom):
            node.module, node.level = None, 0
    return tree


def _imports(tree: ast.Module) -> list[Import]:
    """What a module imports, from anywhere in it."""
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [(0, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            names += [(node.level, [*base, alias.name]) for alias in node.names]
    return names


def _read(source: bytes, path: Path) -> tuple[str, list[Import]]:
    """What a module says, as a digest (empty where it says nothing), and what it imports."""
    tree = ast.parse(source, filename=str(path))
    imports = _imports(tree)
    said = _without_places(_without_docstrings(tree))
    return hashlib.sha256(ast.dump(said).encode()).hexdigest() if said.body else "", imports


def _remembered(path: Path) -> tuple[str, list[Import]]:
    """What _read finds, kept on disk by content: all of it anew is a third of a second, in every cluster job."""
    source = path.read_bytes()
    file = KEPT / hashlib.sha256(READER + source).hexdigest()
    try:
        said, imports = json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        said, imports = _read(source, path)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            begun = file.with_suffix(f".{os.getpid()}")
            begun.write_text(json.dumps([said, imports]))
            begun.replace(file)
    return said, imports


@cache
def _module(path: Path, roots: tuple[Path, ...]) -> tuple[str, frozenset[Path]]:
    """What a module says, as a digest, and the project files that run when it is imported."""
    said, imports = _remembered(path)
    files: set[Path] = set()
    for level, parts in imports:
        for root in [path.parents[level - 1]] if level else roots:
            for length in range(1, len(parts) + 1):  # a package's __init__ runs before what is in it
                place = root.joinpath(*parts[:length])
                files |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return said, frozenset(files)


def closure(script: Path, *roots: Path) -> list[Path]:
    """The script and every project file that it imports, directly or not, but for BYSTANDERS.

    Args:
        script: the file to begin with.
        roots: folders in which the project's packages lie, as on the script's import path.
    """
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in seen and path.name not in BYSTANDERS:
            seen.add(path)
            waiting.extend(_module(path, roots)[1])
    return sorted(seen)


@cache
def code_digest(script: Path, *roots: Path) -> str:
    """Sixteen hex digits that change when what the script (or a project file it imports) says changes.

    Only what is said counts, not where it lies: a module that moves to another folder changes nothing.
    """
    said = sorted(_module(path, roots)[0] for path in closure(script, *roots) if path != script)
    lines = [_module(script, roots)[0], *filter(None, said)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
