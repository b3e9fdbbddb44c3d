# What the rules share: the plan of the run, and small named functions for inputs and params.
import os
import re
import shlex
from pathlib import Path

from approach.planning import plan as planning
from approach.planning.batches import LABEL as BATCH
from approach.devices import gpus_needed
from approach.digest import code_digest
from approach.errors import UserError
from approach.planning.estimate import closing_lines, summary_lines
from approach.planning.plan import SETTING

TEMPLATES = SCRIPTS / "approach" / "page" / "templates"

try:
    PLAN = planning.make_plan(dict(config), ROOT)
    if workflow.is_main_process:
        planning.check_before_jobs(PLAN)
except UserError as error:
    sys.exit(f"error: {error}")

# experiment.yaml says what was typed; jobs inherit it
os.environ.setdefault(
    "APPROACH_COMMAND", shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
)
# torch's threads wait for one another by spinning; where jobs share the cores, that made a walk 50 times slower
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

RESULTS = f"results/{PLAN.name}"
GPUS = gpus_needed(PLAN.base["device"])


def code(script):
    """What a script and the library modules it uses say, as a digest: an edit reruns what it touches, and nothing else."""
    return code_digest(SCRIPTS / f"{script}.py", SCRIPTS)


def setting_config(wildcards):
    return PLAN.settings[wildcards.setting].config


def batch_files(setting, suffix="safetensors"):
    """The batch files of a setting that hold wanted seeds."""
    folder = f"{RESULTS}/{setting}/trajectories"
    return [f"{folder}/{batch}.{suffix}" for batch in PLAN.settings[setting].batches]


def setting_batches(wildcards):
    return batch_files(wildcards.setting)


def setting_logs(wildcards):
    return batch_files(wildcards.setting, "csv")


def all_batches(wildcards):
    return [file for setting in PLAN.settings for file in batch_files(setting)]


def per_setting(file):
    """One file of every setting, in the order of the sweep."""
    return [f"{RESULTS}/{setting}/{file}" for setting in PLAN.settings]


def generator_files(config):
    """What a script needs to load the generator."""
    files = {
        "architecture": config["generator"]["config"],
        "weights": planning.weights_file(config),
    }
    if config["generator"]["class_names"]:
        files["class_names"] = config["generator"]["class_names"]
    return files


def inversion_files(wildcards):
    config = setting_config(wildcards)
    files = {**generator_files(config), "target": f"{RESULTS}/target.png"}
    if planning.uses_lpips(config):
        files["backbone"] = planning.backbone_file(config)
    if "discriminator" in config["loss"]["terms"]:
        files["discriminator"] = config["generator"]["discriminator"]
    return files


def lpips_net(kinds):
    """The LPIPS network's name where one of these metrics or loss terms is LPIPS: another net reruns nothing else."""
    return PLAN.base["perceptual"]["net"] if "lpips" in kinds else None


def download(wildcards):
    return PLAN.downloads[wildcards.file]


def inversion_params(wildcards):
    return planning.inversion_config(setting_config(wildcards))


def inversion_labels(wildcards):
    return {
        "experiment": wildcards.name,
        "setting": wildcards.setting,
        "batch": wildcards.seeds,
        "generator": setting_config(wildcards)["generator"]["name"],
    }


def metric_files():
    files = {**generator_files(PLAN.base), "target": f"{RESULTS}/target.png"}
    if "lpips" in PLAN.base["metrics"]:
        files["backbone"] = planning.backbone_file(PLAN.base)
    return files


WHOLE_PRODUCTS = [
    "experiment.yaml",
    "trajectories.csv",
    "losses.parquet",
    "losses.png",
    "montage.png",
    "starts.csv",
    "arrivals.csv",
    "arrivals.png",
]
if len(PLAN.settings) > 1:
    WHOLE_PRODUCTS.append("metrics.png")


EXHIBITION_FILES = [
    f"{screen}.{form}"
    for screen in ("left", "centre", "right", "wide")
    for form in ("mov", "mp4")
]
EXHIBITION_FILES += [
    f"line-up-{screen}.mp4" for screen in ("left", "centre", "right", "wide")
]


def film_products():
    """What is made of every film."""
    files = [
        "film.json",
        "triptych.mp4",
        "channel-1.mp4",
        "channel-2.mp4",
        "channel-3.mp4",
    ]
    files += ["panorama.png", "itinerary.png", "itinerary.csv"]
    if PLAN.base["video"]["exhibition"]:
        files += [
            f"exhibition/{file}"
            for file in ("index.html", "files.json", *EXHIBITION_FILES)
        ]
    return files


def recorded_config():
    """The configuration that experiment.yaml tells: all of it but how the work was shared out."""
    return {
        key: value
        for key, value in PLAN.base.items()
        if key not in ("seeds_per_job", "overwrite")
    }


def final_products():
    """Every product of the contract that this run makes."""
    return [
        *all_batches(None),
        *per_setting("losses.csv"),
        *per_setting("montage.png"),
        *[f"{RESULTS}/{file}" for file in WHOLE_PRODUCTS],
        *[
            f"{RESULTS}/films/{film}/{file}"
            for film in PLAN.films
            for file in [*film_products(), "player"]
        ],
        f"{RESULTS}/page/index.html",
    ]


def summary():
    return "\n".join(summary_lines(PLAN))


def closing_words():
    return "\n".join(closing_lines(PLAN))


# Films


def film_entry(wildcards):
    return PLAN.films[wildcards.film]


def candidate_batches(wildcards):
    """Where a film's candidates walk: setting, seed -> batch file, and the files themselves without repetition."""
    return sorted(set(candidate_files(wildcards).values()))


def candidate_files(wildcards):
    files = {}
    for candidate in PLAN.films[wildcards.film]["candidates"]:
        setting, seed = candidate["setting"], candidate["seed"]
        batch = next(
            label
            for label, seeds in PLAN.settings[setting].batches.items()
            if seed in seeds
        )
        walks = f"{RESULTS}/{setting}/trajectories/{batch}.safetensors"
        files[f"{setting}/{seed}"] = walks
    return files


def ranking(wildcards):
    """The metrics of all walks, for the films that are chosen by rank; the others know their members."""
    return (
        f"{RESULTS}/trajectories.csv"
        if PLAN.films[wildcards.film]["vary"] == "rank"
        else []
    )


def candidate_losses(wildcards):
    settings = {
        candidate["setting"] for candidate in PLAN.films[wildcards.film]["candidates"]
    }
    return (
        [f"{RESULTS}/{setting}/losses.csv" for setting in sorted(settings)]
        if PLAN.base["video"]["captions"]
        else []
    )


def frame_distances(wildcards):
    """How the picture changes along each walk: measured only where the film's time follows it."""
    files = [
        f"{RESULTS}/films/{wildcards.film}/frame-distance-{channel}.npz"
        for channel in (1, 2, 3)
    ]
    return files if PLAN.base["video"]["time"] == "perceived" else []


def frames_file(path):
    """A lossless file of frames: kept, so that captions and codec only encode again, or temporary where asked."""
    return path if PLAN.base["video"]["keep_frames"] else temp(path)


# Pictures


def survey_loss(film):
    """What a panorama metrics: the loss that its walks share, or else the first yardstick, alike for all three."""
    wanted = {candidate["setting"] for candidate in PLAN.films[film]["candidates"]}
    losses = [PLAN.settings[setting].config["loss"] for setting in wanted]
    if all(loss == losses[0] for loss in losses):
        return losses[0]
    name = PLAN.base["metrics"][0]
    return {"name": name, "terms": {name: 1.0}}


def survey_files(wildcards):
    terms = survey_loss(wildcards.film)["terms"]
    files = {**generator_files(PLAN.base), "target": f"{RESULTS}/target.png"}
    if "lpips" in terms:
        files["backbone"] = planning.backbone_file(PLAN.base)
    if "discriminator" in terms:
        files["discriminator"] = PLAN.base["generator"]["discriminator"]
    return files


# Exhibition


def exhibition_video(wildcards):
    """What a file's making depends on: ProRes knows no rate."""
    keys = (
        "height",
        "captions",
        *(("preset", "mbit") if wildcards.form == "mp4" else ()),
    )
    return {key: PLAN.base["video"][key] for key in keys}


# Page


def film_files(file):
    """One file of every film."""
    return [f"{RESULTS}/films/{film}/{file}" for film in PLAN.films]


def panorama_losses():
    """What each film's panorama metrics: film -> the name of the loss."""
    return {film: survey_loss(film)["name"] for film in PLAN.films}
