"""A whole run by stage, one commit against another in turns: python bench/run.py COMMIT [COMMIT ...] --experiments demo

Each round runs every experiment once with every commit, each run in a git worktree of its own, so that what else the
machine does falls on all alike. The table tells, of each script, how many processes ran it, their seconds from first to
last, imports included, and what the processor worked for them and for the ffmpeg that they started; and of the whole
run the time on the wall and the processor seconds. Every process tells that itself when it ends (TOLD), since
Snakemake's benchmarks look at a job now and then and miss its end. Before a run's table stands what it had estimated.
"""

import argparse
import os
import re
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

MEMBERS = ",".join(f'"loss~l1-ssim+lr~{rate}/{seed}"' for rate, seed in ((0.02, 0), (0.02, 5), (0.05, 3)))
OTHERS = "films.others={vary:seed,of:[3,4,5]} films.finds={vary:rank,of:[closest,median,strangest]}"
# What is given after --config: the demo; 12 trajectories with 7 films; 64 seeds with 3 films.
EXPERIMENTS = {
    "demo": {},
    "films": {
        "loss": "l1-ssim",
        "seeds": 6,
        "lr": "0.02,0.05",
        "hydra": f"{OTHERS} films.mine={{vary:trajectory,of:[{MEMBERS}]}}",
    },
    "seeds": {"seeds": 64, "hydra": OTHERS},
}
WHOLE, SNAKEMAKE = "the whole run", "snakemake"
Stages = dict[str, tuple[int, float, float]]  # script -> processes, their seconds, their processor seconds
# Imported by every Python that starts, where it lies on PYTHONPATH.
TOLD = """
import atexit, os, resource, sys, time

def tell(began=time.time()):
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, children = (each.ru_utime + each.ru_stime for each in used)
    with open(os.path.join(os.path.dirname(__file__), "told"), "a") as file:
        print(os.path.basename(sys.argv[0]), time.time() - began, own, children, sep="\\t", file=file)

atexit.register(tell)
"""


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


def whole_run(commit: str, experiment: str, cores: int) -> tuple[Stages, str]:
    """Run an experiment with a commit from nothing to its page.

    Returns:
        The stages, and the whole run as one more; and what the run had estimated.
    """
    with tempfile.TemporaryDirectory() as folder, checked_out(commit, Path(folder)) as tree:
        (Path(folder) / "sitecustomize.py").write_text(TOLD)
        given = [f"{key}={value}" for key, value in {"name": experiment, **EXPERIMENTS[experiment]}.items()]
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--config", *given]
        began, worked = time.monotonic(), processor_seconds()
        environment = {**os.environ, "PYTHONPATH": folder}
        ran = subprocess.run(command, cwd=tree, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        spent = time.monotonic() - began, processor_seconds() - worked
        if ran.returncode:
            raise SystemExit(ran.stderr[-3000:])
        said = [line for line in ran.stderr.splitlines() if re.match("(the whole run|inversions): about", line)]
        return {**by_stage((Path(folder) / "told").read_text()), WHOLE: (1, *spent)}, "".join(said)


def by_stage(told: str) -> Stages:
    """What the processes told, by script; of Snakemake only what it worked itself: the others are its children."""
    stages: Stages = {}
    for line in told.splitlines():
        name, seconds, own, children = line.split("\t")
        stage = re.sub(r"^tmp\w*\.|\.py$", "", name)
        if name == "__main__.py":
            stage, children = SNAKEMAKE, 0
        jobs, before, worked = stages.get(stage, (0, 0.0, 0.0))
        stages[stage] = (jobs + 1, before + float(seconds), worked + float(own) + float(children))
    return stages


def as_table(runs: dict[str, list[Stages]]) -> str:
    """The median over rounds of each commit's stages, side by side, as markdown."""
    title = " | ".join(f"{commit}: processes | seconds | processor" for commit in runs)
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
                stages, said = whole_run(commit, experiment, given.cores)
                runs[commit].append(stages)
                print(f"{experiment}, {commit}: {stages[WHOLE][1]:.0f} s; {said}", flush=True)
        load = os.getloadavg()[0]
        print(f"\n{experiment}, {given.cores} cores; load average at the end {load:.1f}\n\n{as_table(runs)}")


if __name__ == "__main__":
    main()
