"""A results folder as a Workflow Run RO-Crate: what was run, with what, on what, what came out, who and when.

After RO-Crate 1.1, Workflow RO-Crate 1.0, and the profiles Process Run and Workflow Run Crate 0.5
(https://www.researchobject.org/workflow-run-crate/), written with the rocrate library.
"""

import getpass
import json
import mimetypes
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from rocrate.model import ComputationalWorkflow, ContextEntity, File, Person
from rocrate.rocrate import ROCrate

from approach.sources import sha256_of
from approach.version import VERSION

RUN_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
LICENCE = "https://spdx.org/licenses/MIT"
WORKFLOW = "workflow/Snakefile"
TYPES = {bool: "Boolean", int: "Integer", float: "Float"}


def crate(record: dict, folder: Path, products: list[str], agent: str) -> dict:
    """The content of ro-crate-metadata.json.

    Args:
        record: the content of experiment.yaml.
        folder: the results folder, which becomes the crate.
        products: files and folders in it; others are left out.
        agent: who ran the workflow.
    """
    files = _files(folder, products)
    times = [(folder / file).stat().st_mtime for file in files]
    made = ROCrate(version="1.1")
    made.metadata.extra_contexts.append(RUN_CONTEXT)
    person = made.add(Person(made, "#agent", {"name": agent}))
    licence = _thing(made, LICENCE, "CreativeWork", "MIT License", description="Of the workflow's code.")
    workflow = _workflow(made, record, folder, licence)
    results = [made.add(_file(made, folder, file)) for file in files]
    _describe_root(made, record, {"datePublished": _time(max(times)), "author": person, "license": licence})
    made.root_dataset["mentions"] = made.add_action(
        workflow,
        "#run",
        object=[*_inputs(made, record), *_parameters(made, workflow, record["configuration"])],
        result=results,
        properties={
            "name": record["command"],
            "description": f"On {', '.join(record['device'])}.",
            "startTime": _time(min(times)),
            "endTime": _time(max(times)),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    made.get("#run")["agent"] = person
    return made.metadata.generate()


def whoami() -> str:
    """Who runs this: git's user.name, else the login name."""
    try:
        asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
        name = asked.stdout.strip()
    except OSError:
        name = ""
    return name or getpass.getuser()


def _thing(made: ROCrate, name_in_crate: str, kind: str, name: str, **properties) -> ContextEntity:
    """Add something that is no file of the crate."""
    return made.add(ContextEntity(made, name_in_crate, {"@type": kind, "name": name, **properties}))


def _describe_root(made: ROCrate, record: dict, known: dict) -> None:
    """Say what the folder is, and by which profiles it is described."""
    root = made.root_dataset
    root["name"] = f"Approaching Destination: {record['name']}"
    root["description"] = "Inversions of a generator towards a picture, with the films and pictures made of them."
    for key, value in known.items():
        root[key] = value
    root["conformsTo"] = [
        _thing(made, url, "CreativeWork", name, version=url.rpartition("/")[2]) for url, name in PROFILES.items()
    ]


def _workflow(made: ROCrate, record: dict, folder: Path, licence: ContextEntity) -> ComputationalWorkflow:
    """Add the workflow, its language, and the software that it ran with."""
    software = [
        _thing(made, f"#software-{name}", "SoftwareApplication", name, softwareVersion=version)
        for name, version in record["versions"].items()
    ]
    about = {
        "name": "Approaching Destination",
        "description": "GAN inversion as a three-channel film.",
        "version": f"{VERSION} ({record['commit']})",
        "encodingFormat": "text/plain",
        "sha256": sha256_of(folder / WORKFLOW),
    }
    snakemake = record["versions"]["snakemake"]
    workflow = made.add_workflow(
        None, WORKFLOW, properties=about, main=True, lang="snakemake", lang_version=snakemake, cls=ComputationalWorkflow
    )
    workflow["license"] = licence
    workflow["softwareRequirements"] = software
    return workflow


def _time(seconds: float) -> str:
    """A time stamp [s] as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _files(folder: Path, products: list[str]) -> list[str]:
    """The files among products, and in the folders among them, relative to the results folder; each once."""
    found = set()
    for product in map(Path, products):
        found |= {path for path in (product.rglob("*") if product.is_dir() else [product]) if path.is_file()}
    inside = [path.relative_to(folder) for path in found if path.is_relative_to(folder)]
    return sorted(path.as_posix() for path in inside if not path.name.startswith("."))


def _file(made: ROCrate, folder: Path, file: str) -> File:
    """A product, with what tells it from a changed one."""
    path = folder / file
    form = mimetypes.guess_type(file)[0] or "application/octet-stream"
    told = {"contentSize": str(path.stat().st_size), "sha256": sha256_of(path)}
    return File(made, dest_path=file, properties={"name": file, "encodingFormat": form, **told})


def _inputs(made: ROCrate, record: dict) -> list[ContextEntity]:
    """Add the files that were read, by role; they lie outside the folder, so their sha256 stands for them."""
    return [
        _thing(made, f"#input-{role}", "CreativeWork", role, sha256=digest)
        for role, digest in record["sha256"].items()
        if digest
    ]


def _parameters(made: ROCrate, workflow: ComputationalWorkflow, configuration: dict) -> list[ContextEntity]:
    """Add the configuration's keys as formal parameters of the workflow, and their values in this run."""
    values = []
    for key, value in _leaves(configuration):
        kind = TYPES.get(type(value), "Text")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        parameter = made.add_formal_parameter(key, kind, f"#parameter-{key}")
        workflow.append_to("input", parameter)
        given = _thing(made, f"#value-{key}", "PropertyValue", key, value=text)
        given["exampleOfWork"] = parameter
        values.append(given)
    return values


def _leaves(configuration: dict, prefix: str = ""):
    """Yield (dotted key, value) for every value of a nested configuration; empty tables are values."""
    for key, value in configuration.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
