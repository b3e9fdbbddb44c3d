"""Kills at random moments of every stage, then the same command until it is done: nothing differs, nothing is left.

    python tests/soak.py --minutes 20 --seed 1 --log kills.jsonl     (make soak MINUTES=20)
    python tests/soak.py --report kills.jsonl others.jsonl           what all of them did

A tiny experiment is made once, undisturbed. Then, round after round, it is put back, some products of one stage are
deleted, and the command that makes them is typed until it is done, while SIGKILL, SIGTERM and SIGINT (Ctrl-C) fall on
the job, on Snakemake, or on both with all that they started. A round's choices come from its seed; when exactly a blow
lands is the machine's.

With --alone the very scripts that Snakemake ran are run again without it, by a process that has the libraries loaded
already, and what Snakemake does between two attempts (deleting what a job left) is done here: several kills a second.
"""

import argparse
import ast
import importlib
import io
import json
import os
import pickle
import random
import re
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from PIL import Image

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "workflow" / "scripts")]
from approach.inversion.checkpoint import DIGEST  # noqa: E402
from helpers.generators import write_tiny  # noqa: E402
from helpers.runs import Workflow  # noqa: E402

STEPS = 120
NAME = "soak"
RESULTS, FILMS = f"results/{NAME}", f"results/{NAME}/films/starts+loss~l2+lr~0.4"
SETTING = f"{RESULTS}/loss~l2+lr~0.4"
TRAJECTORIES, CHECKPOINT = f"{SETTING}/trajectories/0-2.safetensors", f"{SETTING}/checkpoints/0-2.pt"
SMALL = "threads=1 panorama.grid=6 video.seconds=0.6 video.fps=10 video.size=64 generator.discriminator=null"
# Stage -> scripts and what is deleted and asked for again, one entry a round.
STAGES: dict[str, list[tuple[str, list[str]]]] = {
    "inversion": [("invert", [TRAJECTORIES, f"{SETTING}/trajectories/0-2.csv"])],
    "end of inversion": [("invert", [TRAJECTORIES, f"{SETTING}/trajectories/0-2.csv"])],
    "tables": [
        ("losses", [f"{SETTING}/losses.csv"]),
        ("gather_losses", [f"{RESULTS}/losses.parquet"]),
        ("trajectory_table", [f"{RESULTS}/trajectories.csv"]),
        ("starts", [f"{RESULTS}/starts.csv"]),
        ("provenance", [f"{RESULTS}/experiment.yaml"]),
        ("checksums", [f"{RESULTS}/checksums.sha256"]),
    ],
    "montage": [
        ("montage", [f"{SETTING}/montage.png"]),
        ("montage_of_arrivals", [f"{RESULTS}/montage.png"]),
        ("stills", [f"{SETTING}/stills.npz", f"{SETTING}/metrics.csv"]),
    ],
    "render": [("render", [f"{FILMS}/frames/{channel}.mkv" for channel in (1, 2, 3)])],
    "encode": [("encode", [*[f"{FILMS}/channel-{channel}.mp4" for channel in (1, 2, 3)], f"{FILMS}/triptych.mp4"])],
    "page": [("page", [f"{RESULTS}/page/index.html"]), ("viewer", [f"{FILMS}/viewer"])],
    "download": [("fetch", ["resources/downloads/{file}"])],
}
STAGE_OF = {rule: stage for stage, entries in STAGES.items() if stage != "end of inversion" for rule, _ in entries}
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
VICTIMS = [*["job"] * 6, "group", "snakemake"]
WHOLE = -1  # among the bytes from which the server was asked: it has sent the last one
PAUSE = 0.02  # seconds between two looks
PATIENCE = 240.0  # seconds after which a command hangs
RETRIES = 20
# Rows tell the seconds that a step took: in these tables that column is left out of the comparison.
SECONDS = {f"{SETTING}/losses.csv", f"{SETTING}/trajectories/0-2.csv", f"{RESULTS}/losses.parquet"}
# The sums of those tables; and what is shown to whoever watches, which began with the last kill.
OF_THIS_RUN = {f"{RESULTS}/checksums.sha256", f"{SETTING}/trajectories/0-2.live.js", f"{RESULTS}/live/run.js"}
LOADED = ["approach.inversion.batch", "approach.loading", "approach.film.render", "approach.film.encode"]
LOADED += ["approach.film.captions", "approach.pictures.tables", "approach.pictures.montage", "approach.page.page"]
LOADED += ["approach.fetching", "approach.provenance", "approach.checksums", "snakemake.iocontainers", "pandas"]
JOB = re.compile(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py$")


# The picture's server


class Handler(BaseHTTPRequestHandler):
    """Serves one picture slowly, from where it is asked for, and notes from where."""

    def do_GET(self):
        body, etag, begin = self.server.body, '"soak"', 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range") == etag:
            begin = int(asked[1])
            if begin == len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{begin}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.server.begun.append(begin)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body) - begin))
        self.send_header("ETag", etag)
        self.end_headers()
        try:
            for at in range(begin, len(body), 20_000):
                self.wfile.write(body[at : at + 20_000])
                time.sleep(0.04)
            self.server.begun.append(WHOLE)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def picture_server(noted: Path) -> ThreadingHTTPServer:
    """A server on this machine, whose picture takes about two seconds; on the port that is noted, if there is one."""
    port = int(noted.read_text()) if noted.exists() else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    noted.write_text(str(server.server_port))
    noise = np.random.default_rng(0).integers(0, 256, (576, 576, 3), dtype=np.uint8)
    with tempfile.TemporaryFile() as file:
        Image.fromarray(noise).save(file, "PNG")
        file.seek(0)
        server.body = file.read()
    server.begun = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


# Scripts without Snakemake


def keep_scripts(folder: Path, place: Path, done: threading.Event) -> None:
    """Copy the scripts that Snakemake writes for its jobs, until it is done: it deletes them."""
    place.mkdir()
    while not done.wait(0.02):
        for script in (folder / ".snakemake" / "scripts").glob("*.py"):
            if not (place / script.name).exists() and "preamble end" in (text := script.read_text()):
                (place / script.name).write_text(text)


def prepare(folder: Path, outputs: list[str], log: str) -> None:
    """What Snakemake does before a job: delete what an earlier attempt left of its outputs, and make their folders."""
    for file in [*outputs, log]:
        path = folder / file
        if path.is_dir():
            shutil.rmtree(path)
        elif file != log:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)


class Nursery:
    """A process with the libraries loaded, which forks and runs scripts one at a time."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is read ahead would be hidden from select
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def begin(self, script: Path, folder: Path, words: Path) -> int:
        """Begin a script in a session of its own; the id of its process."""
        self.process.stdin.write(json.dumps([str(script), str(folder), str(words)]).encode() + b"\n")
        return int(self.process.stdout.readline())

    def ended(self, seconds: float) -> int | None:
        """Wait a little for the script; its exit code once it has ended."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return int(self.process.stdout.readline()) if ready else None

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def be_nursery() -> None:
    """Fork and run what is asked for on standard input, line by line."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        script, folder, words = json.loads(line)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chdir(folder)
            said = os.open(words, os.O_WRONLY | os.O_CREAT)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.argv = [script]
            code = 0
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                code = 1
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


# One blow


@dataclass
class Blow:
    """What falls on whom: `delay` seconds after the moment began."""

    victim: str  # job | group (Snakemake and all that it started) | snakemake
    number: int
    moment: (
        str  # start (of the command) | loading (of the job) | work (after its log began) | end (it wrote its product)
    )
    delay: float


@dataclass
class Attempt:
    """One command that was typed, and what became of it."""

    code: int = 0
    text: str = ""
    kills: list[dict] = field(default_factory=list)
    finished: bool = False  # whether a finished inversion lay there after the last blow
    began: bool = False  # whether a checkpoint lay there


class Soak:
    """The experiment, its undisturbed twin, and what was counted."""

    def __init__(self, folder: Path, log: Path | None, seed: int):
        self.folder, self.twin, self.log = folder / "work", folder / "undisturbed", log
        self.scripts, self.took = folder / "scripts", {}
        self.seed, self.rounds, self.kills, self.problems = seed, 0, [], []
        self.work = Counter(dict.fromkeys(STAGE_OF, 0.5))  # seconds of work that are aimed at, learned
        self.server = picture_server(folder / "port")
        (folder / "tiny").mkdir(exist_ok=True)
        words = f"{write_tiny(folder / 'tiny')} {SMALL}"
        self.keys = {"name": NAME, "loss": "l2", "seeds": 3, "seeds_per_job": 3, "steps": STEPS}
        self.keys["target"] = f"http://127.0.0.1:{self.server.server_port}/picture.png"
        self.workflow = Workflow(self.folder, words)

    def begin(self) -> None:
        """Make the experiment, undisturbed, and keep the scripts that Snakemake runs for that."""
        if not self.twin.exists():
            self.make()
        self.file = next(path.name for path in (self.twin / "resources/downloads").glob("*.png"))

    def make(self) -> None:
        """Run the whole experiment once."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.scripts, ignore_errors=True)
        self.folder.mkdir()
        done = threading.Event()
        keeper = threading.Thread(target=keep_scripts, args=(self.folder, self.scripts, done))
        keeper.start()
        try:
            self.workflow.done(**self.keys)
        finally:
            done.set()
            keeper.join()
        shutil.copytree(self.folder, self.folder.with_name("copy"))
        self.folder.with_name("copy").rename(self.twin)

    def note(self, kind: str, **what) -> None:
        """Remember a kill, a round or a problem, in the log as well."""
        entry = {"kind": kind, "seed": self.seed, "round": self.rounds, "at": round(time.time(), 2), **what}
        {"kill": self.kills, "problem": self.problems}.get(kind, []).append(entry)
        if self.log:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def problem(self, stage: str, what: str, text: str = "") -> None:
        """Something that must not be."""
        print(f"PROBLEM in {stage}, round {self.rounds}: {what}\n{text[-3000:]}", file=sys.stderr, flush=True)
        self.note("problem", stage=stage, what=what, text=text[-6000:])

    # A round

    def round(self, stage: str, most: int) -> None:
        """Delete products of a stage, and have them made again while up to `most` kills fall."""
        self.rounds += 1
        chance = random.Random(f"{self.seed} {self.rounds} {stage}")
        rule, files = chance.choice(STAGES[stage])
        files = [file.replace("{file}", self.file) for file in files]
        self.put_back(files)
        self.server.begun.clear()
        left, retries, furthest, last, orphans = chance.randint(1, most), chance.random() < 0.6, 0, None, []
        began, landed = time.monotonic(), 0
        for number in range(99):
            blows = (aim(chance, stage, self.work[rule], retries) for _ in range(left))
            attempt = self.attempt(files, rule, stage, list(blows), retries)
            left, landed = left - len(attempt.kills), landed + len(attempt.kills)
            furthest = self.check_attempt(stage, attempt, last, furthest, orphans)
            if attempt.code == 0:
                break
            last = attempt if attempt.kills or last is None else last
            left = left if number < 30 else 0
            if "type `snakemake --unlock`" in attempt.text:
                self.note("unlock", stage=stage)
                self.workflow.done("--unlock", **self.keys)
            orphans = self.working()
            if orphans and chance.random() < 0.5:
                self.wait_for_orphans(stage)
                orphans = []
        else:
            self.problem(stage, "not done after 99 commands", attempt.text)
        self.wait_for_orphans(stage)
        self.check_round(stage, files)
        self.note("round", stage=stage, rule=rule, kills=landed, seconds=round(time.monotonic() - began, 1))

    # A round without Snakemake

    def drill(self, nursery: "Nursery", stage: str, most: int) -> None:
        """Like a round, of one script alone: up to `most` kills, and between two of them what Snakemake would do."""
        self.rounds += 1
        chance = random.Random(f"{self.seed} {self.rounds} {stage} alone")
        _, files = chance.choice(STAGES[stage])
        files = [file.replace("{file}", self.file) for file in files]
        script, outputs, log = next(found for found in self.kept_scripts() if files[0] in found[1])
        left, began, landed, most = chance.randint(1, most), time.monotonic(), 0, 4 * most
        while True:  # until it is done and enough has fallen
            self.put_back(files)
            self.server.begun.clear()
            furthest, last, attempt = 0, None, None
            while attempt is None or attempt.kills or attempt.code:
                most -= 1
                blow = aim_alone(chance, stage, self.took.get(files[0], 1.0)) if left > 0 and most > 0 else None
                attempt = self.run_alone(nursery, script, files, outputs, log, stage, blow)
                left, landed = left - len(attempt.kills), landed + len(attempt.kills)
                furthest = self.check_attempt(stage, attempt, last, furthest, [])
                last = attempt if attempt.kills or last is None else last
                if attempt.code and not attempt.kills:
                    break
                if chance.random() < 0.5:
                    self.wait_for_orphans(stage)
            self.wait_for_orphans(stage)
            self.check_round(stage, files)
            if left <= 0 or most <= 0:
                break
        self.note("round", stage=stage, alone=True, kills=landed, seconds=round(time.monotonic() - began, 1))

    def run_alone(
        self,
        nursery: "Nursery",
        script: Path,
        files: list[str],
        outputs: list[str],
        log: str,
        stage: str,
        blow: Blow | None,
    ) -> Attempt:
        """Run a script, let the blow fall; its exit code, or the signal that ended it as a negative number."""
        found, words = Attempt(), self.folder / ".said"
        prepare(self.folder, outputs, log)
        products, ended = [self.folder / file for file in files], None
        pid, began = nursery.begin(script, self.folder, words), time.monotonic()
        limit = began + PATIENCE
        while (code := nursery.ended(0.002)) is None:
            now = time.monotonic()
            if products[-1].exists():
                ended = ended or now
            if now > limit:
                self.problem(stage, f"the script still runs after {PATIENCE:.0f} s")
                os.kill(pid, signal.SIGKILL)
                limit = now + PATIENCE
            moment = ended if blow and blow.moment == "end" else began
            if blow is None or moment is None or now < moment + blow.delay:
                continue
            writing = any(product.exists() or hidden(product) for product in products)
            try:
                (os.killpg if blow.victim == "group" else os.kill)(pid, blow.number)
            except ProcessLookupError:
                continue
            hit = {"stage": stage, "of": stage, "victim": blow.victim, "signal": signal.Signals(blow.number).name}
            hit |= {"phase": "end" if ended else "work", "writing": writing, "alone": True}
            self.note("kill", **hit)
            found.kills.append(hit)
            found.finished, found.began, blow = products[-1].exists(), (self.folder / CHECKPOINT).exists(), None
        if not found.kills and code == 0:
            self.took[files[0]] = time.monotonic() - began
        if words.exists():  # unless it was killed at birth
            found.text = words.read_text(errors="replace")
            words.unlink()
        found.code = code
        return found

    def kept_scripts(self) -> list[tuple[Path, list[str], str]]:
        """The scripts that Snakemake ran, with their outputs and their logs."""
        found = []
        for script in sorted(self.scripts.glob("*.py")):
            calls = (node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call))
            given = next(call.args[0].value for call in calls if getattr(call.func, "attr", "") == "loads")
            given = pickle.loads(given)
            found.append((script, list(given.output), given.log[0]))
        return found

    def put_back(self, files: list[str]) -> None:
        """The folder as it was after the undisturbed run, without some products."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.twin, self.folder, symlinks=True)
        for file in files:
            path = self.folder / file
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for beside in (self.folder / "resources/downloads").glob("*.lock.json") if "downloads" in files[0] else ():
            beside.unlink()

    def attempt(self, files: list[str], rule: str, stage: str, blows: list[Blow], retries: bool) -> Attempt:
        """Type the command; let the blows fall, one after the other, as long as it runs."""
        options = [*files[:1], *(("--retries", str(RETRIES)) if retries else ())]
        found, words = Attempt(), self.folder / ".said"
        with words.open("wb") as said:
            process = subprocess.Popen(
                self.workflow.command(*options, **self.keys),
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": "", "PYTHONFAULTHANDLER": "1"},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.strike(process, files, rule, stage, blows, found)
            found.code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            found.code = self.end_hanging(process, stage, words)
        found.text = words.read_text(errors="replace")
        words.unlink()
        return found

    def end_hanging(self, process: subprocess.Popen, stage: str, words: Path) -> int:
        """Kill a command that does not end: a problem, unless Snakemake waits for itself.

        A SIGTERM that arrives while Snakemake 9 selects jobs makes its handler wait for the lock that the code below it
        holds (JobScheduler.exit_gracefully): what SIGABRT makes it print tells.
        """
        process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        text = words.read_text(errors="replace")
        if re.search(r"most recent call first\):\n.*in exit_gracefully\n", text):
            self.note("deaf", stage=stage)
        else:
            self.problem(stage, f"the command still runs after {PATIENCE:.0f} s", text)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def strike(
        self, process: subprocess.Popen, files: list[str], rule: str, stage: str, blows: list[Blow], found: Attempt
    ) -> None:
        """Wait for each blow's moment, and let it fall."""
        began, products = time.monotonic(), [self.folder / file for file in files]
        job, since, blows = None, {}, list(blows)
        limit = began + PATIENCE
        while process.poll() is None and blows and time.monotonic() < limit:
            time.sleep(PAUSE)
            now, blow = time.monotonic(), blows[0]
            if job is None or not runs(job[0]):
                job, since = job_of(process), {}
            if job:
                since.setdefault("loading", now)
                if "work" not in since and self.log_began(job[0]):
                    since["work"] = now
                if "work" in since and "end" not in since and products[-1].exists():
                    since["end"] = now
            moment = began if blow.moment == "start" else since.get(blow.moment)
            if moment is None or now < moment + blow.delay:
                continue
            if blow.victim == "job" and (job is None or job[1] != rule):
                continue
            hit = self.fall(process, job, products, since, blow, stage)
            if hit:
                blows.pop(0)
                found.kills.append(hit)
                found.finished, found.began = products[-1].exists(), (self.folder / CHECKPOINT).exists()
                if blow.victim != "job":
                    return
                job = None
        if blows and stage != "end of inversion" and blows[0].moment == "work":  # it came too late
            self.work[rule] = max(0.02, self.work[rule] * 0.7)

    def fall(self, process, job, products: list[Path], since: dict, blow: Blow, stage: str) -> dict | None:
        """Send the signal; where it landed, or None where nobody was there any more."""
        phase = "planning"
        if job:
            phase = "end" if "end" in since else "work" if "work" in since else "loading"
        elif any(product.exists() for product in products):
            phase = "recording"
        writing = any(product.exists() or hidden(product) for product in products) and phase in ("work", "end")
        try:
            if blow.victim == "job":
                job[0].send_signal(blow.number)
            elif blow.victim == "group":
                os.killpg(process.pid, blow.number)
            else:
                process.send_signal(blow.number)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return None
        if phase == "work":
            self.work[job[1]] *= 1.1
        # Signals to Snakemake land where its job is; before and after it, Snakemake itself is what is hit.
        place = stage if job and (stage == "end of inversion" or STAGE_OF.get(job[1]) == stage) else "Snakemake"
        hit = {"stage": place, "of": stage, "victim": blow.victim, "signal": signal.Signals(blow.number).name}
        hit |= {"phase": phase, "writing": writing}
        self.note("kill", **hit)
        return hit

    def log_began(self, job: psutil.Process) -> bool:
        """Whether the job has opened its log, after its imports."""
        try:
            return any(file.path.startswith(str(self.folder / "logs")) for file in job.open_files())
        except psutil.Error:
            return False

    def working(self) -> list[psutil.Process]:
        """The processes that still work in the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.cwd() == str(self.folder) and runs(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def wait_for_orphans(self, stage: str) -> None:
        """Wait for what a killed Snakemake left behind; an orphan that does not end is a problem."""
        limit = time.monotonic() + PATIENCE
        while orphans := self.working():
            if time.monotonic() > limit:
                self.problem(stage, f"still at work: {[process.cmdline() for process in orphans]}")
                for process in orphans:
                    process.kill()
                return
            time.sleep(0.1)

    # What must hold

    def check_attempt(self, stage: str, attempt: Attempt, last: Attempt | None, furthest: int, orphans: list) -> int:
        """Look at what a command said: locks with a remedy, no failure of its own, progress never back.

        Returns:
            The furthest step or byte from which it went on.
        """
        problem = partial(self.problem, stage, text=attempt.text)
        locked = "LockException" in attempt.text or "cannot be locked" in attempt.text
        if locked and "type `snakemake --unlock`" not in attempt.text:
            problem("a lock without the line that says how to go on")
        if attempt.code and not attempt.kills and not locked:
            # an orphan of a killed Snakemake that writes beside it may stop it once, in a clear line
            if orphans and "Traceback" not in attempt.text:
                self.note("refused beside an orphan", stage=stage, text=attempt.text[-1500:])
            else:
                problem("the command failed by itself")
        if "inversion" in stage:
            furthest = self.check_steps(stage, attempt, last, furthest)
        elif stage == "download":
            begun = self.server.begun[:]
            self.server.begun.clear()
            for start in begun:
                if start == WHOLE:  # Snakemake deletes a file that came just before a kill, and has it fetched again
                    furthest = 0
                elif start < furthest:
                    problem(f"the download went back from byte {furthest} to {start}")
                furthest = max(furthest, start)
        return furthest

    def check_steps(self, stage: str, attempt: Attempt, last: Attempt | None, furthest: int) -> int:
        """Steps from which an inversion went on never go back; a finished one is written again without a step."""
        steps = [
            STEPS + 1 if "was finished" in line else int(re.search(r"step (\d+)", line)[1])
            for line in attempt.text.splitlines()
            if line.startswith("[invert") and re.search(r"goes on at step|was finished before", line)
        ]
        anew = attempt.text.count("the inversion begins anew")
        if anew:
            self.problem(stage, "a checkpoint was not gone on with", attempt.text)
        for step in steps:
            if step < furthest:
                self.problem(stage, f"the inversion went back from step {furthest} to {step}", attempt.text)
            furthest = max(furthest, step)
        computed = re.search(rf"\] step \d+/{STEPS}", attempt.text)
        if last and last.finished and computed:
            self.problem(stage, "steps were computed after a finished inversion", attempt.text)
        if last and last.began and not steps and computed:
            self.problem(stage, "it began at step 0 beside a checkpoint", attempt.text)
        return furthest

    def check_round(self, stage: str, files: list[str]) -> None:
        """Every file of the folder is what it is in the undisturbed run, and there is no other."""
        here, there = contents(self.folder), contents(self.twin)
        if left := sorted(set(here) - set(there) - {CHECKPOINT}):
            self.problem(stage, f"left over: {left}")
        if lost := sorted(set(there) - set(here) - ({CHECKPOINT} if "inversion" in stage else set())):
            self.problem(stage, f"lost: {lost}")
        for file in sorted(set(here) & set(there) - OF_THIS_RUN):
            if not self.equal(file):
                self.problem(stage, f"differs: {file}")
        for place in ("locks", "incomplete"):
            if (found := self.folder / ".snakemake" / place).is_dir() and any(found.iterdir()):
                self.problem(stage, f"left in .snakemake/{place}")

    def equal(self, file: str) -> bool:
        """Whether a file has the same bytes as in the undisturbed run; tables with seconds, the same other columns."""
        here, there = self.folder / file, self.twin / file
        if file in SECONDS:
            tables = [pd.read_parquet(p) if p.suffix == ".parquet" else pd.read_csv(p) for p in (here, there)]
            return tables[0].drop(columns="seconds").equals(tables[1].drop(columns="seconds"))
        if file.endswith(".lock.json"):  # it says when
            told = [json.loads(path.read_text()) for path in (here, there)]
            return [one | {"retrieved": None} for one in told[:1]] == [one | {"retrieved": None} for one in told[1:]]
        if file == f"{RESULTS}/experiment.yaml":  # it says what was typed
            texts = [re.sub(r"command: .*?\nversions", "versions", p.read_text(), flags=re.S) for p in (here, there)]
            return texts[0] == texts[1]
        if file.endswith(".end"):  # of equal values, pickle tells which are one object
            ends = (torch.load(io.BytesIO(path.read_bytes()[DIGEST:]), weights_only=True) for path in (here, there))
            return same(*ends)
        return here.read_bytes() == there.read_bytes()


def same(one, other) -> bool:
    """Whether two values that a checkpoint may hold are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return one == other


def aim(chance: random.Random, stage: str, work: float, retries: bool) -> Blow:
    """A blow at random: on whom, by which signal, when."""
    victim, number = chance.choice(VICTIMS), chance.choice(SIGNALS)
    if stage == "end of inversion":
        return Blow(victim, number, "end", chance.choice([0.0, 0.0, chance.uniform(0, 0.4)]))
    if victim != "job" and chance.random() < 0.3:
        return Blow(victim, number, "start", chance.uniform(0, 6))
    if stage == "tables" and chance.random() < 0.7:  # a table is written in milliseconds: few blows would come in time
        return Blow(victim, number, "loading", chance.uniform(0, 0.3))
    if chance.random() < 0.2:
        return Blow(victim, number, "loading", chance.uniform(0, 1))
    if chance.random() < 0.15:
        return Blow(victim, number, "end", chance.uniform(0, 0.3) if victim != "job" else 0.0)
    return Blow(victim, number, "work", chance.uniform(0, 4 if stage == "inversion" else 2 * work))


def aim_alone(chance: random.Random, stage: str, took: float) -> Blow:
    """A blow at random on a script that takes that many seconds."""
    victim, number = chance.choice(["job", "job", "group"]), chance.choice(SIGNALS)
    if stage == "end of inversion" or chance.random() < 0.1:
        return Blow(victim, number, "end", chance.choice([0.0, chance.uniform(0, 0.05)]))
    return Blow(victim, number, "work", chance.uniform(0, 0.8 * took))


def runs(process: psutil.Process) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def job_of(process: subprocess.Popen) -> tuple[psutil.Process, str] | None:
    """The script that Snakemake runs now, and its name."""
    try:
        for child in children_of(process.pid):
            words = child.cmdline()
            if words and (match := JOB.search(words[-1])) and runs(child):
                return child, match[1]
    except psutil.Error:
        pass
    return None


def children_of(pid: int) -> list[psutil.Process]:
    """The processes that a process started; Linux lists them, where psutil would look at every process there is."""
    listed = list(Path(f"/proc/{pid}/task").glob("*/children"))
    if not listed:
        return psutil.Process(pid).children()
    try:
        return [psutil.Process(int(child)) for file in listed for child in file.read_text().split()]
    except OSError:
        return []


def hidden(product: Path) -> bool:
    """Whether a part of a product lies beside its place."""
    return any(product.parent.glob(f".{product.name.split('.')[0]}*")) if product.parent.is_dir() else False


def contents(folder: Path) -> set[str]:
    """All files under results and resources."""
    files = [path for place in ("results", "resources") for path in (folder / place).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)) for path in files if path.name != ".snakemake_timestamp"}


def report(entries: list[dict]) -> int:
    """Say where the kills landed; the number of problems, and of stages that got none."""
    kills = [entry for entry in entries if entry["kind"] == "kill"]
    problems = [entry for entry in entries if entry["kind"] == "problem"]
    rounds = sum(entry["kind"] == "round" for entry in entries)
    table = pd.DataFrame(kills, columns=["stage", "signal", "victim", "phase", "writing"])
    table["who"] = table["signal"] + " " + table["victim"]
    alone = sum("alone" in kill for kill in kills)
    print(f"{len(kills)} kills in {rounds} rounds, {alone} of them of scripts run alone; ", end="")
    print(f"{int(table['writing'].sum())} while a product was being written")
    if kills:
        print(pd.crosstab(table["stage"], table["who"], margins=True).to_string())
        print(pd.crosstab(table["stage"], table["phase"]).to_string())
    others = Counter(entry["kind"] for entry in entries if entry["kind"] not in ("kill", "problem", "round"))
    print(f"locks with a line that says how to go on: {others['unlock']}; ", end="")
    print(f"stopped in one line beside an orphan: {others['refused beside an orphan']}; ", end="")
    print(f"Snakemake waiting for its own lock after SIGTERM: {others['deaf']}")
    none = [stage for stage in STAGES if not any(kill["stage"] == stage for kill in kills)]
    print(f"{len(problems)} problems" + (f"; no kill landed in: {', '.join(none)}" if none else ""))
    for entry in problems:
        print(f"  {entry['stage']}, seed {entry['seed']}, round {entry['round']}: {entry['what']}")
    return len(problems) + len(none)


def main(words: list[str] | None = None) -> int:
    """Soak, or report; 0 where all was well."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background, and by all started here
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=12, help="kills in a round")
    parser.add_argument("--rounds", type=int, default=10**6, help="stop after so many rounds")
    parser.add_argument("--log", type=Path, help="a line of JSON for each kill")
    parser.add_argument("--folder", type=Path, help="keep the undisturbed experiment there, for another time")
    parser.add_argument("--alone", action="store_true", help="run the scripts without Snakemake")
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, nargs="+", help="only say what these logs hold")
    given = parser.parse_args(words)
    if given.report:
        lines = (line for path in given.report for line in path.read_text().splitlines())
        return report([json.loads(line) for line in lines]) > 0
    if given.nursery:
        be_nursery()
        return 0
    with tempfile.TemporaryDirectory(prefix="soak-") as own:
        folder = given.folder or Path(own)
        folder.mkdir(exist_ok=True)
        log = given.log or Path(own) / "kills.jsonl"
        soak = Soak(folder.resolve(), log, given.seed)
        soak.begin()
        end = time.monotonic() + 60 * given.minutes
        nursery = Nursery() if given.alone else None
        while soak.rounds < given.rounds and time.monotonic() < end:
            stage = list(STAGES)[soak.rounds % len(STAGES)]
            soak.drill(nursery, stage, given.most) if nursery else soak.round(stage, given.most)
            if soak.rounds % 8 == 0:
                print(f"{len(soak.kills)} kills in {soak.rounds} rounds, {len(soak.problems)} problems", flush=True)
        if nursery:
            nursery.close()
        soak.server.shutdown()
        noted = [json.loads(line) for line in log.read_text().splitlines()]
        return report([entry for entry in noted if entry["seed"] == given.seed]) > 0


if __name__ == "__main__":
    sys.exit(main())
