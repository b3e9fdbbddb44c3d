"""How near a search comes for how much computing: `make bench-search`.

    python bench/search.py --picture wanderer.jpg --backbone squeezenet1_1-b8a52dc0.pth --only halving descent
    python bench/search.py ... --device cuda --seconds 300

Targets: a painting, the embedded study, samples of the generator itself, and pictures of its world that it never saw.
Each method makes eight independent runs towards each target; a run's result at a budget is the nearest point that it
saw, measured once more in float32. A unit is an image forward and backward; an image forward alone is a third.

A piece is a method, an objective and some targets. Its rows are added to --table when it is done, and a run whose rows
are there is not made again: the bench goes on wherever it was stopped, adds to fewer --runs, takes tables of other
machines (--merge), and leaves out what would not be done within --seconds. bench/search_report.py makes the page of the
table.
"""

import argparse
import csv
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "bench"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch comes: threads that wait do not spin

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from approach.biggan.precision import keep_memory  # noqa: E402
from landscape import OBJECTIVES, Landscape, Yardstick, open_landscape, wait, warm_up  # noqa: E402
from meeting import Meeting, Seat  # noqa: E402
from searchers import BasinCMA, EigenCMA, Pool, PublishedAdam, eigenbasis, plain  # noqa: E402

logger = logging.getLogger("bench")

BUDGETS = (300, 900, 2_400, 2_700, 7_200, 21_600)
RUNS = 8
SLACK = 1.02  # a method whose published settings take a little more than a budget counts as within it
COLUMNS = ["objective_name", "method", "target", "run", "budget", "units", "objective", "l1", "lpips", "l2", "ssim",
           "discriminator", "lpips-alex", "lpips-vgg"]  # fmt: skip


class Search(Protocol):
    """What searchers.py holds."""

    cost: float
    members: int

    def search(self, landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The best value [N] and point [N, 256] of N runs."""


# config/search/halving.yaml, and what it was until 26 November 2026
HALVING = Pool(pool=480, stages=((16, 30), (8, 40), (3, 80), (2, 200), (1, 700)), lr=0.2)
SHORT_END = Pool(pool=480, stages=((24, 30), (12, 40), (6, 70), (2, 200), (1, 200)))

TODAY = "descent lr 0.4, betas 0.95 0.95, best of 8 by l2"  # what config/ says
METHODS: dict[str, Search] = {
    # plain gradient descent: the defaults until 26 November 2026, and what else they could be, at 300 units; today they
    # are the nearest of 8 by L2 at 0.4 with betas of 0.95
    "descent": plain(),
    "descent lr 0.1": plain(lr=0.1),
    "descent lr 0.2": plain(lr=0.2),
    "descent lr 0.4": plain(lr=0.4),
    "descent lr 0.8": plain(lr=0.8),
    "descent lr 0.1, decay 0.5": plain(lr=0.1, decay=0.5),
    "descent lr 0.2, decay 0.5": plain(lr=0.2, decay=0.5),
    "descent lr 0.1, decay 0.75": plain(lr=0.1, decay=0.75),
    "descent lr 0.4, decay 0.75": plain(lr=0.4, decay=0.75),
    "descent lr 0.4, decay 0.95": plain(lr=0.4, decay=0.95),
    "descent lr 0.4, decay 0.5": plain(lr=0.4, decay=0.5),
    "descent lr 0.4, betas 0.95 0.95": plain(lr=0.4, betas=(0.95, 0.95)),
    "descent lr 0.6, betas 0.95 0.95": plain(lr=0.6, betas=(0.95, 0.95)),
    "descent lr 0.4, betas 0.95 0.95, best of 15": plain(295, pick=15, lr=0.4, betas=(0.95, 0.95)),
    TODAY: plain(297, pick=8, lr=0.4, betas=(0.95, 0.95), by_l2=True),
    "descent lr 0.1, class ratio 4": plain(lr=0.1, ratio=4.0),
    "descent lr 0.4, class ratio 0.5": plain(lr=0.4, ratio=0.5),
    "descent lr 0.1, warmup 0.02": plain(lr=0.1, warmup=0.02),
    "descent lr 0.4, warmup 0.02": plain(lr=0.4, warmup=0.02),
    "descent best of 60": plain(280, pick=60),
    "descent lr 0.1, best of 60": plain(280, pick=60, lr=0.1),
    "descent lr 0.2, best of 60": plain(280, pick=60, lr=0.2),
    "descent lr 0.2, best of 16 by l2": plain(294, pick=16, lr=0.2, by_l2=True),
    "descent lr 0.4, best of 60": plain(280, pick=60, lr=0.4),
    "descent lr 0.1, best of 180": plain(240, pick=180, lr=0.1),
    "descent lr 0.1, one class": plain(lr=0.1, start="label"),
    "descent lr 0.1, one class, best of 60": plain(280, pick=60, lr=0.1, start="label"),
    "descent embedding": plain(classes="embedding"),
    "descent lr 0.1, embedding": plain(lr=0.1, classes="embedding"),
    "descent lr 0.4, embedding": plain(lr=0.4, classes="embedding"),
    "descent lr 0.1, embedding, best of 60": plain(280, pick=60, lr=0.1, classes="embedding"),
    "descent lr 0.1, eigenbasis": plain(lr=0.1, classes="eigen"),
    # rivals, from their published settings
    "pix2latent Adam": PublishedAdam(),
    "pix2latent CMA": BasinCMA(rounds=200, steps=0, last=300),
    "pix2latent BasinCMA": BasinCMA(),
    "best of 500, Adam": plain(500, pick=500, warmup=0.0, decay=0.0),
    "eigenbasis Adam": Pool(pool=1, stages=((1, 300),), lr=0.05, classes="eigen", warmup=0.0, decay=0.0),
    "eigenbasis CMA, Adam": EigenCMA(),
    # successive halving, smaller, and with each of its parts left out or changed
    "halving": HALVING,
    "halving of 300": Pool(pool=90, stages=((4, 20), (2, 30), (1, 130)), lr=0.2),
    "halving of 900": Pool(pool=180, stages=((9, 30), (5, 40), (2, 70), (1, 230)), lr=0.2),
    "halving, no preselection": replace(HALVING, pool=16),
    "halving, no dropping": replace(HALVING, stages=((2, 1_050),)),
    "halving, moments begin anew": replace(HALVING, carry=False),
    "halving, lr 0.05": replace(HALVING, lr=0.05),
    "halving, lr 0.1": replace(HALVING, lr=0.1),
    "halving, softmax": replace(HALVING, classes="softmax"),
    "halving, one class": replace(HALVING, start="label"),
    "halving, eigenbasis": replace(HALVING, classes="eigen"),
    "halving, one in the end": replace(HALVING, stages=((16, 30), (8, 40), (3, 100), (1, 1_000))),
    "halving, short end": SHORT_END,
    "halving, short end, lr 0.2": replace(SHORT_END, lr=0.2),
    "halving, short end, lr 0.4": replace(SHORT_END, lr=0.4),
    "halving, short end, lr 0.4, decay 0.7": replace(SHORT_END, lr=0.4, decay=0.7),
    "halving, short end, softmax": replace(SHORT_END, classes="softmax"),
    # each part alone, on today's descent
    "descent and preselection": plain(300, pick=69),  # 480 points for seven descents
    "descent and dropping": replace(HALVING, pool=16, lr=0.05, classes="softmax", warmup=0.05, decay=0.25),
}


@dataclass(frozen=True)
class Piece:
    """A method towards some targets, up to the largest of its budgets."""

    method: str
    targets: tuple[str, ...]
    most: int
    objective: str = "l1-lpips"

    @property
    def repeats(self) -> int:
        """How often the method is begun anew in a run."""
        return max(1, int(self.most * SLACK / METHODS[self.method].cost))

    @property
    def budgets(self) -> dict[int, int]:
        """The budgets that the method fits into, and how often."""
        cost = METHODS[self.method].cost
        fits = {budget: int(budget * SLACK / cost) for budget in BUDGETS if budget <= self.most}
        return {budget: times for budget, times in fits.items() if times}

    @property
    def width(self) -> int:
        """Images that a run asks for at a time, at most."""
        return METHODS[self.method].members * self.repeats

    def units(self, targets: int, runs: int) -> float:
        """What it takes."""
        return METHODS[self.method].cost * self.repeats * targets * runs


def agenda(names: list[str]) -> list[Piece]:
    """What is to be done, the most telling first; names are the landscape's targets."""
    paintings = [name for name in names if not name.startswith(("own-", "unseen-"))]

    def some(own: int, unseen: int) -> tuple[str, ...]:
        mine = [f"own-{index}" for index in range(own)] + [f"unseen-{index}" for index in range(unseen)]
        return tuple(paintings + [name for name in mine if name in names])

    every, both_tens, ten = some(20, 10), some(10, 10), some(4, 4)
    candidates = [name for name in METHODS if name.startswith("descent ") and " and " not in name]
    older = [name for name in METHODS if name.startswith(("halving, short end", "halving, one in"))]
    parts = [name for name in METHODS if name.startswith(("halving,", "descent and ")) and name not in older]
    plan = [
        Piece("halving", every, 2_400),
        Piece("descent", every, 2_700),
        Piece("pix2latent BasinCMA", ten, 21_600),
        *(Piece(name, every, 2_400) for name in older),
        *(Piece(name, both_tens, 300) for name in candidates),
        *(Piece(name, both_tens, 300, "l1-ssim") for name in ("descent", TODAY)),
        *(Piece(name, ten, 300, "l1-ssim") for name in candidates if name != TODAY),
        *(Piece(name, ten, 2_400) for name in parts),
        *(Piece(name, every, 2_400) for name in ("halving, no preselection", "halving, no dropping")),
        Piece("descent lr 0.2", every, 2_400),
        Piece("descent embedding", ten, 2_400),
        Piece("pix2latent Adam", ten, 2_700),
        Piece("best of 500, Adam", ten, 2_700),
        Piece("eigenbasis Adam", ten, 2_700),
        Piece("eigenbasis CMA, Adam", ten, 2_700),
        Piece("halving of 300", ten, 300),
        Piece("halving of 900", ten, 900),
        Piece("pix2latent CMA", ten, 7_200),
        Piece("halving", ten, 21_600),
        Piece("descent", ten, 21_600),
        Piece("halving", ten, 2_400, "l1-ssim"),
        Piece("pix2latent Adam", ten, 21_600),
        Piece("best of 500, Adam", ten, 21_600),
        Piece("eigenbasis Adam", ten, 21_600),
        Piece("eigenbasis CMA, Adam", ten, 21_600),
        Piece("pix2latent BasinCMA", both_tens, 21_600),
        Piece("halving", both_tens, 21_600),
        Piece("descent", both_tens, 21_600),
    ]
    return plan


Key = tuple[str, str, str, int]  # objective, method, target, budget


class Table:
    """The rows so far, in a file that each piece adds to."""

    def __init__(self, path: Path, others: Sequence[Path] = ()):
        self.path, self.runs = path, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with path.open("w", newline="") as file:
                csv.writer(file).writerow(COLUMNS)
        for row in self.rows():
            self.note(row)
        for other in others:
            with other.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["run"]) not in self.runs.get(key_of(row), set())]
            self.add(rows)

    def rows(self) -> list[dict]:
        """All of them."""
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def note(self, row: dict) -> None:
        """Remember that a row is there."""
        self.runs.setdefault(key_of(row), set()).add(int(row["run"]))

    def add(self, rows: list[dict]) -> None:
        """Write rows to the end of the file."""
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writerows(rows)
        for row in rows:
            self.note(row)

    def lacks(self, piece: Piece, runs: int) -> dict[str, set[int]]:
        """The targets of a piece that are not done, with the runs that are missing at any of its budgets."""
        missing = {
            target: {run for run in range(runs) for budget in piece.budgets
                     if run not in self.runs.get((piece.objective, piece.method, target, budget), ())}
            for target in piece.targets
        }  # fmt: skip
        return {target: which for target, which in missing.items() if which}


def key_of(row: dict) -> Key:
    """What a row is about."""
    return row["objective_name"], row["method"], row["target"], int(row["budget"])


def searched(
    piece: Piece, targets: list[str], runs: list[int], seat: Seat | Landscape
) -> tuple[Tensor, Tensor, Tensor]:
    """Values and points of the runs and their repeats, and which target each is of.

    A run's repeats are seeded alike for all methods and targets, so that their starts can be compared in pairs.
    """
    seeds = [1_000 * run + repeat for _ in targets for run in runs for repeat in range(piece.repeats)]
    places = torch.tensor([seat.names.index(target) for target in targets], device=seat.device)
    which = places.repeat_interleave(len(runs) * piece.repeats)
    return *METHODS[piece.method].search(seat, which, seeds), which


def measured(
    piece: Piece, targets: list[str], runs: list[int], found: tuple[Tensor, Tensor, Tensor],
    landscape: Landscape, yardstick: Yardstick,
) -> tuple[list[dict], Tensor]:  # fmt: skip
    """The rows of a piece for some targets, and the points [rows, 256] that they are about."""
    values, points, which = (part.view(len(targets) * len(runs), piece.repeats, *part.shape[1:]) for part in found)
    rows, chosen, goals = [], [], []
    for budget, times in piece.budgets.items():
        nearest = values[:, :times].argmin(1)
        chosen.append(points[torch.arange(len(points), device=points.device), nearest])
        goals.append(which[:, 0])
        rows += [
            {"objective_name": piece.objective, "method": piece.method, "target": target, "run": run, "budget": budget,
             "units": round(times * METHODS[piece.method].cost)}
            for target in targets for run in runs
        ]  # fmt: skip
    metrics = yardstick.measure(landscape, torch.cat(chosen), torch.cat(goals))
    for row, values_of in zip(rows, metrics, strict=True):
        row.update({name: f"{value:.6g}" for name, value in values_of.items()})
    return rows, torch.cat(chosen)


@dataclass
class Bench:
    """Goes through the pieces, so many rows at a time as the device bears, until the time is up."""

    table: Table
    landscapes: dict[str, Landscape]
    yardstick: Yardstick
    runs: int
    together: int
    rows: int
    until: float
    points: dict[str, Tensor] = field(default_factory=dict)
    meeting: Meeting = field(default_factory=Meeting)
    open: dict[int, tuple[Piece, list[str], list[int], Seat]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def units(self) -> float:
        """Done so far, by all."""
        return sum(landscape.units for landscape in self.landscapes.values())

    def go(self, plan: list[Piece]) -> None:
        """Do what the pieces lack."""
        waiting = [(piece, target) for piece in plan for target in self.chunks(piece)]
        while waiting or self.open:
            while waiting and (not self.open or self.width() < self.rows):
                self.begin(*waiting.pop(0))
            began = time.monotonic()
            done = self.meeting.round()
            wait(self.yardstick.device)
            self.seconds += time.monotonic() - began
            for seat in done:
                self.end(*self.open.pop(id(seat)))

    def chunks(self, piece: Piece) -> list[list[str]]:
        """The targets that a piece lacks, `together` at a time."""
        targets = list(self.table.lacks(piece, self.runs))
        return [targets[first : first + self.together] for first in range(0, len(targets), self.together)]

    def width(self) -> int:
        """Rows that the open pieces put into a round, at most."""
        return sum(len(targets) * piece.width * len(runs) for piece, targets, runs, _ in self.open.values())

    def begin(self, piece: Piece, targets: list[str]) -> None:
        """Begin a piece, for as many of its targets as there is time for."""
        lacking = self.table.lacks(piece, self.runs)
        targets = [target for target in targets if target in lacking]
        runs = sorted(set().union(*(lacking[target] for target in targets)))
        if self.units and self.until < float("inf") and targets:
            owed = sum(
                piece.units(len(some), len(theirs)) - seat.units for piece, some, theirs, seat in self.open.values()
            )
            fits = (self.until - time.monotonic()) * self.units / self.seconds - max(0.0, owed)
            targets = targets[: max(0, int(len(targets) * fits / piece.units(len(targets), len(runs))))]
        if not targets:
            return
        seat = self.meeting.open(self.landscapes[piece.objective], lambda seat: searched(piece, targets, runs, seat))
        self.open[id(seat)] = piece, targets, runs, seat

    def end(self, piece: Piece, targets: list[str], runs: list[int], seat: Seat) -> None:
        """Measure what a piece found, and write it down."""
        rows, chosen = measured(piece, targets, runs, seat.result, seat.landscape, self.yardstick)
        self.table.add([row for row in rows if row["run"] not in self.table.runs.get(key_of(row), set())])
        for row, point in zip(rows, chosen, strict=True):
            if row["run"] == 0:
                self.points["|".join(map(str, key_of(row)))] = point.half().cpu()
        logger.info("%s, %s, %d targets to %d; %.0f units a second so far", piece.method, piece.objective,
                    len(targets), piece.most, self.units / self.seconds)  # fmt: skip


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, default=ROOT / "resources" / "study64",
                        help="folder of config.json and weights")  # fmt: skip
    parser.add_argument("--picture", type=Path, help="a painting as a target")
    parser.add_argument("--backbone", type=Path, required=True, help="torchvision's weights of squeezenet1_1")
    parser.add_argument("--second", type=Path, help="torchvision's weights of another LPIPS net, as a metric")
    parser.add_argument("--second-net", default="alex", choices=["alex", "vgg"])
    parser.add_argument("--table", type=Path, default=ROOT / "results" / "bench" / "search" / "search.csv")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="tables of other machines")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=list(METHODS))
    parser.add_argument("--targets", nargs="+", help="only these")
    parser.add_argument("--objective", choices=list(OBJECTIVES), help="only this")
    parser.add_argument("--most", type=int, default=max(BUDGETS), help="the largest budget")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--own", type=int, default=20)
    parser.add_argument("--unseen", type=int, default=10)
    parser.add_argument("--together", type=int, help="targets at a time; default: one on a CPU, all on a GPU")
    parser.add_argument("--chunk", type=int, help="images at a time")
    parser.add_argument("--rows", type=int, help="images in a round of all searches under way")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", help="of the search; default: tf32 on a GPU. Arrivals are measured in float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave out what would take longer")
    return parser.parse_args(arguments)


def wanted(plan: list[Piece], options: argparse.Namespace) -> list[Piece]:
    """What of the agenda was asked for."""
    return [
        replace(piece, targets=tuple(name for name in piece.targets if name in (options.targets or piece.targets)))
        for piece in plan
        if piece.method in (options.only or METHODS)
        and piece.most <= options.most
        and piece.objective == (options.objective or piece.objective)
    ]


def main(arguments: list[str] | None = None) -> Table:
    """Do what is lacking."""
    began = time.monotonic()
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    on_gpu = options.device.startswith("cuda")
    if not on_gpu:
        keep_memory()
    paintings = {"painting": options.picture} if options.picture else {}
    study = ROOT / "resources" / "study" / "target.png"
    landscape = open_landscape(
        options.generator, options.backbone, {**paintings, "study": study}, own=options.own, unseen=options.unseen,
        device=options.device, precision=options.precision or ("tf32" if on_gpu else "float32"), chunk=options.chunk,
        compiled=options.compile,
    )  # fmt: skip
    discriminator = options.generator / "discriminator.safetensors"
    yardstick = Yardstick(landscape, discriminator, options.second, options.second_net)
    warm_up(landscape)
    table = Table(options.table, options.merge)
    other = replace(landscape, terms=OBJECTIVES["l1-ssim"], features=[])
    plan = wanted(agenda(landscape.names), options)
    if idle := set(options.targets or ()) - {target for piece in plan for target in piece.targets}:
        raise SystemExit(f"--targets: nothing that was asked for is on the agenda towards {', '.join(sorted(idle))}")
    together = options.together or (len(landscape.names) if on_gpu else 1)
    bench = Bench(table, {"l1-lpips": landscape, "l1-ssim": other}, yardstick, options.runs, together,
                  options.rows or (3 * landscape.chunk if on_gpu else 1), began + options.seconds)  # fmt: skip
    if any("eigen" in piece.method for piece in plan):
        eigenbasis(landscape)
    bench.go(plan)
    if bench.points:
        torch.save(bench.points, options.table.with_suffix(".pt"))
    about = {
        "device": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "torch": torch.__version__, "precision": landscape.precision, "compiled": landscape.generator.compiled,
        "chunk": landscape.chunk, "seconds": round(time.monotonic() - began, 1),
        "units": {name: round(one.units) for name, one in bench.landscapes.items()},
        "generator": str(options.generator.name), "runs": options.runs,
    }  # fmt: skip
    options.table.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    return table


if __name__ == "__main__":
    main()
