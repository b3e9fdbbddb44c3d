"""Make a release (make release VERSION=0.2.0): version and date in every file, a commit, a tag, an archive, its sha256.

Nothing is pushed. A mistake before the push is undone by `git tag -d` and `git reset --hard HEAD~1`.
"""

import argparse
import hashlib
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

NAME = "approaching-destination"
VERSION = r"\d+\.\d+\.\d+"
DAY = r"\d{4}-\d{2}-\d{2}"
# file -> the text around its version or date, once each
VERSIONS = {
    "workflow/scripts/approach/version.py": rf'(?m)^(VERSION = "){VERSION}(")$',
    "pyproject.toml": rf'(?m)^(version = "){VERSION}(")$',
    "CITATION.cff": rf"(?m)^(version: ){VERSION}()$",
    "codemeta.json": rf'(?m)^(  "version": "){VERSION}(",)$',
}
DATES = {
    "CITATION.cff": rf"(?m)^(date-released: ){DAY}()$",
    "codemeta.json": rf'(?m)^(  "datePublished": "){DAY}(",)$',
}


def git(root: Path, *words: str) -> str:
    """What git says."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def current(root: Path) -> str:
    """The version that the project has now."""
    return re.search(VERSION, (root / "workflow/scripts/approach/version.py").read_text(encoding="utf-8"))[0]


def replace(path: Path, pattern: str, value: str) -> None:
    """Put a value in the one place of a file that a pattern finds.

    Raises:
        SystemExit: it finds none, or several.
    """
    text, count = re.subn(pattern, rf"\g<1>{value}\g<2>", path.read_text(encoding="utf-8"))
    if count != 1:
        sys.exit(f"error: {path.name} has {count} places for {value}")
    path.write_text(text, encoding="utf-8")


def refusal(root: Path, version: str) -> str:
    """Why there can be no release now; empty where there can."""
    if not re.fullmatch(VERSION, version):
        return f"VERSION={version}: write three numbers, as in 0.2.0"
    if git(root, "status", "--porcelain"):
        return "the work tree has changes: commit them, or put them away"
    if git(root, "tag", "--list", f"v{version}"):
        return f"there is a tag v{version} already"
    before = current(root)
    if git(root, "tag", "--list", f"v{before}") and numbers(version) <= numbers(before):
        return f"{version} does not come after {before}"
    if not re.search(r"(?m)^## Unreleased\n+[^#\s]", (root / "CHANGELOG.md").read_text(encoding="utf-8")):
        return "CHANGELOG.md has nothing under Unreleased: say what changes for users"
    return ""


def numbers(version: str) -> list[int]:
    """The parts of a version, in their order."""
    return [int(part) for part in version.split(".")]


def release(root: Path, version: str, day: str) -> Path:
    """Write version and date, commit, tag, and archive.

    Args:
        root: a clean checkout.
        version: three numbers with dots.
        day: YYYY-MM-DD.

    Returns:
        The archive; SHA256SUMS lies beside it.
    """
    for file, pattern in VERSIONS.items():
        replace(root / file, pattern, version)
    for file, pattern in DATES.items():
        replace(root / file, pattern, day)
    replace(root / "CHANGELOG.md", r"(?m)^(## Unreleased\n)()", f"\n## {version} - {day}\n")
    git(root, "commit", "--all", "--quiet", "--message", f"Release {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"{NAME} {version}")
    archive = root / "dist" / f"{NAME}-{version}.tar.gz"
    archive.parent.mkdir(exist_ok=True)
    git(root, "archive", f"--prefix={NAME}-{version}/", f"--output={archive}", f"v{version}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (archive.parent / "SHA256SUMS").write_text(f"{digest}  {archive.name}\n", encoding="utf-8")
    return archive


def main(arguments: list[str] | None = None) -> None:
    """Release the checkout in which this file lies."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", help="three numbers, as in 0.2.0")
    version = parser.parse_args(arguments).version
    root = Path(__file__).resolve().parents[1]
    if reason := refusal(root, version):
        sys.exit(f"error: {reason}")
    archive = release(root, version, date.today().isoformat())
    print(f"{archive.relative_to(root)} and SHA256SUMS are there. To publish: git push --follow-tags")


if __name__ == "__main__":
    main()
