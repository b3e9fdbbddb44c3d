"""The profiles: what they promise about jobs that share a machine."""

import re
import subprocess

import pytest

from helpers.paths import ROOT, SNAKEMAKE

# A second job on the card finds it taken. With both at once, one of them fails.
TURNS = """
rule all:
    input: "1", "2"

rule on_the_card:
    output: "{n}"
    resources: gpu=1
    shell: "mkdir card && sleep 1 && rmdir card && touch {output}"
"""


@pytest.mark.parametrize("profile", ["default", "gpu"])
def test_jobs_take_turns_on_the_gpu(tmp_path, profile):
    (tmp_path / "Snakefile").write_text(TURNS)
    options = ["--workflow-profile", str(ROOT / "profiles" / profile), "--cores", "2"]
    result = subprocess.run([str(SNAKEMAKE), *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


def test_the_jobs_that_compute_on_the_gpu_ask_for_it(workflow):
    keys = {"name": "card", "loss": "l2", "seeds": 3, "steps": 2, "hydra": "video.time=perceived"}
    on_card = {"invert", "stills", "survey", "render"}
    for device, wanted in (("cuda", on_card), ("cpu", set())):
        text = workflow.done("-n", device=device, **keys)
        _, *parts = re.split(r"^(?:local)?rule (\w+):$", text.stdout + text.stderr, flags=re.MULTILINE)
        jobs = zip(parts[::2], parts[1::2], strict=True)
        assert {name for name, body in jobs if re.search(r"\bgpu=1\b", body)} == wanted


@pytest.mark.parametrize("film", ["vary: seed, join: straight", "vary: stage, seed: 0", "vary: rank"])
def test_a_cluster_takes_every_kind_of_film(tmp_path, film):
    """What makes a ring or a pool stands between two tiny jobs of a film: no group may hold both."""
    options = ["-s", str(ROOT / "Snakefile"), "-n", "--workflow-profile", str(ROOT / "profiles" / "slurm")]
    given = ["--config", "seeds=6", "search=halving", f"hydra=films.one={{{film}}}"]
    result = subprocess.run(
        [str(SNAKEMAKE), *options, *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
