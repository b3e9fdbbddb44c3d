"""experiment.yaml: what made an experiment."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

PACKAGES = ("snakemake", "torch", "lpips", "hydra-core", "pytorch-pretrained-biggan", "pandas", "imageio-ffmpeg")


def record(config: dict, settings: dict, films: dict, trajectories: dict[str, dict], command: str) -> str:
    """The text of experiment.yaml.

    Args:
        config: the composed configuration of the first setting.
        settings: setting -> what tells it from the others.
        films: name -> film.
        trajectories: trajectory file -> its metadata.
        command: what was typed.
    """
    content = {
        "name": config["name"],
        "command": command,
        "commit": commit(),
        "versions": {name: installed(name) for name in PACKAGES} | {"python": platform.python_version()},
        "sha256": next(iter(trajectories.values()))["sha256"],
        "device": sorted({metadata["device"] for metadata in trajectories.values()}),
        "settings": settings,
        "films": sorted(films),
        "trajectories": sorted(trajectories),
        "configuration": config,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def commit() -> str:
    """The commit of the code, marked where the work tree differs from it; "unknown" outside a checkout."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def installed(package: str) -> str:
    """The version of an installed package; "not installed" where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def first_contact_report(record: dict, trajectories: list[dict], losses, pictures: list[str], folder: Path) -> str:
    """A page in Markdown: sources and their sha256, the pictures, and how far each inversion came in how much time.

    Args:
        record: the content of experiment.yaml.
        trajectories: rows of trajectories.csv.
        losses: losses.csv as a pandas table.
        pictures: files to show, inside folder.
        folder: where the report will be.
    """
    generator = record["configuration"]["generator"]
    per_step = losses["seconds"].sum() / max(1, losses["step"].max() + 1)
    table = [
        "| {seed} | {start_class} | {start_loss:.4g} | {final_loss:.4g} | {status} |".format(**row)
        for row in trajectories
    ]
    shown = [f"![{Path(path).stem}]({Path(path).relative_to(folder)})" for path in pictures]
    return "\n".join(
        [
            f"# First contact: {generator['name']}",
            "",
            f"weights: {generator['url'] or generator['weights']}",
            f"sha256: `{record['sha256']['weights']}`"
            + (" (as published)" if generator["sha256"] else " (recorded at first use; nobody published one)"),
            f"device: {', '.join(record['device'])}; {per_step:.2f} s for a step of all {len(trajectories)} inversions",
            f"versions: {', '.join(f'{name} {found}' for name, found in record['versions'].items())}",
            "",
            "| seed | start | loss at the start | at the end | status |",
            "| --- | --- | --- | --- | --- |",
            *table,
            "",
            "If the classes below are what their names say, the weights are right.",
            "",
            *shown,
            "",
        ]
    )
