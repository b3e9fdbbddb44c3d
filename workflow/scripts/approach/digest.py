"""Code is tracked by what it says: a digest of a script and of the project files that it imports.

Snakemake watches a script's time stamp and never its imports. This digest goes into a rule's params: comments,
docstrings and formatting leave it alone, any other change of the code or of a module it uses reruns the rule.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

# Modules that report on the work (log lines, error texts, the live picture) and shape no product: not tracked.
BYSTANDERS = ("errors.py", "job.py", "live.py")


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _imported(tree: ast.Module, path: Path, scripts: Path) -> set[Path]:
    """Project files that a module imports, from anywhere in it."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level:
                base = [*path.parents[node.level - 1].relative_to(scripts).parts, *base]
            names += [base] + [[*base, alias.name] for alias in node.names]
    candidates = {scripts.joinpath(*parts).with_suffix(".py") for parts in names if parts}
    candidates |= {scripts.joinpath(*parts, "__init__.py") for parts in names if parts}
    return {candidate for candidate in candidates if candidate.is_file()}


@cache
def _module(path: Path, scripts: Path) -> tuple[str, frozenset[Path]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imported = _imported(tree, path, scripts)
    said = ast.dump(_without_docstrings(tree), annotate_fields=False)
    return hashlib.sha256(said.encode()).hexdigest(), frozenset(imported)


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
