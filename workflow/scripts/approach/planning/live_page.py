"""The live page of a run: which stage is at work, what is done, what failed. No torch.

Snakemake tells its log handlers of every job; this one writes down what it hears, now and then, beside a page that
reads it from disk. What a batch shows it writes itself (inversion/preview.py): nothing of it passes through here.
"""

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from approach.errors import UserError
from approach.live import SUFFIX, part_of, tell
from approach.planning.plan import Plan
from approach.trajectories import read_metadata
from approach.wording import setting_words, work_of

PAGE = Path(__file__).with_name("live.html")
PAUSE = 2.0  # seconds between two looks at what has changed
HEARTBEAT = 10.0  # seconds after which it is written though nothing has changed: the run is alive
MOST_RUNNING, MOST_FINISHED, MOST_FAILED = 32, 8, 40  # of those that the page shows
TAIL = 4096  # bytes of a log in which its last line is looked for


class LivePage(logging.Handler):
    """Hears of jobs and writes results/{name}/live/run.js until the run ends."""

    def __init__(self, plan: Plan):
        super().__init__(logging.INFO)
        self.plan = plan
        self.folder = Path(plan.results) / "live"
        self.summary: list[str] = []
        self.order: list[str] = []
        self.totals: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.running: dict[int, dict] = {}
        self.finished: list[str] = []
        self.failures: dict[int | str, dict] = {}
        self.state, self.began = "", 0.0
        self._said, self._written = {}, 0.0
        self._ended = threading.Event()

    def begin(self, jobs: Iterable[str], rules: Iterable[str], summary: Sequence[str]) -> str:
        """Put the page there, and write until the run ends.

        Args:
            jobs: the rule of every job that Snakemake is going to run.
            rules: all rules in the order in which they are shown.
            summary: what the run is about, in lines.

        Returns:
            The line that names the page.
        """
        self.totals = Counter(jobs)
        self.order = [rule for rule in rules if rule in self.totals and rule != "all"]
        self.summary, self.state, self.began = list(summary), "running", time.time()
        self._write()
        with suppress(OSError):  # a disk without room stops the jobs, and they say so
            shutil.copyfile(PAGE, self.folder / "index.html")
        threading.Thread(target=self._repeat, name="live page", daemon=True).start()
        return f"watch it: {self.folder / 'index.html'}"

    def emit(self, record: logging.LogRecord) -> None:
        """Note what a line of Snakemake's log says of a job; whatever goes wrong here stops no run."""
        try:
            self._note(record, getattr(record, "event", None))
        except Exception:
            self.handleError(record)

    def _note(self, record: logging.LogRecord, event: str | None) -> None:
        if event == "job_info" and record.rule_name != "all":
            job = {"rule": record.rule_name, "log": list(record.log), **dict(record.wildcards or {})}
            self.failures.pop(record.jobid, None)  # it is tried once more
            self.running[record.jobid] = job
        elif event == "job_finished" and (job := self.running.pop(record.job_id, None)):
            self.done[job["rule"]] += 1
            if job["rule"] == "invert":
                self.finished.append(_batch_of(job))
                part_of(self._live_file(_batch_of(job))).unlink(missing_ok=True)
                self._note_failed_seeds(job)
        elif event == "job_error" and (job := self.running.pop(record.jobid, None)):
            self.failures[record.jobid] = job

    def end(self, state: str) -> None:
        """Write for the last time, if a page was begun: the run is `done`, or has `failed`."""
        self._ended.set()
        with self.lock:
            if self.state:
                self.state = state
                self._write()

    def _repeat(self) -> None:
        while not self._ended.wait(PAUSE):
            with self.lock:
                if self.state == "running":
                    self._write()

    def _write(self) -> None:
        """Write what has changed, or that the run is alive. Without its pulse and its time both are the same."""
        said, now = self._data(), time.time()
        if said != self._said or now - self._written > HEARTBEAT:
            tell(self.folder / "run.js", {"written": now, **said})
            self._said, self._written = said, now

    def _data(self) -> dict:
        batches = [_batch_of(job) for job in self.running.values() if job["rule"] == "invert"]
        told = [batch for batch in batches if _written(self._live_file(batch)) >= self.began]
        page = Path(self.plan.results) / "page" / "index.html"
        return {
            "title": work_of(self.plan.base, self.plan.name).title,
            "state": self.state,
            "began": self.began,
            "summary": self.summary,
            "target": Path(self.plan.target).is_file(),
            "page": page.is_file() and self.state == "done",
            "stages": [
                {
                    "rule": rule.replace("_", " "),
                    "done": self.done[rule],
                    "total": self.totals[rule],
                    "at_work": [_words(job) for job in self.running.values() if job["rule"] == rule][:MOST_RUNNING],
                }
                for rule in self.order
            ],
            "batches": [_shown(batch) for batch in told[:MOST_RUNNING]],
            "beginning": len(batches) - len(told),
            "finished": [_shown(batch) for batch in self.finished[-MOST_FINISHED:] if _written(self._live_file(batch))],
            "failures": [_failure(job) for job in list(self.failures.values())[:MOST_FAILED]],
            "failed": len(self.failures),
        }

    def _live_file(self, batch: str) -> Path:
        setting, label = batch.split("/")
        return Path(self.plan.results) / setting / "trajectories" / f"{label}{SUFFIX}"

    def _note_failed_seeds(self, job: dict) -> None:
        file = Path(self.plan.results) / job["setting"] / "trajectories" / f"{job['seeds']}.safetensors"
        try:
            metadata = read_metadata(file)
        except UserError:
            return  # whoever needs it says so
        for seed, status, step in zip(metadata["seeds"], metadata["status"], metadata["last_step"], strict=True):
            if status == "failed":
                line = f"stopped at step {step}: its loss was no longer a number; the other starts go on"
                self.failures[f"{_batch_of(job)}/{seed}"] = {**job, "seeds": str(seed), "line": line}


def _written(file: Path) -> float:
    """When a file was written; long ago where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _batch_of(job: dict) -> str:
    return f"{job['setting']}/{job['seeds']}"


def _shown(batch: str) -> dict[str, str]:
    setting, label = batch.split("/")
    return {"batch": batch, "setting": setting_words(setting), "label": label}


def _words(job: dict) -> str:
    """A job's wildcards in words."""
    said = {key: setting_words(value) if key in ("setting", "film") else value for key, value in job.items()}
    seeds = {"seeds": f"starts {said['seeds']}"} if "seeds" in said else {}
    others = ("rule", "log", "name", "line")
    return ", ".join(str(value) for key, value in {**said, **seeds}.items() if key not in others)


def _failure(job: dict) -> dict[str, str]:
    log = job["log"][0] if job["log"] else ""
    line = job.get("line") or (last_line(Path(log)) if log else "")
    return {"rule": job["rule"].replace("_", " "), "what": _words(job), "line": line, "log": log}


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
