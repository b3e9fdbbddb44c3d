"""The workflow as a module of another one, from its folder and from a copy, and as Snakemake's catalog wants it."""

import os
import shutil
import subprocess

import pytest
import yaml

from helpers.paths import ROOT, SNAKEMAKE
from helpers.planner import run_forked
from helpers.runs import count_jobs

pytestmark = pytest.mark.slow

MODULE = """
module inversions:
    snakefile: {snakefile}
    config: {config!r}

use rule * from inversions as inversions_*
"""
FRAMED = """
rule framed:
    default_target: True
    input: "results/inner/montage.png"
    output: "framed.txt"
    shell: "echo framed > {output}"
"""
# docs/module.md tells users of the module to set these.
RERUNS = ["--rerun-triggers", "mtime", "params", "input", "software-env", "--max-checksum-file-size", "50000000"]
MEASURED = {
    "inversions_invert": 2,  # side by side
    **{f"inversions_{rule}": 1 for rule in ("losses", "stills", "trajectory_table", "montage_of_arrivals")},
}


def snakemake(folder, *options):
    """What Snakemake says in a folder, and its exit status."""
    words = ["--cores", "1", *options]
    if "-n" in options:
        run = run_forked(words, folder, dict(os.environ))
    else:
        run = subprocess.run([str(SNAKEMAKE), *words], cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr, run.returncode


def done(folder, *options):
    """What Snakemake says where it succeeds."""
    said, status = snakemake(folder, *options)
    assert status == 0, said[-3000:]
    return said


@pytest.fixture
def copied(tmp_path):
    """An empty project that has only workflow/, config/ and resources/ of ours, in a folder beside its Snakefile."""
    for part in ("workflow", "config"):
        shutil.copytree(ROOT / part, tmp_path / "approach" / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "approach" / "resources").symlink_to(ROOT / "resources")
    return tmp_path


def test_another_workflow_uses_ours(tmp_path, tiny_words):
    config = {"name": "inner", "loss": "l2", "seeds": 3, "steps": 2, "hydra": tiny_words}
    module = MODULE.format(snakefile=repr(str(ROOT / "workflow" / "Snakefile")), config=config)
    (tmp_path / "Snakefile").write_text(module + FRAMED)
    planned = count_jobs(done(tmp_path, "-n", "--quiet", "rules", *RERUNS))
    assert planned == {"inversions_prepare_target": 1, **MEASURED, "framed": 1}
    done(tmp_path, "--until", "inversions_prepare_target", *RERUNS)
    assert (tmp_path / "results/inner/target.png").exists()
    assert (ROOT / "docs" / "module.md").read_text().count(" ".join(RERUNS)) == 1
    assert count_jobs(done(tmp_path, "-n", "--quiet", "rules", *RERUNS)) == {**MEASURED, "framed": 1}


def test_a_copy_of_three_folders_is_enough(copied, tiny_words):
    """The default target is ours where the outer workflow has none, and an inversion finds its script and library."""
    config = {"loss": "l2", "seeds": 3, "steps": 2, "hydra": tiny_words}
    (copied / "Snakefile").write_text(MODULE.format(snakefile="'approach/workflow/Snakefile'", config=config))
    planned = count_jobs(done(copied, "-n", "--quiet", "rules", *RERUNS))
    assert planned["inversions_page"] == 1 and planned["inversions_invert"] == 2
    table = "results/study/loss~l2+lr~0.4/losses.csv"
    done(copied, table, *RERUNS)
    assert len((copied / table).read_text().splitlines()) == 1 + 3 * 3
    changed = copied / "approach" / "workflow" / "scripts" / "approach" / "inversion" / "descent.py"
    changed.write_text(changed.read_text().replace("import math\n", "import math\n\nUNUSED = 1\n", 1))
    again = count_jobs(done(copied, table, "-n", "--quiet", "rules", *RERUNS))
    assert again == {"inversions_invert": 2, "inversions_losses": 1}


@pytest.mark.parametrize("place", ["Snakefile", "workflow/Snakefile"])
def test_either_snakefile_is_the_whole_workflow(place, tmp_path, tiny_words):
    keys = ["--config", "loss=l2", "steps=2", f"hydra={tiny_words}"]
    planned = count_jobs(done(tmp_path, "-s", str(ROOT / place), "-n", "--quiet", "rules", *keys))
    assert planned["page"] == 1 and planned["invert"] == 2


def test_a_module_by_the_outer_snakefile_has_our_target(tmp_path, tiny_words):
    config = {"loss": "l2", "steps": 2, "hydra": tiny_words}
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=repr(str(ROOT / "Snakefile")), config=config))
    assert count_jobs(done(tmp_path, "-n", "--quiet", "rules"))["inversions_page"] == 1


def test_a_module_read_through_git_says_what_to_do(tmp_path):
    """Its library would not come along; Snakemake's own words were a traceback."""
    project = tmp_path / "project"
    (project / "workflow").mkdir(parents=True)
    shutil.copy(ROOT / "workflow" / "Snakefile", project / "workflow")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    remote = f"gitfile({str(project)!r}, path='workflow/Snakefile', commit='HEAD')"
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=remote, config={}))
    said, status = snakemake(tmp_path, "-n")
    assert status != 0
    assert "error: the workflow's library and data lie beside it: clone the project" in said
    assert "Traceback" not in said


def test_what_hydra_reads_is_not_snakemakes_configuration(tmp_path):
    said, status = snakemake(
        tmp_path, "-s", str(ROOT / "Snakefile"), "-n", "--configfile", str(ROOT / "config" / "config.yaml")
    )
    assert status != 0
    assert "error: config/config.yaml is read by Hydra: leave out `configfile:`" in said


def test_the_small_configuration_of_the_catalog_runs(tmp_path):
    file = ROOT / ".test" / "config" / "config.yaml"
    keys = ["-s", str(ROOT / "workflow" / "Snakefile"), "--configfile", str(file)]
    planned = count_jobs(done(tmp_path, *keys, "-n", "--quiet", "rules"))
    assert planned["page"] == planned["invert"] == 1
    done(tmp_path, *keys, "--until", "prepare_target")
    assert (tmp_path / "results" / "test" / "target.png").exists()


def test_the_catalog_finds_what_it_asks_for():
    """What scripts/generate-catalog.py of snakemake-workflow-catalog looks at, but for --lint and snakefmt."""
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
    assert any(path.suffix == ".smk" for path in (ROOT / "workflow" / "rules").iterdir())
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] is True
    assert usage["report"] is True
    assert usage["mandatory-flags"]["flags"] == " ".join(RERUNS)
    assert (ROOT / "config" / "README.md").read_text().startswith("# ")
