"""results/README.md as data: the patterns of products, and the columns of tables."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "results" / "README.md"


def listed_products() -> tuple[list[str], list[str]]:
    """The patterns of what every run makes, and of what some runs make."""
    blocks = re.findall(r"(?:^    .*\n)+", README.read_text(encoding="utf-8"), flags=re.M)
    return tuple([line.split()[0] for line in block.splitlines() if line[4] != " "] for block in blocks)


def matches(pattern: str, path: str) -> bool:
    """Whether a path inside an experiment's folder is of a listed pattern."""
    parts = re.split(r"\{\w+\}", pattern)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None


def listed_columns(table: str, **names: list[str]) -> set[str]:
    """The columns of a table; names: what {axis}, {term} and {metric} stand for in it."""
    found = set()
    for column, tables in re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", README.read_text(encoding="utf-8"), flags=re.M):
        if table in tables.strip().split(", "):
            placeholder = re.search(r"\{(\w+)\}", column)
            found |= {column.replace(placeholder[0], n) for n in names[placeholder[1]]} if placeholder else {column}
    return found
