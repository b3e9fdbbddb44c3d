"""What checksums cost an inversion: python bench/checksums.py puts a table into docs/performance.md.

Each experiment inverts one batch as a job does, in an empty folder, with the clock stopped around every sha256 that
the inversion computes: of its sources, its checkpoints and its trajectories. Processor time, so that other work on the
machine does not count.
"""

import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the Snakefile does: waiting threads use no processor time

from approach import sources, trajectories  # noqa: E402
from approach.biggan.config import read_config  # noqa: E402
from approach.inversion import batch, checkpoint  # noqa: E402
from approach.planning.identity import inversion_config  # noqa: E402
from approach.planning.plan import make_plan  # noqa: E402
from approach.target import prepare_target, write_target  # noqa: E402
from report import put  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
EXPERIMENTS = {"3 seeds, 60 steps": {"steps": 60}, "16 seeds, 20 steps": {"seeds": 16, "steps": 20}}
# What is hashed where.
PLACES = {"sources": (sources, "file_digest"), "checkpoints": (checkpoint, "sha256")}
PLACES |= {"trajectories": (trajectories, "sha256")}


def watched(module, function: str, place: str, spent: Counter) -> SimpleNamespace:
    """A hashlib whose function counts its processor time under the place."""
    honest = getattr(module.hashlib, function)

    def timed(*words):
        began = time.process_time()
        try:
            return honest(*words)
        finally:
            spent[place] += time.process_time() - began
            spent[f"{place}, times"] += 1

    return SimpleNamespace(**{"sha256": module.hashlib.sha256, function: timed})


def inverted(given: dict) -> Counter:
    """Invert the only batch of a plan in the working folder; processor seconds: whole, and by what was hashed."""
    plan = make_plan({"name": "checksums", **given}, ROOT)
    setting = next(iter(plan.settings.values()))
    seeds = next(iter(setting.batches.values()))
    files = {name: Path(file) for name, file in plan.inversion_files(setting.id).items()}
    files["target"].parent.mkdir(parents=True)
    size = read_config(files["architecture"]).output_dim
    write_target(files["target"], prepare_target(plan.base["target"]["picture"], size), {})
    spent, kept = Counter(), {name: module.hashlib for name, (module, _) in PLACES.items()}
    for name, (module, function) in PLACES.items():
        module.hashlib = watched(module, function, name, spent)
    began = time.process_time()
    try:
        places = [Path("0.safetensors"), Path("0.csv"), Path("0.pt")]
        batch.invert(seeds, inversion_config(setting.config), "", batch.Sources(**files), *places, {})
    finally:
        for name, (module, _) in PLACES.items():
            module.hashlib = kept[name]
    spent["whole"] = time.process_time() - began
    return spent


def measured(given: dict) -> Counter:
    """Invert in a folder of its own."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return inverted(given)
        finally:
            os.chdir(before)


def as_table(rows: dict[str, Counter]) -> str:
    """The table as markdown."""
    head = ["inversion", "processor, s", *(f"{place}, ms (times)" for place in PLACES), "share"]
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for name, spent in rows.items():
        cells = [f"{1000 * spent[place]:.1f} ({spent[f'{place}, times']})" for place in PLACES]
        share = sum(spent[place] for place in PLACES) / spent["whole"]
        lines.append(f"| {name} | {spent['whole']:.1f} | {' | '.join(cells)} | {share:.2%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    put(PAGE, "checksums", as_table({name: measured(given) for name, given in EXPERIMENTS.items()}))
