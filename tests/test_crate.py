"""A results folder as a Workflow Run RO-Crate: whole, true, and valid by roc-validator; a run's own: test_pipeline."""

import hashlib
import json

import pytest
import yaml

from approach.crate import WORKFLOW, crate

RECORD = {
    "name": "small",
    "command": "snakemake --cores all",
    "commit": "0" * 40,
    "versions": {"snakemake": "9.27.1", "torch": "2.13.0", "python": "3.11.7"},
    "sha256": {"weights": "a" * 64, "target": "b" * 64, "backbone": None},
    "device": ["cpu"],
    "configuration": {"steps": 3, "loss": {"name": "l2", "terms": {"l2": 1.0}}, "films": {}, "graphs": False},
}


@pytest.fixture
def folder(tmp_path):
    """A results folder with a few products, and its crate."""
    results = tmp_path / "results" / "small"
    (results / "workflow").mkdir(parents=True)
    (results / WORKFLOW).write_text("rule all:\n")
    (results / "experiment.yaml").write_text(yaml.safe_dump(RECORD))
    (results / "film" / "player").mkdir(parents=True)
    (results / "film" / "player" / "index.html").write_text("<html>")
    (results / "target.png").write_bytes(b"picture")
    products = [str(results / name) for name in ("experiment.yaml", "film/player", "target.png", "target.png")]
    (tmp_path / "weights.bin").write_bytes(b"outside")
    content = crate(RECORD, results, [*products, str(tmp_path / "weights.bin")], "Ada")
    (results / "ro-crate-metadata.json").write_text(json.dumps(content))
    return results


def entities(folder):
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    assert len({one["@id"] for one in graph}) == len(graph)
    return {one["@id"]: one for one in graph}


def references(value):
    """Every {"@id": ...} in a value."""
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    return [value["@id"]] if isinstance(value, dict) else []


def test_what_is_named_is_described(folder):
    found = entities(folder)
    named = {name for one in found.values() for value in one.values() for name in references(value)}
    assert {name for name in named - found.keys() if not name.startswith("https://")} == set()
    assert {"@id": "https://w3id.org/ro/wfrun/workflow/0.5"} in found["./"]["conformsTo"]


def test_it_says_what_was_run_with_what_by_whom(folder):
    found = entities(folder)
    run = found["#run"]
    assert run["name"] == "snakemake --cores all"
    assert found[run["instrument"]["@id"]]["@type"] == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert found[run["agent"]["@id"]]["name"] == "Ada"
    assert run["startTime"] <= run["endTime"]
    values = {one["name"]: one["value"] for name, one in found.items() if name.startswith("#value-")}
    assert values == {"steps": "3", "loss.name": "l2", "loss.terms.l2": "1.0", "films": "{}", "graphs": "false"}
    assert found["#input-weights"]["sha256"] == "a" * 64
    assert "#input-backbone" not in found
    assert found["#software-torch"]["softwareVersion"] == "2.13.0"


def test_products_have_their_sha256(folder):
    found = entities(folder)
    results = [one["@id"] for one in found["#run"]["result"]]
    assert sorted(results) == ["experiment.yaml", "film/player/index.html", "target.png"]
    for name in [*results, WORKFLOW]:
        assert found[name]["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "target.png").write_bytes(b"another")
    assert found["target.png"]["sha256"] != hashlib.sha256(b"another").hexdigest()


def test_the_validator_finds_what_is_missing(folder, missing_in_crate):
    assert missing_in_crate(folder) == []
    file = folder / "ro-crate-metadata.json"
    content = json.loads(file.read_text())
    run = next(one for one in content["@graph"] if one["@id"] == "#run")
    del run["instrument"]
    file.write_text(json.dumps(content))
    assert any("instrument" in message for message in missing_in_crate(folder))
