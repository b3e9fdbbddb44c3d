"""One version in every file that names one, and a release made in a clone."""

import hashlib
import importlib.util
import json
import subprocess
import tarfile
import tomllib

import pytest
import yaml

from approach.version import VERSION
from helpers.paths import ROOT


def load(root):
    spec = importlib.util.spec_from_file_location("release", root / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions(root):
    """Every place that names the version."""
    return {
        "library": load(root).current(root),
        "pyproject.toml": tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"],
        "CITATION.cff": yaml.safe_load((root / "CITATION.cff").read_text())["version"],
        "codemeta.json": json.loads((root / "codemeta.json").read_text())["version"],
    }


def test_one_version():
    assert set(versions(ROOT).values()) == {VERSION}


def test_codemeta_says_what_the_citation_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    codemeta = json.loads((ROOT / "codemeta.json").read_text())
    assert codemeta["name"] == citation["title"]
    assert codemeta["description"] == citation["abstract"].strip()
    assert codemeta["keywords"] == citation["keywords"]
    assert codemeta["datePublished"] == str(citation["date-released"])
    assert codemeta["license"].endswith(citation["license"])
    assert [author["name"] for author in codemeta["author"]] == [author["name"] for author in citation["authors"]]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert codemeta["runtimePlatform"] == f"Python {python}"


@pytest.fixture
def clone(tmp_path):
    """The project's text files as a repository of its own."""
    copy = tmp_path / "clone"
    names = ["CHANGELOG.md", "CITATION.cff", "codemeta.json", "pyproject.toml", "tools/release.py", ".gitignore"]
    for name in [*names, "workflow/scripts/approach/version.py"]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    git(copy, "init", "--quiet")
    git(copy, "config", "user.name", "a")
    git(copy, "config", "user.email", "a@example.org")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message", "all")
    return copy


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_release(clone, capsys):
    load(clone).main(["7.0.1"])
    assert set(versions(clone).values()) == {"7.0.1"}
    assert git(clone, "describe") == "v7.0.1"
    assert git(clone, "status", "--porcelain") == ""
    digest, name = (clone / "dist" / "SHA256SUMS").read_text().split()
    archive = clone / "dist" / name
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest
    with tarfile.open(archive) as packed:
        text = packed.extractfile("approaching-destination-7.0.1/CHANGELOG.md").read().decode()
    day = yaml.safe_load((clone / "CITATION.cff").read_text())["date-released"]
    assert f"\n## Unreleased\n\n## 7.0.1 - {day}\n" in text
    assert "git push --follow-tags" in capsys.readouterr().out


def test_releases_that_are_refused(clone):
    release = load(clone)
    assert "three numbers" in release.refusal(clone, "7.0")
    (clone / "CITATION.cff").write_text("changed")
    assert "work tree has changes" in release.refusal(clone, "7.0.1")
    git(clone, "checkout", "CITATION.cff")
    release.main(["7.0.1"])
    assert "a tag v7.0.1 already" in release.refusal(clone, "7.0.1")
    assert "does not come after 7.0.1" in release.refusal(clone, "6.9.9")
    assert "nothing under Unreleased" in release.refusal(clone, "7.0.10")
    with pytest.raises(SystemExit, match="nothing under Unreleased"):
        release.main(["7.0.10"])
