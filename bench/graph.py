"""What planning costs: python bench/graph.py [numbers of settings, such as 10 100] prints what docs/scale.md quotes.

Planning is `snakemake -n -q` of all products with nothing on disk, against two skeletons of the same jobs: a bare one
without configuration, params, logs, benchmarks, resources or files that are no job's product, and one whose rules also
have our scripts and conda files, which Snakemake opens for each job. "Nothing to be done" is the same command a second
time, without -n, over 1,000 trajectories whose files are fabricated. Seconds of processor time are the figure to
compare on a machine that does other work too; wall seconds are printed beside them. Sizes are taken several times, in
turns, and the least of each is told: what other work adds is never negative.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PROFILE = ROOT / "profiles" / "default"
SEEDS = 100
PER_JOB = 16
SIZES = (1, 10, 30, 100)
TIMES = 3

SKELETON = """
SETTINGS = [f"loss~l2+lr~{n}" for n in range(1, int(config["settings"]) + 1)]
SEEDS, PER_JOB = int(config["seeds"]), int(config["per_job"])
BATCHES = [f"{n}-{min(n + PER_JOB, SEEDS) - 1}" for n in range(0, SEEDS, PER_JOB)]
FILM = "results/films/starts+{setting}"
WHOLE = "experiment.yaml losses.png montage.png starts.csv arrivals.png metrics.png page/index.html".split()
TRAJECTORIES = expand("results/{setting}/trajectories/{batch}.safetensors", setting=SETTINGS, batch=BATCHES)
BATCH_FILES = expand("results/{{setting}}/trajectories/{batch}.safetensors", batch=BATCHES)

wildcard_constraints:
    setting="loss~[A-Za-z0-9._-]+[+]lr~[A-Za-z0-9._-]+", batch="[0-9]+-[0-9]+"

rule all:
    input:
        TRAJECTORIES, expand("results/{setting}/{file}", setting=SETTINGS, file=["losses.csv", "montage.png"]),
        expand("results/{file}", file=WHOLE),
        expand(f"{FILM}/{{file}}", setting=SETTINGS, file=["film.json", "viewer.html", "triptych.mp4", "channel-1.mp4",
            "channel-2.mp4", "channel-3.mp4", "panorama.png", "itinerary.png"])
"""
# rule: input; output (what a rule has besides is what the comparison is about)
RULES = {
    "prepare_target": ("", '"results/target.png"'),
    "invert": ('"results/target.png"', '"results/{setting}/trajectories/{batch}.safetensors"'),
    "losses": ("BATCH_FILES", '"results/{setting}/losses.csv"'),
    "stills": ("BATCH_FILES", '"results/{setting}/stills.npz"'),
    "montage": (
        'BATCH_FILES, "results/{setting}/stills.npz", "results/{setting}/losses.csv"',
        '"results/{setting}/montage.png"',
    ),
    "gather_losses": ('expand("results/{setting}/losses.csv", setting=SETTINGS)', '"results/losses.png"'),
    "trajectory_table": (
        'TRAJECTORIES, expand("results/{setting}/{file}", setting=SETTINGS, file=["stills.npz", "losses.csv"])',
        '"results/trajectories.csv", "results/arrivals.png"',
    ),
    "montage_of_arrivals": ('"results/trajectories.csv"', '"results/montage.png"'),
    "plot_metrics": ('"results/trajectories.csv"', '"results/metrics.png"'),
    "starts": ("TRAJECTORIES", '"results/starts.csv"'),
    "provenance": ("TRAJECTORIES", '"results/experiment.yaml"'),
    "choose": ("BATCH_FILES[:1]", 'f"{FILM}/film.json"'),
    "timing": ('BATCH_FILES[:1], f"{FILM}/film.json"', 'f"{FILM}/timing.json"'),
    "render": (
        'BATCH_FILES[:1], f"{FILM}/timing.json"',
        'expand(f"{FILM}/frames/{{channel}}.mkv", channel=[1, 2, 3], allow_missing=True)',
    ),
    "encode": (
        'expand(f"{FILM}/frames/{{channel}}.mkv", channel=[1, 2, 3], allow_missing=True)',
        'f"{FILM}/triptych.mp4", expand(f"{FILM}/channel-{{n}}.mp4", n=[1, 2, 3], allow_missing=True)',
    ),
    "viewer": (
        'f"{FILM}/triptych.mp4", expand(f"{FILM}/channel-{{n}}.mp4", n=[1, 2, 3], allow_missing=True)',
        'f"{FILM}/viewer.html"',
    ),
    "survey": ('BATCH_FILES[:1], f"{FILM}/film.json"', 'f"{FILM}/panorama.npz"'),
    "panorama": ('f"{FILM}/panorama.npz"', 'f"{FILM}/panorama.png"'),
    "itinerary": ('BATCH_FILES[:1], f"{FILM}/film.json"', 'f"{FILM}/itinerary.png"'),
    "page": (
        'expand(f"{FILM}/triptych.mp4", setting=SETTINGS), expand("results/{setting}/stills.npz", setting=SETTINGS)',
        '"results/page/index.html"',
    ),
}


INVERTING = ("prepare_target", "invert")


def skeleton(*, scripts: bool) -> str:
    """The skeleton's Snakefile, bare or with our scripts and conda files."""
    text = SKELETON
    for name, (files, output) in RULES.items():
        text += f"\nrule {name}:\n    input: {files or '[]'}\n    output: {output}\n"
        if scripts:
            folder, environment = ROOT / "workflow", "inversion" if name in INVERTING else "show"
            text += f"    conda: '{folder}/envs/{environment}.yaml'\n"
            text += f"    script: '{folder}/scripts/{name}.py'\n"
        else:
            text += "    shell: 'false'\n"
    return text


def measured(command: list[str], folder: Path) -> dict:
    """Run a command: processor seconds, wall seconds, peak MB, and what it said."""
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as people run it: modules are compiled once
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        out.seek(0)
        said = out.read()
    if status:
        raise SystemExit(f"{' '.join(command)}\n{said[-3000:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "mb": usage.ru_maxrss / 1024, "said": said}


def pipeline(settings: int, *options: str) -> list[str]:
    """The project's command for a number of settings of 100 seeds."""
    rates = ",".join(str(n / 1000) for n in range(1, settings + 1))
    keys = ["name=scale", "loss=l2", f"lr={rates}", f"seeds={SEEDS}", f"seeds_per_job={PER_JOB}"]
    return [
        str(SNAKEMAKE),
        "-s",
        str(ROOT / "Snakefile"),
        "--workflow-profile",
        str(PROFILE),
        *options,
        "--config",
        *keys,
    ]


def bare(settings: int, file: Path) -> list[str]:
    """The skeleton's command."""
    keys = [f"settings={settings}", f"seeds={SEEDS}", f"per_job={PER_JOB}"]
    return [str(SNAKEMAKE), "-s", str(file), "--workflow-profile", str(PROFILE), "-n", "-q", "rules", "--config", *keys]


def job_count(said: str) -> int:
    """The total of Snakemake's job table."""
    return next(int(line.split()[1]) for line in said.splitlines() if line.split()[:1] == ["total"])


def plan(folder: Path, sizes: Iterable[int]) -> list[dict]:
    """Planning at growing sizes (settings of 100 seeds), ours and the skeletons'."""
    for name in ("bare", "scripts"):
        (folder / f"{name}.smk").write_text(skeleton(scripts=name == "scripts"))
    rows = []
    for settings in sizes:
        commands = {"ours": pipeline(settings, "-n", "-q", "rules")}
        commands |= {name: bare(settings, folder / f"{name}.smk") for name in ("bare", "scripts")}
        runs = [{who: measured(command, folder) for who, command in commands.items()} for _ in range(TIMES)]
        row = {"trajectories": settings * SEEDS, "jobs": {who: job_count(run["said"]) for who, run in runs[0].items()}}
        for who in commands:
            row |= {f"{who}_{key}": round(min(run[who][key] for run in runs), 1) for key in ("cpu", "wall", "mb")}
        row |= {f"times_{who}": round(row["ours_cpu"] / row[f"{who}_cpu"], 2) for who in ("bare", "scripts")}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def finished(folder: Path, settings: int = 10) -> dict:
    """Fabricate a finished experiment, then ask for it again."""
    summary = measured(pipeline(settings, "--summary"), folder)["said"]
    files = [line.split("\t")[0] for line in summary.splitlines() if line.startswith("results/")]
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "viewer":
            path.mkdir()
        elif path.suffix == ".safetensors":
            save_file({"nothing": np.zeros(1, np.float32)}, path)
        else:
            path.touch()
    measured(pipeline(settings, "--cores", "1", "--touch", "-q"), folder)
    again = measured(pipeline(settings, "--cores", "1"), folder)
    row = {"trajectories": settings * SEEDS, "files": len(files), "nothing": "Nothing to be done" in again["said"]}
    row |= {key: round(again[key], 1) for key in ("cpu", "wall", "mb")}
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure, and print the rows as they come."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        finished(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        plan(Path(folder), [int(word) for word in sys.argv[1:]] or SIZES)


if __name__ == "__main__":
    main()
