"""What a file of config/experiment/ says is what a run does."""

import pytest
import yaml

from approach.planning import plan
from helpers.paths import ROOT


def leaves(values, prefix=""):
    """Dotted key -> value, of nested dicts."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("file", sorted((ROOT / "config" / "experiment").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_experiments_own_values_hold(file):
    said = yaml.safe_load(file.read_text()) or {}
    said = {key: value for key, value in said.items() if key not in ("defaults", "hydra")}
    if isinstance(said.get("seeds"), int):
        said["seeds"] = list(range(said["seeds"]))
    planned = dict(leaves(plan.make_plan({"experiment": file.stem}, ROOT).base))
    # a film taken away by null is not in the plan
    wanted = {key: value for key, value in leaves(said) if value is not None}
    assert {key: planned.get(key) for key in wanted} == wanted
