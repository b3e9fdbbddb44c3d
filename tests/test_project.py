"""The project's promises about itself: environments, documentation, layout, and what is never committed."""

import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from approach.planning.plan import make_plan
from helpers.real_files import FETCHED, real_files


def pins(lines):
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.fixture(scope="module")
def lock(root):
    return pins((root / "requirements.lock").read_text().split())


@pytest.mark.parametrize("env", ["inversion", "show"])
def test_environments_agree_with_the_lock(root, lock, env):
    dependencies = yaml.safe_load((root / "workflow" / "envs" / f"{env}.yaml").read_text())["dependencies"]
    wanted = pins(next(entry["pip"] for entry in dependencies if isinstance(entry, dict)))
    assert wanted
    assert wanted == {name: lock[name] for name in wanted}


def test_conda_users_get_the_lock(root):
    dependencies = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    assert dependencies[-1] == {"pip": ["-r requirements.lock"]}
    assert "python =3.11" in dependencies


@pytest.mark.parametrize(
    ("env", "rules"),
    [("inversion", {"fetch", "prepare_target", "prepare_destination", "prepare_start", "invert_start", "invert"})],
)
def test_only_what_makes_trajectories_uses_the_inversions_environment(root, env, rules):
    using = set()
    for file in (root / "workflow" / "rules").glob("*.smk"):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", file.read_text(), re.M | re.S):
            if f"envs/{env}.yaml" in body:
                using.add(name)
    assert using == rules


def test_every_rule_says_what_it_needs(root):
    for file in (root / "workflow" / "rules").glob("*.smk"):
        rules = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", file.read_text(), re.M | re.S)
        assert rules or file.name == "common.smk"
        for name, body in rules:
            # verify makes nothing, and so always runs
            parts = ["log:"] if name == "verify" else ["output:", "log:", "benchmark:"]
            for part in (*parts, "conda:", "threads:", "resources:", "script:"):
                assert part in body, f"{file.name}: {name} has no {part}"
            assert "run:" not in body


def test_what_is_written_about_the_configuration_equals_the_schema(root):
    spec = importlib.util.spec_from_file_location("configuration", root / "docs" / "configuration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file, text in module.written_files().items():
        assert file.read_text() == text, f"{file.relative_to(root)}: run `make docs`"


def test_the_json_schema_says_what_the_schema_says(root):
    schema = json.loads((root / "workflow" / "schemas" / "config.schema.json").read_text())
    config = make_plan({}, root).base
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError, match="is not of type 'integer'"):
        jsonschema.validate({**config, "steps": "many"}, schema)
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate({**config, "los": 1}, schema)


def test_nothing_heavy_or_local_is_committed(root):
    files = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    paths = [root / name for name in files.split("\0") if name]
    if not paths:
        pytest.skip("not a checkout")
    assert not [path for path in paths if path.exists() and path.stat().st_size > 12 * 2**20]
    assert not [path for path in paths if path.relative_to(root).parts[0] == "results" and path.name != "README.md"]
    assert not [path for path in paths if path.name in ("uv.lock", "package-lock.json")]


def test_what_needs_real_weights_is_fetched_by_one_command(root):
    """The two files of the tests marked `weights`, and no generator."""
    words = re.search(r"^weights:.*\n\t\$\(BIN\)/snakemake (.*)$", (root / "Makefile").read_text(), re.M)[1]
    assert {word.partition("=")[0]: word.partition("=")[2] for word in shlex.split(words)[5:]} == FETCHED
    planned = make_plan(FETCHED, root).downloads
    assert {root / "resources" / "downloads" / name for name in planned} == set(real_files().values())


def test_no_test_looks_beside_the_project(root):
    beside = re.compile(r"(?i)\broot\.parent\b|\bdef \w+\(.*\bshared\b|\.\./shared")
    texts = {path.name: path.read_text() for path in (root / "tests").rglob("*.py") if path != Path(__file__)}
    assert len(texts) > 30
    assert [name for name, text in texts.items() if beside.search(text)] == []
