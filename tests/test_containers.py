"""What can be said of the recipes for containers without building them: their paths, and how they install."""

import json
import re
import shlex
import subprocess
from fnmatch import fnmatch

import pytest

from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import count_jobs

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
DEFINITION = (ROOT / "apptainer.def").read_text()
PLACE = "/approach"


def sections():
    """The definition's sections: name -> lines."""
    parts = re.split(r"^%(\w+)\n", DEFINITION, flags=re.M)[1:]
    return {
        name: [line.strip() for line in body.splitlines() if line.strip()]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def instructions(name):
    return [line.split(maxsplit=1)[1] for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def copied_into_each():
    """What each recipe copies: source -> place."""
    docker = [line.split() for line in instructions("COPY")]
    apptainer = [line.split() for line in sections()["files"]]
    return {source for source, _ in docker}, {source for source, place in apptainer if place == f"{PLACE}/{source}"}


def test_both_recipes_copy_the_same_files_which_exist():
    docker, apptainer = copied_into_each()
    assert docker == apptainer
    assert {"workflow", "config", "resources", "profiles", "requirements.lock"} <= docker
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for source in docker:
        assert (ROOT / source).exists()
        assert not tracked or any(file == source or file.startswith(f"{source}/") for file in tracked)


def test_what_is_copied_is_not_ignored():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert kept == copied_into_each()[0]
    assert not [line for line in lines[1:] if line[0] != "!" and any(fnmatch(name, line) for name in kept)]


def test_both_install_as_make_does():
    make = re.search(r"^\$\(INSTALLED\):\n\t(.*)\n\t(.*)\n", (ROOT / "Makefile").read_text(), re.M).groups()
    plain = [line.replace("$(PYTHON)", "python3").replace("$(BIN)", ".venv/bin") for line in make]
    docker = [part.strip() for line in instructions("RUN") for part in line.split("&&")]
    for commands in (docker, sections()["post"]):
        installing = [line for line in commands if ".venv" in line]
        found = [line.replace(" --no-cache-dir", "").partition(" .venv/bin/python") for line in installing]
        assert installing[0] == plain[0]
        assert "".join(found[1][1:]).strip() == plain[1]
        assert found[1][0].startswith("PIP_EXTRA_INDEX_URL=")


def test_the_image_does_not_run_as_root():
    assert instructions("USER") == ["visitor"]
    assert DOCKERFILE.index("USER visitor") > DOCKERFILE.rindex("RUN ")


def commands():
    docker = json.loads(instructions("ENTRYPOINT")[0])
    apptainer = shlex.split(sections()["runscript"][0].replace('"$@"', ""))[1:]
    return docker, apptainer


def test_both_have_the_same_entrance():
    docker, apptainer = commands()
    assert docker == apptainer
    assert docker[0] == "snakemake"
    assert all((ROOT / word.removeprefix(f"{PLACE}/")).exists() for word in docker if word.startswith("/"))


@pytest.mark.slow
def test_the_entrance_plans_a_run_from_an_empty_folder(tmp_path, tiny_words):
    words = [word.replace(PLACE, str(ROOT)) for word in commands()[0][1:]]
    run = [
        str(SNAKEMAKE),
        *words,
        "--cores",
        "1",
        "-n",
        "--quiet",
        "rules",
        "--config",
        "loss=l2",
        f"hydra={tiny_words}",
    ]
    result = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert count_jobs(result.stdout + result.stderr)["invert"] == 2  # side by side
