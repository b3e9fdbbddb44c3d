# What the rules share: the plan of the run, and functions that ask it for a rule's files and values.
import os
import re
import shlex
from pathlib import Path

from snakemake.logging import logger

from approach.batch_labels import LABEL as BATCH
from approach.planning.checks import check_before_jobs
from approach.planning.command_line import check_retyped
from approach.planning.downloads import DOWNLOADS, picture_file
from approach.planning.identity import inversion_config
from approach.planning.live_page import LivePage
from approach.planning.locks import stale_lock_line
from approach.planning.plan import (
    EXHIBITION_FILES,
    SETTING,
    generator_files,
    image_threads,
    make_plan,
)
from approach.devices import gpus_needed
from approach.digest import code_digest
from approach.errors import UserError, one_line
from approach.planning.estimate import Job, closing_lines, summary_lines
from approach.processes import leave_soon
from approach.sources import sha256_of
from approach.wording import work_of

# verify tells of lost and changed files itself, all at once; the others have nothing to do with results
LOOKS_AT_NO_RESULTS = {"verify", "--lint", "--unlock"}

try:
    if workflow.is_main_process:
        check_retyped(config, sys.argv)
    PLAN = make_plan(dict(config), ROOT)
    IMAGE_THREADS = image_threads(PLAN.base["generator"]["config"])
    if workflow.is_main_process and LOOKS_AT_NO_RESULTS.isdisjoint(sys.argv):
        check_before_jobs(PLAN, code_digest(SCRIPTS / "invert.py", SCRIPTS))
        if locked := stale_lock_line():
            print(locked, file=sys.stderr)
except UserError as error:
    sys.exit(f"error: {one_line(error)}")

# experiment.yaml says what was typed; jobs inherit it
COMMAND = shlex.join(["snakemake", *sys.argv[1:]])
os.environ.setdefault("APPROACH_COMMAND", COMMAND)
# torch's threads wait for one another by spinning; where jobs share the cores, that made an inversion 50 times slower
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# where they are free, some microseconds of it are worth having: a step of the study's inversion takes 40 % less
if os.getloadavg()[0] < 0.75 * (os.cpu_count() or 1):
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

LIVE_PAGE = LivePage(PLAN)
GPUS = gpus_needed(PLAN.base["device"])


def get_code(script):
    """What a script and the library modules it uses say, as a digest: an edit reruns what it touches, and nothing else."""
    return code_digest(SCRIPTS / f"{script}.py", SCRIPTS)


def get_templates(*names):
    """What the page's templates say, as digests: an edit writes the page again, a moved project does not."""
    folder = SCRIPTS / "approach" / "page" / "templates"
    return {name: sha256_of(folder / name) for name in names}


def some_of(settings, *keys):
    """The part of a configuration that a rule uses, so that another key reruns nothing."""
    return {key: settings[key] for key in keys}


def get_video(*keys):
    """The part of a film's configuration that a rule uses, as a function of the rule's wildcards."""

    def get(wildcards):
        return some_of(PLAN.video(wildcards.film), *keys)

    return get


# Sources


def get_download(wildcards):
    return PLAN.downloads[wildcards.file]


def get_target_config(wildcards):
    return PLAN.target_config()


def get_destination_picture(wildcards):
    return PLAN.target_files(PLAN.destination(int(wildcards.number)))


def get_destination_picture_file(wildcards, input):
    return picture_file(PLAN.destination(int(wildcards.number)))


def get_destination_target(wildcards):
    return PLAN.target_config(PLAN.destination(int(wildcards.number)))


def get_still_files(wildcards):
    return PLAN.still_files(wildcards.setting)


def get_setting_target(wildcards):
    return PLAN.destination_files(wildcards.setting)["target"]


def get_picture(wildcards, input):
    """The picture's path. Snakemake does not track a value that is derived from `input`: ./me.jpg is me.jpg."""
    return picture_file(PLAN.base)


# Inversions


def get_inversion_files(wildcards):
    files = PLAN.inversion_files(wildcards.setting)
    return {**files, **PLAN.start_inputs(wildcards.setting, wildcards.seeds)}


def get_begin(wildcards, input):
    """Where the inversions start, unless at random; not tracked, since their configuration says which latents it is."""
    return PLAN.begin(wildcards.setting)


def get_start_picture(wildcards):
    return PLAN.target_files(PLAN.starts[wildcards.start])


def get_start_picture_file(wildcards, input):
    return picture_file(PLAN.starts[wildcards.start])


def get_start_target(wildcards):
    return PLAN.target_config(PLAN.starts[wildcards.start])


def get_start_files(wildcards):
    return PLAN.start_files(wildcards.start)


def get_start_config(wildcards):
    return inversion_config(PLAN.starts[wildcards.start])


def get_start_labels(wildcards):
    start = f"starts/{wildcards.start}"
    return {
        "experiment": PLAN.name,
        "setting": start,
        "batch": wildcards.seeds,
        "generator": PLAN.base["generator"]["name"],
    }


def get_inversion_config(wildcards):
    return inversion_config(PLAN.settings[wildcards.setting].config)


def get_inversion_labels(wildcards):
    return PLAN.inversion_labels(wildcards.setting, wildcards.seeds)


def get_batches(wildcards):
    return PLAN.batch_files(wildcards.setting)


def get_logs(wildcards):
    return PLAN.batch_files(wildcards.setting, "csv")


# Films


def get_film(wildcards):
    """A film's entry without its own video keys: how it is shown does not change which three it shows."""
    film = PLAN.films[wildcards.film]
    return {key: part for key, part in film.items() if key != "video"}


def get_candidate_files(wildcards):
    return PLAN.candidate_files(wildcards.film)


def get_candidate_batches(wildcards):
    return PLAN.candidate_batches(wildcards.film)


def get_shown_batches(wildcards):
    return PLAN.shown_batches(wildcards.film)


def get_candidate_losses(wildcards):
    return PLAN.candidate_losses(wildcards.film)


def get_named_batches(wildcards):
    return PLAN.named_batches(wildcards.film)


def get_ranking(wildcards):
    return PLAN.ranking(wildcards.film)


def get_caption_settings(wildcards):
    return PLAN.caption_settings(wildcards.film)


def get_caption_losses(wildcards):
    return PLAN.caption_losses(wildcards.film)


def frames_files(paths):
    """Lossless files of frames: kept, so that captions and codec only encode again, or temporary where asked."""
    return paths if PLAN.base["video"]["keep_frames"] else temp(paths)


def get_exhibition_video(wildcards):
    """What a file's making depends on: ProRes knows no rate."""
    rate = ("preset", "mbit", "gop") if wildcards.form == "mp4" else ()
    return get_video("frame", "fill", "height", "captions", *rate)(wildcards)


def get_metadata(wildcards):
    return work_of(PLAN.base, PLAN.name).metadata


def get_film_settings(wildcards):
    return PLAN.candidate_settings(wildcards.film)


def get_film_stills(wildcards):
    settings = PLAN.candidate_settings(wildcards.film)
    return [f"{PLAN.results}/{setting}/stills.npz" for setting in settings]


def get_survey(wildcards):
    if wildcards.film not in PLAN.surveyed_films():
        return []
    return [f"{PLAN.results}/films/{wildcards.film}/panorama.npz"]


def get_shared_files(wildcards):
    return PLAN.shared_files()


def get_player_films(wildcards):
    return PLAN.player_films(wildcards.film)


def get_player_digests():
    """What play.sh and its script say: Python's imports do not tell."""
    folder = SCRIPTS / "approach" / "film" / "mpv"
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def get_frame_files(wildcards):
    return PLAN.frame_files(wildcards.film)


def get_fog(wildcards):
    return PLAN.video(wildcards.film)["fog"]


def get_fog_net(wildcards):
    return PLAN.fog_net(wildcards.film)


# Pictures


def get_survey_files(wildcards):
    return PLAN.survey_files(wildcards.film)


def get_class_names(wildcards):
    return generator_files(PLAN.base, "class_names")


def get_survey_loss(wildcards):
    return PLAN.survey_loss(wildcards.film)


def get_survey_own(wildcards):
    """What terms of one's own say: an edit measures anew what is measured with them."""
    return PLAN.survey_own(wildcards.film)


def get_passes(wildcards):
    return PLAN.passes(wildcards.film)


def get_survey_loss_name(wildcards):
    return PLAN.survey_loss(wildcards.film)["name"]


def has_mixed_losses(wildcards):
    return PLAN.mixed_losses(wildcards.film)


def get_survey_net(wildcards):
    return PLAN.lpips_net(PLAN.survey_loss(wildcards.film)["terms"])


# Trackers


def get_tracked_config(wildcards):
    config = PLAN.settings[wildcards.setting].config
    return {key: config[key] for key in PLAN.recorded_config()}


# The run


def get_final_products():
    return PLAN.final_products()


def get_summary():
    """What Snakemake is about to do, counted by itself."""
    jobs = list(workflow.dag.needrun_jobs())
    planned = {str(file) for job in jobs for file in job.output}
    batches = planned.intersection(PLAN.all_batch_files())
    jobs = [Job(job.rule.name, job.threads) for job in jobs]
    cores = workflow.resource_settings.cores or os.cpu_count()
    return summary_lines(PLAN, batches, jobs, cores)


def begin_live_page(summary):
    """Have the run's live page written; the line that names it."""
    if not LOOKS_AT_NO_RESULTS.isdisjoint(sys.argv):
        return []
    jobs = [job.rule.name for job in workflow.dag.needrun_jobs()]
    names = [rule.name for rule in workflow.rules]
    logger.addHandler(LIVE_PAGE)
    return [LIVE_PAGE.begin(jobs, names, summary)]


def get_closing_words():
    return "\n".join(closing_lines(PLAN))
