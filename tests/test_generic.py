"""Clusters that are not Slurm: profiles/generic with its own scripts, really run; profiles/kubernetes, planned."""

import shutil
import subprocess

import pytest
import yaml

from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import Workflow

KEYS = {"loss": "l2", "seeds": 3, "steps": 2}
TRAJECTORIES = "results/{name}/loss~l2+lr~0.4/trajectories/0-2.safetensors"


class Clustered(Workflow):
    """The project through profiles/generic: the scripts' paths start from the project's folder."""

    def command(self, *options, hydra="", **config):
        """What is run."""
        command = super().command(*options, hydra=hydra, **config)
        command[command.index("--workflow-profile") + 1] = str(ROOT / "profiles" / "generic")
        where = command.index("--cores")
        del command[where : where + 2]
        soon = ["--latency-wait", "2", "--seconds-between-status-checks", "1"]
        return [*command[: command.index("--config")], *soon, *command[command.index("--config") :]]


@pytest.fixture
def clustered(tmp_path, tiny_words):
    """A folder with the profile's scripts where the profile names them."""
    shutil.copytree(ROOT / "profiles" / "generic", tmp_path / "profiles" / "generic")
    return Clustered(tmp_path, tiny_words)


@pytest.mark.slow
def test_generic_inverts(clustered):
    clustered.done("--until", "invert", name="far", **KEYS)
    assert (clustered.folder / TRAJECTORIES.format(name="far")).is_file()
    ended = (clustered.folder / ".snakemake" / "generic").iterdir()
    assert [path.read_text() for path in ended] == ["0\n", "0\n"]  # the target, the inversion


def test_status_tells_success_from_failure(tmp_path):
    script = tmp_path / "job.sh"
    commands = ROOT / "profiles" / "generic"

    def ended(text):
        script.write_text(text)
        submitted = subprocess.run(
            [commands / "submit", "1", "100", "1", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        number = submitted.stdout.strip()
        while True:
            asked = subprocess.run(
                [commands / "status", number], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            if asked.stdout.strip() != "running":
                return asked.stdout.strip()

    assert ended("exit 0") == "success"
    assert ended("exit 3") == "failed"
    assert ended("kill -9 $$ $PPID") == "failed"


@pytest.mark.extras
def test_kubernetes_is_planned(tmp_path):
    """With a folder in place of the bucket; `make extras` installs the plugins."""
    profile = yaml.safe_load((ROOT / "profiles" / "kubernetes" / "profile.yaml").read_text())
    assert (profile["executor"], profile["default-storage-provider"]) == ("kubernetes", "s3")
    shutil.copytree(ROOT / "resources", tmp_path / "resources")
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path)]
    command = [SNAKEMAKE, "-n", "--workflow-profile", ROOT / "profiles" / "kubernetes", *storage, "--config"]
    command += ["name=kube", "device=cpu", "seeds=3", "steps=2"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr[-3000:]
    assert f"{tmp_path}/results/kube/page/index.html (" in planned.stdout + planned.stderr
