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

from approach.batch_labels import members
from approach.errors import UserError, one_line
from approach.live import SUFFIX, batch_of, part_of, tell
from approach.planning.plan import Plan
from approach.trajectories import read_metadata
from approach.wording import setting_words, work_of

logger = logging.getLogger("approach")

PAGE = Path(__file__).with_name("live.html")
INVERSIONS = ("invert", "invert_start")  # rules whose jobs tell of themselves
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
        self.finished: list[dict] = []
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
            job = {"rule": record.rule_name, "log": list(record.log), "words": _words(dict(record.wildcards or {}))}
            if job["rule"] in INVERSIONS:
                job["trajectories"] = Path(record.output[0])
            self.failures.pop(record.jobid, None)  # it is tried once more
            self.running[record.jobid] = job
        elif event == "job_finished" and (job := self.running.pop(record.job_id, None)):
            self.done[job["rule"]] += 1
            if "trajectories" in job:
                self.finished.append(job)
                part_of(_live_file(job)).unlink(missing_ok=True)
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
        """Write what has changed, or that the run is alive. Without its pulse and its time both are the same.

        What only watches stops no run: whatever goes wrong here is a line.
        """
        try:
            said, now = self._data(), time.time()
            if said != self._said or now - self._written > HEARTBEAT:
                tell(self.folder / "run.js", {"written": now, **said})
                self._said, self._written = said, now
        except Exception as error:
            logger.warning("the live page stands still: %s", one_line(error))

    def _data(self) -> dict:
        batches = sorted((job for job in self.running.values() if "trajectories" in job), key=_place)
        told = [job for job in batches if _written(_live_file(job)) >= self.began]
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
                    "at_work": [job["words"] for job in self.running.values() if job["rule"] == rule][:MOST_RUNNING],
                }
                for rule in self.order
            ],
            "batches": [self._shown(job) for job in told[:MOST_RUNNING]],
            "beginning": len(batches) - len(told),
            "finished": [self._shown(job) for job in self.finished[-MOST_FINISHED:] if _written(_live_file(job))],
            "failures": [_failure(job) for job in list(self.failures.values())[:MOST_FAILED]],
            "failed": len(self.failures),
        }

    def _shown(self, job: dict) -> dict[str, str]:
        file = _live_file(job)
        return {"batch": batch_of(file), "file": file.relative_to(self.plan.results).as_posix(), "words": job["words"]}

    def _note_failed_seeds(self, job: dict) -> None:
        try:
            metadata = read_metadata(job["trajectories"])
        except UserError:
            return  # whoever needs it says so
        for seed, status, step in zip(metadata["seeds"], metadata["status"], metadata["last_step"], strict=True):
            if status == "failed":
                line = f"stopped at step {step}: its loss was no longer a number; the other starts go on"
                self.failures[f"{job['trajectories']}/{seed}"] = {**job, "line": f"start {seed} {line}"}


def _place(job: dict) -> tuple[str, int]:
    """Where a batch stands among others: by its setting, then by its first seed."""
    return str(job["trajectories"].parent), members(job["trajectories"].stem)[0]


def _written(file: Path) -> float:
    """When a file was written; long ago where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _live_file(job: dict) -> Path:
    return job["trajectories"].with_suffix(SUFFIX)


def _words(wildcards: dict[str, str]) -> str:
    """A job's wildcards in words; the experiment's name is known."""
    words = {key: setting_words(value) if key in ("setting", "film") else value for key, value in wildcards.items()}
    if "seeds" in words:
        words["seeds"] = f"start{'' if words['seeds'].isdigit() else 's'} {words['seeds']}"
    return ", ".join(word for key, word in words.items() if key != "name")


def _failure(job: dict) -> dict[str, str]:
    log = job["log"][0] if job["log"] else ""
    line = job.get("line") or (last_line(Path(log)) if log else "")
    return {"rule": job["rule"].replace("_", " "), "what": job["words"], "line": line, "log": log}


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
