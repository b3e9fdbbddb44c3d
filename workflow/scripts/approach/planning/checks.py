"""What is looked at before the first job, so that a mistake costs seconds and not hours. No torch."""

import importlib.util
from pathlib import Path

from approach.biggan.config import read_config
from approach.classes import class_index, imagenet_names, read_names
from approach.errors import UserError
from approach.planning.downloads import destinations
from approach.planning.finished import check_nothing_is_lost, going_on, put_aside, restore_targets
from approach.planning.plan import Plan
from approach.planning.start_from import check_start
from approach.sources import is_url
from approach.target import check_picture
from approach.trackers import check_installed


def check_before_jobs(plan: Plan, code: str = "") -> None:
    """Look at what the jobs of every setting will open: each file once, however many settings share it.

    Args:
        plan: the run's.
        code: digest of the inversion's code.

    Raises:
        UserError: a file that is missing or no picture, a start class that the generator does not have, or
            trajectories made from something else under the same name.
    """
    configs = [setting.config for setting in plan.settings.values()]
    for config in configs:
        check_start(config, plan.seeds, plan.results, plan.settings)
    configs += plan.starts.values()
    for key, path in dict.fromkeys(file for config in configs for file in local_files(config)):
        if not Path(path).is_file():
            raise UserError(f"{key}={path}: there is no such file")
    for architecture in dict.fromkeys(config["generator"]["config"] for config in configs):
        read_config(architecture)
    for picture in dict.fromkeys(one["target"]["picture"] for config in configs for one in destinations(config)):
        if not is_url(picture):
            check_picture(picture)
    for names_file, chosen in dict.fromkeys(_start_classes(config) for config in configs):
        check_classes(names_file, chosen)
    check_embedding(plan)
    check_installed(plan.base["track"])
    onward = going_on(plan, code)
    if not plan.base["overwrite"]:
        check_nothing_is_lost(plan, onward)
    put_aside(plan, onward)
    restore_targets(plan)


def local_files(config: dict) -> list[tuple[str, str]]:
    """Files that a person named and that nothing downloads: pairs of key and path."""
    generator = config["generator"]
    files = [(f"generator.{key}", generator[key]) for key in ("config", "weights", "class_names", "discriminator")]
    files += [("perceptual.weights", config["perceptual"]["weights"])]
    pictures = [one["target"]["picture"] for one in destinations(config)]
    files += [("target", picture) for picture in pictures if not is_url(picture)]
    return [(key, path) for key, path in files if path is not None]


def _start_classes(config: dict) -> tuple[str | None, tuple[str, ...]]:
    """The file with the generator's class names, and which of them the starts have."""
    return config["generator"]["class_names"], tuple(config["start"]["classes"])


def check_embedding(plan: Plan) -> None:
    """Refuse latent.classes=embedding where a class vector could not be told from a class embedding.

    Raises:
        UserError: the generator has as many classes as its embedding has dimensions.
    """
    architecture = read_config(plan.base["generator"]["config"])
    free = any(setting.config["latent"]["classes"] == "embedding" for setting in plan.settings.values())
    if free and architecture.num_classes == architecture.class_embed_dim:
        raise UserError(
            f"latent.classes=embedding: {plan.base['generator']['config']} has as many classes as the embedding has "
            "dimensions, and the two cannot be told apart; take softmax"
        )


def check_classes(names_file: str | None, chosen: tuple[str, ...]) -> None:
    """Refuse a start class that the generator's own list of names does not have.

    Args:
        names_file: the JSON list of names; None stands for ImageNet's.
        chosen: start.classes.

    Raises:
        UserError: names the class, as the inversion would.
    """
    in_jobs_only = names_file is None and importlib.util.find_spec("torchvision") is None
    if not chosen or in_jobs_only:
        return
    names = read_names(names_file) if names_file else imagenet_names()
    for name in chosen:
        class_index(name, names)
