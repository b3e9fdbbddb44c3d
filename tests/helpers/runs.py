"""Real Snakemake runs of the project."""

import json
import os
import subprocess
from pathlib import Path

from helpers.paths import ROOT, SNAKEMAKE
from helpers.planner import run_forked

NO_JOBS = {"-n", "--touch", "--unlock", "--summary"}


class Workflow:
    """Real Snakemake runs of the project in a folder of their own."""

    def __init__(self, folder: Path, words: str):
        self.folder, self.words = folder, words

    def command(self, *options: str, hydra: str = "", **config) -> list[str]:
        """What is run; config are short keys. All seeds are inverted in one job unless they say otherwise."""
        config = {"seeds_per_job": 16, **config}
        keys = [f"{key}={value}" for key, value in config.items()]
        given = [*keys, f"hydra={self.words} {hydra}".rstrip()]
        profile = ROOT / "profiles" / "default"
        return [
            *(str(SNAKEMAKE), "-s", str(ROOT / "Snakefile"), "--directory", str(self.folder)),
            *("--workflow-profile", str(profile), "--cores", "2", *options, "--config", *given),
        ]

    def run(self, *options: str, hydra: str = "", forked: bool = False, **config) -> subprocess.CompletedProcess:
        """Run to the end, whatever it is; forked, and so sooner, where no job runs."""
        environment = {**os.environ, "PYTHONPATH": ""}
        command = self.command(*options, hydra=hydra, **config)
        if forked or NO_JOBS & set(options):
            return run_forked(command[1:], self.folder, environment)
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder, check=False)

    def done(self, *options: str, hydra: str = "", **config) -> subprocess.CompletedProcess:
        """Run, and insist that it succeeds."""
        result = self.run(*options, hydra=hydra, **config)
        assert result.returncode == 0, result.stderr[-6000:]
        return result

    def planned(self, *options: str, hydra: str = "", **config) -> dict[str, int]:
        """The rules that would run, with how many jobs of each (rule all left out)."""
        text = self.done(*options, "-n", "--quiet", "rules", hydra=hydra, **config)
        return count_jobs(text.stdout + text.stderr)


def count_jobs(text: str) -> dict[str, int]:
    """Snakemake's job table as rule -> count."""
    jobs = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.split() == ["job", "count"]:
            next(lines)
            for row in lines:
                words = row.split()
                if len(words) != 2 or words[0] == "total":
                    break
                jobs[words[0]] = int(words[1])
    jobs.pop("all", None)
    return jobs


def told(path: Path) -> dict:
    """What a script tells the live page."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("live({") and text.endswith("});\n")
    return json.loads(text[5:-3])
