"""A results folder as a Workflow Run RO-Crate: what was run, with what, on what, what came out, who and when.

After RO-Crate 1.1, Workflow RO-Crate 1.0, and the profiles Process Run and Workflow Run Crate 0.5
(https://www.researchobject.org/workflow-run-crate/).
"""

import getpass
import json
import mimetypes
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from approach.sources import sha256_of
from approach.version import VERSION

CRATE = "https://w3id.org/ro/crate/1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
LICENCE = "https://spdx.org/licenses/MIT"
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
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
    parameters, values = _parameters(record["configuration"])
    inputs = _inputs(record)
    software = [
        {"@id": f"#software-{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in record["versions"].items()
    ]
    described = [_file(folder, file) for file in files]
    return {
        "@context": [f"{CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"],
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": [{"@id": CRATE}, {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}],
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"Approaching Destination: {record['name']}",
                "description": "Inversions of a generator towards a picture, with the films and pictures made of them.",
                "datePublished": _time(max(times)),
                "author": {"@id": "#agent"},
                "license": {"@id": LICENCE},
                "conformsTo": _ids(PROFILES),
                "mainEntity": {"@id": WORKFLOW},
                "mentions": {"@id": "#run"},
                "hasPart": _ids([WORKFLOW, *files]),
            },
            {
                "@id": WORKFLOW,
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
                "name": "Approaching Destination",
                "description": "GAN inversion as a three-channel film.",
                "version": f"{VERSION} ({record['commit']})",
                "license": {"@id": LICENCE},
                "encodingFormat": "text/plain",
                "programmingLanguage": {"@id": SNAKEMAKE},
                "softwareRequirements": _ids(one["@id"] for one in software),
                "input": _ids(one["@id"] for one in parameters),
                "sha256": sha256_of(folder / WORKFLOW),
            },
            {
                "@id": "#run",
                "@type": "CreateAction",
                "name": record["command"],
                "description": f"On {', '.join(record['device'])}.",
                "instrument": {"@id": WORKFLOW},
                "agent": {"@id": "#agent"},
                "startTime": _time(min(times)),
                "endTime": _time(max(times)),
                "actionStatus": "http://schema.org/CompletedActionStatus",
                "object": _ids(one["@id"] for one in [*inputs, *values]),
                "result": _ids(files),
            },
            {"@id": "#agent", "@type": "Person", "name": agent},
            {
                "@id": SNAKEMAKE,
                "@type": "ComputerLanguage",
                "name": "Snakemake",
                "identifier": {"@id": "https://doi.org/10.12688/f1000research.29032.2"},
                "url": {"@id": "https://snakemake.readthedocs.io"},
                "version": record["versions"]["snakemake"],
            },
            {"@id": LICENCE, "@type": "CreativeWork", "name": "MIT License", "description": "Of the workflow's code."},
            *({"@id": url, "@type": "CreativeWork", "name": name, "version": url.rpartition("/")[2]}
              for url, name in PROFILES.items()),
            *software,
            *inputs,
            *parameters,
            *values,
            *described,
        ],
    }  # fmt: skip


def whoami() -> str:
    """Who runs this: git's user.name, else the login name."""
    try:
        asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
        name = asked.stdout.strip()
    except OSError:
        name = ""
    return name or getpass.getuser()


def _ids(names) -> list[dict]:
    return [{"@id": name} for name in names]


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


def _file(folder: Path, file: str) -> dict:
    """A product, with what tells it from a changed one."""
    path = folder / file
    form = mimetypes.guess_type(file)[0] or "application/octet-stream"
    described = {"@id": file, "@type": "File", "name": file, "encodingFormat": form}
    return {**described, "contentSize": str(path.stat().st_size), "sha256": sha256_of(path)}


def _inputs(record: dict) -> list[dict]:
    """The files that were read, by role; they lie outside the results folder, so their sha256 stands for them."""
    return [
        {"@id": f"#input-{role}", "@type": "CreativeWork", "name": role, "sha256": digest}
        for role, digest in record["sha256"].items()
        if digest
    ]


def _parameters(configuration: dict) -> tuple[list[dict], list[dict]]:
    """The configuration's keys as formal parameters of the workflow, and their values in this run."""
    parameters, values = [], []
    for key, value in _leaves(configuration):
        kind = TYPES.get(type(value), "Text")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        parameters.append(
            {"@id": f"#parameter-{key}", "@type": "FormalParameter", "name": key, "additionalType": kind}
            | {"conformsTo": {"@id": PARAMETER}}
        )
        values.append(
            {"@id": f"#value-{key}", "@type": "PropertyValue", "name": key, "value": text}
            | {"exampleOfWork": {"@id": f"#parameter-{key}"}}
        )
    return parameters, values


def _leaves(configuration: dict, prefix: str = ""):
    """Yield (dotted key, value) for every value of a nested configuration; empty tables are values."""
    for key, value in configuration.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
