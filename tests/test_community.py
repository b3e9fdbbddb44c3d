"""What a forge reads: workflows of CI, hooks before a commit, issue templates."""

import re
import tomllib

import pytest
import yaml

from helpers.paths import ROOT

TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PINNED = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().split()}


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


@pytest.fixture(scope="module")
def jobs():
    return read(".github/workflows/ci.yml")["jobs"]


def steps(jobs):
    return [step for job in jobs.values() for step in job["steps"]]


def test_ci_runs_make_targets_that_exist(jobs):
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    commands = [step["run"].split() for step in steps(jobs) if "run" in step]
    assert {tuple(words[:1]) for words in commands} == {("make",)}
    assert {words[1] for words in commands} == {"lint", "test", "quick", "demo"} <= set(phony)


def test_ci_names_paths_that_exist(jobs):
    files = {step["with"]["cache-dependency-path"] for step in steps(jobs) if "setup-python" in step.get("uses", "")}
    assert files == {"requirements.lock"}
    assert (ROOT / "requirements.lock").is_file()


def test_ci_tests_every_python_that_is_promised(jobs):
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", wanted).groups()
    versions = [f"3.{minor}" for minor in range(int(low), int(high))]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == versions
    said = f"Python {', '.join(versions[:-1])} or {versions[-1]}"
    assert said in (ROOT / "README.md").read_text()


def test_hooks_are_the_tools_of_the_lock():
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["entry"].split()[0] for hook in hooks} == {".venv/bin/ruff", ".venv/bin/snakefmt"}
    assert {"ruff", "snakefmt"} <= PINNED
    snakefiles = re.compile(next(hook["files"] for hook in hooks if hook["id"] == "snakefmt"))
    for path in ("Snakefile", "workflow/Snakefile", "workflow/rules/film.smk", "study/Snakefile"):
        assert (ROOT / path).is_file() and snakefiles.search(path)
    assert not snakefiles.search("docs/Snakefiles.md")


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_issue_templates(path):
    content = read(path)
    if path.stem == "config":
        assert content == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= content.keys()
    names = [part["id"] for part in content["body"] if part["type"] != "markdown"]
    assert len(names) == len(set(names)) >= 1
    pages = re.findall(r"`([\w/]+\.md)`", path.read_text())
    assert pages
    assert [page for page in pages if not (ROOT / page).is_file()] == []
