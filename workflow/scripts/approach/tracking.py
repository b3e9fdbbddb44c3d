"""Replay a finished experiment into a tracker: TensorBoard, MLflow or Trackio. A second replay adds nothing.

A run is a trajectory, or the experiment as a whole. Each carries a digest of all that was replayed. A run with the same
digest is left alone; one with another, or one that was cut off, is replaced. The inversions know nothing of it.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from approach.files import read_npz, reading
from approach.trackers import check_installed

NOT_LOGGED = ("seed", "step", "top_class", "seconds")
METRICS_AT_ONCE = 1000  # MLflow's limit of one request
PARAMETERS_AT_ONCE = 100
LONGEST_PARAMETER = 6000  # characters; MLflow's limit


@dataclass(frozen=True)
class Run:
    """What a tracker is told of one trajectory, or of the experiment.

    Args:
        name: setting/seed, or "experiment".
        settings: dotted key -> value.
        curves: what was measured -> (step, value, seconds since the start) of every step.
        pictures: name -> (step, uint8 [H, W, 3]).
    """

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    pictures: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)

    def digest(self) -> str:
        """The sha256 of all of it."""
        said = hashlib.sha256(json.dumps([self.name, self.settings, self.curves], sort_keys=True).encode())
        for name, (step, picture) in self.pictures.items():
            said.update(f"{name} {step} {picture.shape}".encode() + picture.tobytes())
        return said.hexdigest()


def trajectory_runs(setting: str, config: dict, losses: Path, metrics: Path, stills: Path) -> list[Run]:
    """The runs of a setting's trajectories.

    Args:
        setting: its id.
        config: its configuration.
        losses: losses.csv.
        metrics: metrics.csv.
        stills: stills.npz.
    """
    measured = pd.read_csv(metrics).set_index("seed")
    found = read_npz(stills)
    with reading(stills):
        pictures = dict(zip(found["seeds"].tolist(), found["images"], strict=True))
        steps = found["steps"].tolist()
    settings = dict(_leaves({key: value for key, value in config.items() if key not in ("seeds", "track")}))
    runs = []
    for seed, table in pd.read_csv(losses).groupby("seed"):
        times = table["seconds"].fillna(0).cumsum()
        names = [name for name in table.columns if name not in NOT_LOGGED]
        curves = {name: _finite(table["step"], table[name], times) for name in names}
        last = int(table["step"].max())
        for name, value in measured.loc[seed].items():
            curves[name] = _finite([0 if name.startswith("start_") else last], [value], [float(times.iloc[-1])])
        shown = {f"step {step}": (int(step), image) for step, image in zip(steps, pictures[seed], strict=True)}
        curves = {name: curve for name, curve in curves.items() if curve}
        runs.append(Run(f"{setting}/{seed}", {**settings, "seed": str(seed)}, curves, shown))
    return runs


def experiment_run(config: dict, pictures: Iterable[Path]) -> Run:
    """The run of the experiment as a whole: its configuration, and the pictures of all of it."""
    shown = {}
    for path in map(Path, pictures):
        with Image.open(path) as image:
            shown[path.stem] = (0, np.asarray(image.convert("RGB")))
    return Run("experiment", dict(_leaves(config)), {}, shown)


def replay(tracker: str, experiment: str, runs: list[Run], folder: Path) -> dict[str, str]:
    """Send runs to a tracker; those that are there are left alone.

    Args:
        tracker: tensorboard, mlflow or trackio.
        experiment: the experiment's name.
        runs: what to send.
        folder: where TensorBoard's files go. MLflow and Trackio have places of their own (MLFLOW_TRACKING_URI,
            TRACKIO_DIR).

    Returns:
        name -> digest, of all runs.

    Raises:
        UserError: the tracker's package is not installed.
    """
    check_installed(tracker)
    send = {"tensorboard": _to_tensorboard, "mlflow": _to_mlflow, "trackio": _to_trackio}[tracker]
    for run in runs:
        send(experiment, run, folder)
    return {run.name: run.digest() for run in runs}


def _leaves(config: dict, prefix: str = ""):
    """Yield (dotted key, text) for every value of a nested configuration."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _finite(steps, values, seconds) -> list[tuple[int, float, float]]:
    """(step, value, seconds) where the value is a finite number."""
    rows = zip(steps, values, seconds, strict=True)
    return [(int(step), float(value), float(when)) for step, value, when in rows if math.isfinite(value)]


def _to_tensorboard(experiment: str, run: Run, folder: Path) -> None:
    """A folder of event files per run; the digest lies beside them."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (optional)

    place = folder / run.name
    replayed = place / "replayed.sha256"
    if replayed.is_file() and replayed.read_text() == run.digest():
        return
    shutil.rmtree(place, ignore_errors=True)
    with SummaryWriter(str(place)) as writer:
        writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in run.settings.items()))
        for name, curve in run.curves.items():
            for step, value, seconds in curve:
                writer.add_scalar(name, value, step, walltime=seconds)
        for name, (step, picture) in run.pictures.items():
            tag = "picture" if name.startswith("step ") else name
            writer.add_image(tag, picture, step, dataformats="HWC")
    replayed.write_text(run.digest())


def _to_mlflow(experiment: str, run: Run, folder: Path) -> None:
    """An MLflow run with the digest as its tag, which is set last."""
    from mlflow import MlflowClient  # noqa: PLC0415 (optional)
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    place = found.experiment_id if found else client.create_experiment(experiment)
    there = client.search_runs([place], f"tags.`approach.run` = '{run.name}'")
    if len(there) == 1 and there[0].data.tags.get("approach.digest") == run.digest():
        return
    for old in there:
        client.delete_run(old.info.run_id)
    made = client.create_run(place, run_name=run.name, tags={"approach.run": run.name}).info
    parameters = [Param(key, value[:LONGEST_PARAMETER]) for key, value in run.settings.items()]
    metrics = [
        Metric(name, value, made.start_time + round(1000 * seconds), step)
        for name, curve in run.curves.items()
        for step, value, seconds in curve
    ]
    for first in range(0, len(parameters), PARAMETERS_AT_ONCE):
        client.log_batch(made.run_id, params=parameters[first : first + PARAMETERS_AT_ONCE])
    for first in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(made.run_id, metrics=metrics[first : first + METRICS_AT_ONCE])
    for name, (_, picture) in run.pictures.items():
        client.log_image(made.run_id, picture, artifact_file=f"{name.replace(' ', '-')}.png")
    client.set_terminated(made.run_id)
    client.set_tag(made.run_id, "approach.digest", run.digest())


def _to_trackio(experiment: str, run: Run, folder: Path) -> None:
    """A Trackio run with the digest among its settings; one with fewer entries was cut off."""
    import trackio  # noqa: PLC0415 (optional)

    entries = _by_step(run)
    try:
        there = [old for old in trackio.Api().runs(experiment) if old.name == run.name]
    except ValueError:  # the first run of its project
        there = []
    for old in there:
        whole = trackio.SQLiteStorage.get_log_count(experiment, run.name, run_id=old.id) == len(entries)
        if whole and old.config.get("digest") == run.digest():
            return
        old.delete()
    config = {**run.settings, "digest": run.digest()}
    trackio.init(experiment, name=run.name, config=config, embed=False, auto_log_gpu=False, auto_log_cpu=False)
    for step, entry in sorted(entries.items()):
        shown = {name: trackio.Image(picture) for name, (at, picture) in run.pictures.items() if at == step}
        trackio.log({**entry, **shown}, step=step)
    trackio.finish()


def _by_step(run: Run) -> dict[int, dict[str, float]]:
    """step -> what was measured there; every picture's step is among them."""
    steps = {step: {} for step, _ in run.pictures.values()}
    for name, curve in run.curves.items():
        for step, value, _ in curve:
            steps.setdefault(step, {})[name] = value
    return steps
