"""Code is tracked by what it says: a digest of a script and of the project files that it imports.

Snakemake watches a script's time stamp and never its imports. This digest goes into a rule's params: comments,
docstrings and formatting leave it alone, any other change of the code or of a module it uses reruns the rule.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import groupby
from pathlib import Path

# Modules that report on the work (log lines, error texts, what a live page shows, the version) and shape no picture.
BYSTANDERS = ("errors.py", "job.py", "live.py", "preview.py", "version.py")
# Where a module's reading is kept, and what it depends on beside the module.
KEPT = Path(".snakemake/approach-digests")
READER = sys.version.encode() + Path(__file__).read_bytes()

Import = tuple[int, list[str], str]  # how many leading dots, the parts of the name, and the name it is bound to
Groups = list[list[Import]]  # imports that follow one another make a group: their order says nothing


def _blocks(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the lists of statements in a node, however deep. Expressions hold neither imports nor docstrings."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        if isinstance(getattr(node, field, None), list):
            yield node, field
            for child in getattr(node, field):
                yield from _blocks(child)


def _remove_docstrings(tree: ast.Module) -> None:
    for node, field in list(_blocks(tree)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if field == "body" and documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _imports_of(node: ast.Import | ast.ImportFrom) -> list[Import]:
    if isinstance(node, ast.Import):
        return [(0, alias.name.split("."), alias.asname or alias.name) for alias in node.names]
    base = node.module.split(".") if node.module else []
    return [(node.level, [*base, alias.name], alias.asname or alias.name) for alias in node.names]


def _take_imports(tree: ast.Module) -> Groups:
    """Take the imports out of a tree, from anywhere in it; `pass` marks where a group of them stood."""
    groups: Groups = []
    for node, field in list(_blocks(tree)):
        left: list[ast.stmt] = []
        for are_imports, run in groupby(getattr(node, field), _is_import):
            if are_imports:
                groups.append([found for statement in run for found in _imports_of(statement)])
                left.append(ast.Pass())
            else:
                left.extend(run)
        setattr(node, field, left)
    return groups


def _read(source: bytes, path: Path) -> tuple[str, Groups]:
    """What a module says beside its imports, as a digest (empty where it says nothing), and its imports."""
    tree = ast.parse(source, filename=str(path))
    _remove_docstrings(tree)
    groups = _take_imports(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest() if tree.body else "", groups


@cache
def _remembered(path: Path) -> tuple[str, Groups]:
    """What _read finds, kept on disk by content: all of it anew is a third of a second, in every cluster job."""
    source = path.read_bytes()
    file = KEPT / hashlib.sha256(READER + source).hexdigest()
    try:
        digest, _, text = file.read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            raise ValueError("not what was written")
        said, groups = json.loads(text)
    except (OSError, ValueError, TypeError):
        said, groups = _read(source, path)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            begun = file.with_suffix(f".{os.getpid()}")
            text = json.dumps([said, groups]).encode()
            begun.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            begun.replace(file)
    return said, groups


def _files_of(imported: Import, path: Path, roots: tuple[Path, ...]) -> list[Path]:
    """The project files that an import in a module runs: the packages on the way, and the module."""
    level, parts, _ = imported
    bases = [path.parents[level - 1]] if level else roots
    return [file for base in bases for file in _along(base, tuple(parts))]


@cache
def _along(base: Path, parts: tuple[str, ...]) -> list[Path]:
    """The packages and modules that there are on the way of a name, from a folder."""
    places = [base.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    return [file for place in places for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]


def _reference(imported: Import, path: Path, roots: tuple[Path, ...]) -> str:
    """What an import says: a file of the project by its content, wherever it lies; anything else by its name."""
    level, parts, bound = imported
    files = _files_of(imported, path, roots)
    said = [_remembered(file)[0] for file in files if file.name not in BYSTANDERS]
    origin = " ".join(filter(None, said)) if files else "." * level + ".".join(parts)
    return f"{origin} {parts[-1]} {bound}"


@cache
def _module(path: Path, roots: tuple[Path, ...]) -> tuple[str, frozenset[Path]]:
    """What a module says, as a digest (empty where it says nothing), and the project files that its imports run."""
    said, groups = _remembered(path)
    files = frozenset(file for group in groups for one in group for file in _files_of(one, path, roots))
    if not said:
        return "", files
    lines = [said, *(json.dumps(sorted(_reference(one, path, roots) for one in group)) for group in groups)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest(), files


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

    Only what is said counts, not where it lies: a module that moves to another folder changes nothing, as long as
    it is imported by `from` or under a name of its own (`import a.b as c`).
    """
    said = sorted(_module(path, roots)[0] for path in closure(script, *roots) if path != script)
    lines = [_module(script, roots)[0], *filter(None, said)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
