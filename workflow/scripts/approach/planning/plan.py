"""The plan of a run: settings, batches, films and downloads, from the configuration and what is on disk. No torch.

The Snakefile makes it once per parse; rules ask it for their inputs and for the slice of configuration they use.
"""

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from safetensors import safe_open

from approach.errors import UserError
from approach.planning import batches, sweep
from approach.planning.films import film_table
from approach.sources import is_url, sha256_of
from approach.target import check_picture

# Short keys that become Hydra overrides; the rest is taken literally.
TO_HYDRA = {
    "experiment": "experiment",
    "generator": "generator",
    "loss": "loss",
    "lr": "optimizer.lr",
    "steps": "steps",
    "seeds_per_job": "seeds_per_job",
    "device": "device",
    "graphs": "graphs",
    "video": "video",
}
SHORT_KEYS = [*TO_HYDRA, "name", "target", "seeds", "overwrite", "hydra"]
DOWNLOADS = "resources/downloads"
# torchvision's published backbones; the eight hex digits begin the file's sha256.
BACKBONES = {"squeeze": "squeezenet1_1-b8a52dc0.pth", "alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
BACKBONE_URL = "https://download.pytorch.org/models/"
OWN_FILES = [("generator", key) for key in ("config", "weights", "class_names", "discriminator")] + [
    ("target", "picture")
]
SETTING = r"loss~[A-Za-z0-9._-]+\+lr~[A-Za-z0-9._-]+(\+[A-Za-z0-9._]+~[A-Za-z0-9._-]+)*"


@dataclass(frozen=True)
class Setting:
    """One point of the sweep, with its validated configuration and its batches (label -> wanted seeds)."""

    id: str
    values: dict
    config: dict
    batches: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All that a run is about. base is the first setting's configuration: what the settings share is read there."""

    root: Path
    base: dict
    settings: dict
    films: dict
    axes: dict
    downloads: dict
    notes: list

    @property
    def name(self) -> str:
        """The folder under results/."""
        return self.base["name"]

    @property
    def seeds(self) -> list[int]:
        """The wanted seeds."""
        return self.base["seeds"]


def make_plan(given: dict, root: Path) -> Plan:
    """Plan a run from what came after --config.

    Args:
        given: Snakemake's config, retyped by it.
        root: the project's folder (paths in config/ are relative to it).

    Raises:
        UserError: what is wrong, in one line, before any job.
    """
    words, literal = read_short_keys(given, root / "config")
    points = sweep.points(words, root / "config")
    settings = {}
    for composed, chosen in points:
        config = sweep.validate(finish(composed, literal, given, root))
        check_combination(config)
        values = sweep.axis_values(config, chosen)
        settings[sweep.setting_id(values)] = (values, config)
    base = next(iter(settings.values()))[1]
    folder = Path("results") / base["name"]
    planned = {
        key: Setting(
            key,
            values,
            config,
            batches.plan_batches(batches.found_batches(folder / key), config["seeds"], config["seeds_per_job"]),
        )
        for key, (values, config) in settings.items()
    }
    axes = {}
    for setting in planned.values():
        for key, value in setting.values.items():
            if value not in axes.setdefault(key, []):
                axes[key].append(value)
    table, notes = film_table(base["films"], axes, base["seeds"], sweep.setting_id)
    films = {film["name"]: film for film in table}
    return Plan(root, base, planned, films, axes, needed_downloads(planned.values()), notes)


def read_short_keys(given: dict, config_dir: Path) -> tuple[list[str], dict]:
    """Turn Snakemake's retyped config into Hydra override strings and literal values.

    Raises:
        UserError: an unknown key or an empty value.
    """
    words, further, literal = [], [], {}
    for key, value in given.items():
        if key not in SHORT_KEYS:
            raise UserError(
                f"unknown key '{key}'{sweep.nearest(key, SHORT_KEYS)} (dotted keys go through hydra=\"...\")"
            )
        if value is None or value in ("", []):
            raise UserError(f"{key}= is empty: give it a value, or leave the key out")
        if key == "hydra":
            try:
                further += shlex.split(str(value))
            except ValueError as error:
                raise UserError(f"hydra={value!r}: {error}; quote it as a shell would") from None
        elif key in TO_HYDRA:
            words.append(f"{TO_HYDRA[key]}={_written(value)}")
        elif key == "target" and str(value) in sweep.groups(config_dir)["target"] and not Path(str(value)).exists():
            words.append(f"target={value}")
        else:
            literal[key] = value
    for word in [*words, *further]:
        if re.match(r"\+*(target|name|seeds)=.*,", word) and not re.match(r"\+*seeds=\[", word):
            raise UserError(f"'{word}' cannot be swept; write seeds=[0,1] for a list of seeds")
    return [*words, *further], literal


def _written(value) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_written(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_seeds(value) -> list[int]:
    """The seeds that a value stands for: N is 0..N-1, "3,5" or [3, 5] are those.

    Raises:
        UserError: neither.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int):
            seeds = list(range(value))
        else:
            words = value.strip("[]").split(",") if isinstance(value, str) else value
            seeds = sorted({int(str(word)) for word in words})
    except (TypeError, ValueError):
        seeds = []
    if not seeds or seeds[0] < 0:
        raise UserError(f"seeds={value}: give how many seeds (6 stands for 0 to 5), or which ones (0,3,7)")
    return seeds


def finish(config: dict, literal: dict, given: dict, root: Path) -> dict:
    """Put in what Hydra never sees (target, name, seeds, overwrite), the default name, and where our own files are."""
    if "target" in literal:
        target = str(literal["target"])
        config["target"] = {**config["target"], "picture": target, "sha256": None}
    config["seeds"] = read_seeds(literal.get("seeds", config["seeds"]))
    # Snakemake knows only True and False as truth values
    overwrite = literal.get("overwrite", config["overwrite"])
    config["overwrite"] = {"true": True, "false": False}.get(str(overwrite).lower(), overwrite)
    name = literal.get("name", config["name"])
    if name is None:
        stem = Path(config["target"]["picture"].split("?")[0]).stem if "target" in literal else None
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") if stem else given.get("experiment", "study")
    config["name"] = str(name)
    for section, key in OWN_FILES:
        config[section] = {**config[section], key: _located(config[section][key], root)}
    return config


@cache
def _located(path: str | None, root: Path) -> str | None:
    """Where a file is: used as a module from another folder, the project's own files are beside its Snakefile."""
    own = path and not is_url(path) and not Path(path).exists() and (root / path).exists()
    return str(root / path) if own else path


def check_combination(config: dict) -> None:
    """Refuse what each key allows but the whole does not.

    Raises:
        UserError: names the keys and the remedy.
    """
    if "discriminator" in config["loss"]["terms"] and config["generator"]["discriminator"] is None:
        raise UserError(
            f"loss={config['loss']['name']}: the discriminator belongs to the study generator, and "
            f"generator={config['generator']['name']} has none; take another loss, or generator=study"
        )
    if config["precision"] == "tf32" and not config["device"].startswith(("cuda", "auto")):
        raise UserError(f"precision=tf32 is NVIDIA's, and device={config['device']}; take float32 or bf16")


def uses_lpips(config: dict) -> bool:
    """Whether the walk's loss needs the LPIPS network."""
    return "lpips" in config["loss"]["terms"]


def weights_file(config: dict) -> str:
    """Where the generator's weights are, or will be."""
    generator = config["generator"]
    return generator["weights"] or f"{DOWNLOADS}/{generator['name']}-{_file_name(generator['url'])}"


def backbone_file(config: dict) -> str:
    """Where the LPIPS backbone is, or will be."""
    perceptual = config["perceptual"]
    return perceptual["weights"] or f"{DOWNLOADS}/{BACKBONES[perceptual['net']]}"


def picture_file(config: dict) -> str:
    """Where the target's picture is, or will be."""
    picture = config["target"]["picture"]
    if not is_url(picture):
        return picture
    short = hashlib.sha256(picture.encode()).hexdigest()[:8]
    return f"{DOWNLOADS}/target-{short}-{_file_name(picture)}"


def _file_name(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", url.split("?", maxsplit=1)[0].rsplit("/", 1)[-1].replace("%20", "-"))


def needed_downloads(settings) -> dict[str, dict]:
    """What has to come from a network, if it is not there: file name under resources/downloads -> url and sha256."""
    needed = {}
    for config in (setting.config for setting in settings):
        generator, target, perceptual = config["generator"], config["target"], config["perceptual"]
        if generator["weights"] is None:
            needed[weights_file(config)] = {"url": generator["url"], "sha256": generator["sha256"]}
        if is_url(target["picture"]):
            needed[picture_file(config)] = {"url": target["picture"], "sha256": target["sha256"]}
        if (uses_lpips(config) or "lpips" in config["metrics"]) and perceptual["weights"] is None:
            url = BACKBONE_URL + BACKBONES[perceptual["net"]]
            needed[backbone_file(config)] = {"url": url, "sha256": re.search(r"-([0-9a-f]{8})\.pth", url)[1]}
    return {path.removeprefix(f"{DOWNLOADS}/"): source for path, source in needed.items()}


def inversion_config(config: dict) -> dict:
    """What the inversion uses: changing anything in it means another walk."""
    optimizer = {key: value for key, value in config["optimizer"].items() if key != "betas"}
    chosen = ("loss", "start", "steps", "precision", "compile", "graphs", "micro_batch", "threads", "device")
    return {
        "truncation": config["generator"]["truncation"],
        "optimizer": optimizer,
        "perceptual_net": config["perceptual"]["net"] if uses_lpips(config) else None,
        **{key: config[key] for key in chosen},
    }


def check_before_jobs(plan: Plan) -> None:
    """Look at what the jobs will open, so that what is wrong is said before the first one.

    Raises:
        UserError: a file that is missing or no picture, or walks made from something else under the same name.
    """
    for config in [setting.config for setting in plan.settings.values()][:: max(1, len(plan.settings) - 1)]:
        for key, path in local_files(config).items():
            if not Path(path).is_file():
                raise UserError(f"{key}={path}: there is no such file")
        if not is_url(config["target"]["picture"]):
            check_picture(config["target"]["picture"])
        check_classes(config)
    if not plan.base["overwrite"]:
        check_same_sources(plan)


def local_files(config: dict) -> dict[str, str]:
    """Files that a person named and that nothing downloads: key -> path."""
    generator = config["generator"]
    files = {f"generator.{key}": generator[key] for key in ("config", "weights", "class_names", "discriminator")}
    files["perceptual.weights"] = config["perceptual"]["weights"]
    if not is_url(config["target"]["picture"]):
        files["target"] = config["target"]["picture"]
    return {key: path for key, path in files.items() if path is not None}


def check_classes(config: dict) -> None:
    """Refuse a start class that the generator's own list of names does not have."""
    file = config["generator"]["class_names"]
    if file is None or not config["start"]["classes"]:
        return
    names = json.loads(Path(file).read_text(encoding="utf-8"))
    for name in config["start"]["classes"]:
        if name not in names:
            raise UserError(f"start.classes: this generator has no class '{name}'{sweep.nearest(name, names)}")


def check_same_sources(plan: Plan) -> None:
    """Refuse to overwrite walks that were made from another picture or other weights under the same name."""
    for setting in plan.settings.values():
        folder = Path("results") / plan.name / setting.id / "trajectories"
        found = next((folder / f"{batch}.safetensors" for batch in setting.batches), None)
        if found is None or not found.is_file():
            continue
        with safe_open(found, framework="np") as file:
            made_from = json.loads((file.metadata() or {}).get("made_from", "{}"))
        now = {"target": picture_file(setting.config), "generator": weights_file(setting.config)}
        for what, path in now.items():
            if what in made_from and Path(path).is_file() and sha256_of(path) != made_from[what]["sha256"]:
                before = made_from[what]["file"]
                what_changed = f"{before}, not {path}" if before != str(path) else f"{path} was another file then"
                raise UserError(
                    f"results/{plan.name} holds walks made from another {what} ({what_changed}): "
                    "give this run a name=... of its own, or overwrite=true to lose those"
                )
        return
