"""Where a run's time went, stage by stage: python bench/stages.py NAME puts it into docs/performance.md.

Reads benchmarks/NAME (what Snakemake wrote of each job) and results/NAME (the seconds of each step of each inversion).
Jobs run side by side, so the seconds add up to more than a person waits.
"""

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

from report import PAGE, ROOT, put


def job_seconds(folder: Path, column: str = "s") -> dict[str, list[float]]:
    """Seconds of every job in a folder of Snakemake benchmarks, by stage, such as invert and render.

    Args:
        folder: of one run's benchmarks.
        column: s, the time on the wall, or cpu_time; jobs of which it says NA are left out.
    """
    found = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        stage = path.parent.name if path.parent.name == "invert" else re.sub(r"-\d+$", "", path.stem)
        with path.open(newline="") as table:
            rows = list(csv.DictReader(table, delimiter="\t"))
        found[stage] += [float(row[column]) for row in rows if row[column] != "NA"]
    return dict(found)


def step_seconds(results: Path) -> float:
    """Seconds spent in the steps of all inversions; the seeds of a batch share each step, and each logs all of it."""
    total = 0.0
    for path in sorted(results.rglob("trajectories/*.csv")):
        with path.open(newline="") as table:
            rows = list(csv.DictReader(table))
        total += sum(float(row["seconds"]) for row in rows if row["seed"] == rows[0]["seed"])
    return total


def table(name: str) -> str:
    """The split as markdown, longest stage first."""
    stages = job_seconds(ROOT / "benchmarks" / name)
    whole = sum(map(sum, stages.values()))
    lines = ["| stage | jobs | seconds | share |", "| --- | ---: | ---: | ---: |"]
    for stage, seconds in sorted(stages.items(), key=lambda item: -sum(item[1])):
        lines.append(f"| {stage} | {len(seconds)} | {sum(seconds):.1f} | {sum(seconds) / whole:.0%} |")
    steps = step_seconds(ROOT / "results" / name)
    if steps and "invert" in stages:
        jobs = sum(stages["invert"])
        words = f"Of the inversion jobs' {jobs:.1f} s, {steps:.1f} s were steps ({steps / jobs:.0%}); the rest is"
        lines += ["", f"{words} imports, weights, starts and writing."]
    return "\n".join(lines)


if __name__ == "__main__":
    put(PAGE, "stages", table(sys.argv[1]))
