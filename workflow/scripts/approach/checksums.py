"""The sha256 of every product, recorded when a run is whole, and compared with what is there (`snakemake verify`).

The file is one that `sha256sum --check` reads: a line per product, its path relative to the results folder.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from approach.errors import UserError
from approach.sources import sha256_of
from approach.target import made_from

FILE = "checksums.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def checksum_lines(products: Iterable[str | Path], folder: Path) -> str:
    """The content of the checksums file.

    Args:
        products: files, or folders whose files all count.
        folder: the results folder that they lie in.
    """
    files = sorted(file.relative_to(folder).as_posix() for product in products for file in _files(Path(product)))
    return "".join(f"{sha256_of(folder / file)}  {file}\n" for file in files)


def read_checksums(path: Path) -> dict[str, str]:
    """What was recorded: file, relative to the results folder -> sha256.

    Raises:
        UserError: nothing was recorded, or the record is damaged.
    """
    again = "the run's own command writes it anew"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no checksums are recorded, since no run came to its end here; {again}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}); delete it, and {again}") from None
    matches = [_LINE.fullmatch(line) for line in lines]
    if None in matches:
        raise UserError(f"{path}: line {matches.index(None) + 1} is no checksum; delete the file, and {again}")
    return {match[2]: match[1] for match in matches}


def check_products(recorded: Mapping[str, str], products: Iterable[str], folder: Path) -> list[str]:
    """Compare a results folder with its record.

    Args:
        recorded: file -> sha256.
        products: what the run makes: files, or folders.
        folder: the results folder.

    Returns:
        A line for each product that was changed, lost, never made or not recorded; none where all is well.
    """
    found = []
    for file, sha256 in recorded.items():
        try:
            if sha256_of(folder / file) != sha256:
                found.append(f"changed: {folder / file}")
        except FileNotFoundError:
            found.append(f"lost: {folder / file}")
        except OSError as error:
            found.append(f"unreadable: {folder / file} ({error.strerror or error})")
    for product in map(Path, products):
        name = product.relative_to(folder).as_posix()
        if name in recorded or any(file.startswith(f"{name}/") for file in recorded):
            continue
        found.append(f"not recorded: {product}" if product.exists() else f"never made: {product}")
    return found


def check_sources(folder: Path, sources: Mapping[str, str], picture: str) -> list[str]:
    """Compare what an experiment is made from with what it was made from.

    Args:
        folder: the results folder, with experiment.yaml and target.png.
        sources: files that the inversion opens, by the names under which experiment.yaml records their sha256.
        picture: the target's picture.

    Returns:
        A line for each source that was changed or lost, or whose record cannot be read.
    """
    found, wanted = [], []
    record, target = folder / "experiment.yaml", folder / "target.png"
    try:
        recorded = yaml.safe_load(record.read_text(encoding="utf-8"))["sha256"]
        wanted += [(name, file, str(recorded[name])) for name, file in sources.items() if name in recorded]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        found.append(f"unreadable: {record} ({type(error).__name__})")
    made = made_from(target)
    if made is None:
        found.append(f"unreadable: {target}")
    else:
        wanted.append(("picture", picture, str(made.get("sha256"))))
    for name, file, sha256 in wanted:
        if not Path(file).is_file():
            found.append(f"lost: {file} ({name})")
        elif sha256_of(file) != sha256:
            found.append(f"changed: {file} ({name})")
    return found


def _files(product: Path) -> list[Path]:
    """The file, or the files of a folder but for Snakemake's own mark."""
    if product.is_dir():
        return [file for file in product.rglob("*") if file.is_file() and file.name != ".snakemake_timestamp"]
    return [product]
