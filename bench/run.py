"""A whole run by stage, one commit against another in turns: python bench/run.py COMMIT [COMMIT ...] --experiments demo

Each round runs every experiment once with every commit, each run in a git worktree of its own, so that what else the
machine does falls on all alike. The table tells, of each stage, the seconds of its jobs and what the processor worked
for them (what Snakemake wrote into benchmarks/), and of the whole run the time on the wall and the processor seconds.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from report import ROOT
from stages import job_seconds

MEMBERS = ",".join(f'"loss~l1-ssim+lr~{rate}/{seed}"' for rate, seed in ((0.02, 0), (0.02, 5), (0.05, 3)))
OTHERS = "films.others={vary:seed,of:[3,4,5]} films.finds={vary:rank,of:[closest,median,strangest]}"
# What is given after --config: the demo; 12 trajectories with 7 films; 64 seeds with 3 films.
EXPERIMENTS = {
    "demo": {},
    "films": {"seeds": 6, "lr": "0.02,0.05", "hydra": f"{OTHERS} films.mine={{vary:trajectory,of:[{MEMBERS}]}}"},
    "seeds": {"seeds": 64, "hydra": OTHERS},
}
WHOLE = "the whole run"
Stages = dict[str, tuple[int, float, float]]  # stage -> jobs, their seconds, their processor seconds


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """A git worktree of a commit, for a while."""
    tree = folder / "tree"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def processor_seconds() -> float:
    """What the processor worked for the children of this process that have ended, and for theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def whole_run(commit: str, experiment: str, cores: int) -> Stages:
    """Run an experiment with a commit from nothing to its page.

    Returns:
        The stages, and the whole run as one more.
    """
    with tempfile.TemporaryDirectory() as folder, checked_out(commit, Path(folder)) as tree:
        given = [f"{key}={value}" for key, value in {"name": experiment, **EXPERIMENTS[experiment]}.items()]
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "all", "--config", *given]
        began, worked = time.monotonic(), processor_seconds()
        subprocess.run(command, cwd=tree, check=True)
        spent = time.monotonic() - began, processor_seconds() - worked
        return {**by_stage(tree / "benchmarks" / experiment), WHOLE: (1, *spent)}


def by_stage(benchmarks: Path) -> Stages:
    """The jobs of a run by stage; Snakemake writes NA as the processor seconds of a job that was too short to see."""
    seconds, worked = job_seconds(benchmarks), job_seconds(benchmarks, "cpu_time")
    return {stage: (len(each), sum(each), sum(worked.get(stage, []))) for stage, each in seconds.items()}


def as_table(runs: dict[str, list[Stages]]) -> str:
    """The median over rounds of each commit's stages, side by side, as markdown."""
    title = " | ".join(f"{commit}: jobs | seconds | processor" for commit in runs)
    lines = [f"| stage | {title} |", f"| --- |{' ---: | ---: | ---: |' * len(runs)}"]
    stages = dict.fromkeys(stage for rounds in runs.values() for found in rounds for stage in found)
    cells = {stage: [_median(rounds, stage) for rounds in runs.values()] for stage in stages}
    for stage in sorted(stages, key=lambda name: -max(each[1] for each in cells[name])):
        numbers = " | ".join(f"{jobs:.0f} | {seconds:.1f} | {worked:.1f}" for jobs, seconds, worked in cells[stage])
        lines.append(f"| {stage} | {numbers} |")
    return "\n".join(lines)


def _median(rounds: list[Stages], stage: str) -> tuple[float, ...]:
    found = [each[stage] for each in rounds if stage in each] or [(0, 0.0, 0.0)]
    return tuple(statistics.median(column) for column in zip(*found, strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Run the experiments in turns and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="+", metavar="COMMIT")
    parser.add_argument("--experiments", nargs="+", choices=EXPERIMENTS, default=["demo"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    given = parser.parse_args(arguments)
    for experiment in given.experiments:
        runs = {commit: [] for commit in given.commits}
        for _ in range(given.rounds):
            for commit in given.commits:
                runs[commit].append(whole_run(commit, experiment, given.cores))
        load = os.getloadavg()[0]
        print(f"\n{experiment}, {given.cores} cores; load average at the end {load:.1f}\n\n{as_table(runs)}")


if __name__ == "__main__":
    main()
