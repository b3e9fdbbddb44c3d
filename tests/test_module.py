"""The workflow as a module of another one, by a local path."""

import subprocess

import pytest

from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import count_jobs

pytestmark = pytest.mark.slow

OUTER = """
module inversions:
    snakefile: "{root}/Snakefile"
    config: {config!r}

use rule * from inversions as inversions_*

rule framed:
    default_target: True
    input: "results/inner/montage.png"
    output: "framed.txt"
    shell: "echo framed > {{output}}"
"""
# docs/module.md tells users of the module to set these.
RERUNS = ["--rerun-triggers", "mtime", "params", "input", "software-env", "--max-checksum-file-size", "50000000"]


def test_another_workflow_uses_ours(tmp_path, tiny_words):
    config = {"name": "inner", "loss": "l2", "seeds": 3, "steps": 2, "hydra": tiny_words}
    (tmp_path / "Snakefile").write_text(OUTER.format(root=ROOT, config=config))

    def snakemake(*options):
        command = [str(SNAKEMAKE), "--cores", "1", *options, *RERUNS]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout + result.stderr

    measured = {
        f"inversions_{rule}": 1 for rule in ("invert", "losses", "stills", "trajectory_table", "montage_of_arrivals")
    }
    planned = count_jobs(snakemake("-n", "--quiet", "rules"))
    assert planned == {"inversions_prepare_target": 1, **measured, "framed": 1}
    snakemake("--until", "inversions_prepare_target")
    assert (tmp_path / "results/inner/target.png").exists()
    assert (ROOT / "docs" / "module.md").read_text().count(" ".join(RERUNS)) == 1
    assert count_jobs(snakemake("-n", "--quiet", "rules")) == {**measured, "framed": 1}
