"""What a person types after --config: short keys to Hydra overrides, and those that Hydra never sees. No torch.

Snakemake has parsed the values before: 007 is the number 7 then, a text in brackets is a list, a text with ": " in it
is a mapping, and quotes at the ends are gone.
"""

import csv
import hashlib
import json
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from approach.errors import UserError
from approach.planning import sweep
from approach.planning.schema import leaves
from approach.sources import is_url

# Short keys that become Hydra overrides; the others are taken literally.
TO_HYDRA = {
    "experiment": "experiment",
    "generator": "generator",
    "loss": "loss",
    "optimizer": "optimizer",
    "start": "start",
    "search": "search",
    "video": "video",
    "lr": "optimizer.lr",
    "steps": "steps",
    "seeds_per_job": "seeds_per_job",
    "device": "device",
    "graphs": "graphs",
    "track": "track",
}
# Texts for visitors, taken literally.
SAID = ("title", "artist", "year", "credit", "licence")
SHORT_KEYS = [*TO_HYDRA, "name", "target", "seeds", "overwrite", *SAID, "hydra"]
# Files of the project, relative to its folder.
OWN_FILES = [("generator", key) for key in ("config", "weights", "class_names", "discriminator")] + [
    ("target", "picture")
]
# Latin letters that Unicode does not take apart.
LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
)
LONGEST_NAME = 60
MOST_SEEDS = 100_000


def read_short_keys(given: dict, config_dir: Path) -> tuple[list[str], dict]:
    """Turn what Snakemake made of --config into Hydra override strings and literal values.

    Args:
        given: Snakemake's config.
        config_dir: config/.

    Returns:
        The overrides, and what Hydra never sees: target, name, seeds, overwrite, title, artist, year, credit, the
        experiment's name, and a start that is a trajectory or a picture.

    Raises:
        UserError: an unknown key, an empty value, a value that cannot be read.
    """
    words, further, literal = [], [], {}
    if "defaults" in given:
        raise UserError(
            "config/config.yaml is read by Hydra: leave out `configfile:` (--configfile), or give short keys"
        )
    for key, value in given.items():
        if key not in SHORT_KEYS:
            raise UserError(f"unknown key '{key}'{_meant(key, value)}")
        if value is None or value in ("", []):
            raise UserError(f"{key}= is empty: give it a value, or leave the key out")
        if key == "hydra":
            further += sweep.split_words(_typed(value))
        elif key == "start" and str(value).startswith(("trajectory:", "picture:")):
            literal["start.from"] = str(value)
            words.append("start=random")  # of which none is drawn, and none picked
        elif key in TO_HYDRA:
            words.append(f"{TO_HYDRA[key]}={_typed(value)}")
        elif key == "target" and str(value) in sweep.groups(config_dir)["target"] and not Path(str(value)).exists():
            words.append(f"target={value}")
        else:
            literal[key] = value
    words += further
    for word in words:
        if re.match(r"\+*(target|name|seeds)=.*,", word) and not re.match(r"\+*seeds=\[", word):
            raise UserError(f"'{word}' cannot be swept; write seeds=[0,1] for a list of seeds")
        if match := re.fullmatch(r"\+*experiment=(.*)", word):
            literal["experiment"] = match[1].strip("'\"")
    return words, literal


def _meant(key: str, value) -> str:
    """What an unknown key was meant to be: a key that goes through hydra="...", or a short key like it."""
    dotted = [name for name, _ in leaves() if name.rpartition(".")[2] == key]
    if dotted:
        return f"; write {' or '.join(sweep.hydra_argument(f'{name}={_typed(value)}') for name in dotted)}"
    return f'{sweep.nearest(key, SHORT_KEYS)} (other keys go through hydra="...")'


def _typed(value) -> str:
    """What was typed, from what Snakemake made of it."""
    if isinstance(value, list):
        return "[" + ",".join(_typed(item) for item in value) + "]"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {text}" for key, text in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_retyped(given: dict, words: list[str]) -> None:
    """Refuse a name or a target that Snakemake took for a number and that is not what was typed: 007 becomes 7.

    Args:
        given: Snakemake's config.
        words: the command line.

    Raises:
        UserError: says what was typed, and what to type.
    """
    instead = {"name": "begin it with a letter, as in name=run-{}", "target": "write ./ before it, as in target=./{}"}
    for key, remedy in instead.items():
        typed = [word.removeprefix(f"{key}=") for word in words if word.startswith(f"{key}=")]
        value = given.get(key)
        if typed and isinstance(value, int | float) and str(value) != typed[-1]:
            raise UserError(
                f"{key}={typed[-1]}: Snakemake reads it as the number {value}, and quotes do not help: "
                f"{remedy.format(typed[-1])}"
            )


def read_seeds(value) -> list[int]:
    """Read seeds: N means 0 to N-1, "3,5" and [3, 5] mean these two.

    Raises:
        UserError: neither.
    """
    if isinstance(value, int) and value > MOST_SEEDS:
        raise UserError(f"seeds={value}: at most {MOST_SEEDS} in one run; further ones go into another")
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
        raise UserError(
            f"seeds={value}: give how many seeds (6 means 0 to 5), which ones (0,3,7), or closest:3 of a finished run"
        )
    return seeds


def closest_seeds(results: Path, count: int) -> list[int]:
    """The seeds that came closest in a finished run, by its arrivals.csv; with several settings, in their best one.

    They are written down, since the run that goes on with them writes that table anew: the same command means the same
    seeds ever after.

    Raises:
        UserError: there is no such table, or it has fewer seeds.
    """
    chosen, arrivals = results / "chosen" / f"closest-{count}.json", results / "arrivals.csv"
    said = f"seeds=closest:{count}"
    try:
        if chosen.is_file():
            return [int(seed) for seed in json.loads(chosen.read_text())]
        with arrivals.open(newline="", encoding="utf-8") as table:
            rows = [row for row in csv.DictReader(table) if row["by_closeness"]]
        rows.sort(key=lambda row: int(row["by_closeness"]))
        seeds = list(dict.fromkeys(int(row["seed"]) for row in rows))
    except FileNotFoundError:
        raise UserError(f"{said}: {arrivals} is not there; make a run of that name first") from None
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{said}: {chosen if chosen.is_file() else arrivals} cannot be read ({error})") from None
    if len(seeds) < count:
        raise UserError(f"{said}: {arrivals} has {len(seeds)} seeds")
    chosen.parent.mkdir(exist_ok=True)
    partial = chosen.with_suffix(".part")
    partial.write_text(json.dumps(sorted(seeds[:count])))
    partial.replace(chosen)
    return sorted(seeds[:count])


def finish(config: dict, literal: dict, root: Path) -> dict:
    """Complete a composed configuration with what Hydra never sees.

    Args:
        config: a composed configuration; it is changed.
        literal: target, name, seeds, overwrite, title, artist, year, credit and the experiment's name, as far as they
            were given.
        root: the project's folder.

    Returns:
        The configuration, with its default name and with the project's own files where they are.

    Raises:
        UserError: a target or seeds that cannot be.
    """
    if "target" in literal:
        *via, picture = map(_target, _pictures(literal["target"]))
        config["target"] = {**config["target"], "picture": picture, "via": via, "sha256": None}
    if "start.from" in literal:
        config["start"] = {**config["start"], "from": literal["start.from"]}
    # Snakemake knows only True and False as truth values
    overwrite = literal.get("overwrite", config["overwrite"])
    config["overwrite"] = {"true": True, "false": False}.get(str(overwrite).lower(), overwrite)
    name = literal.get("name", config["name"])
    if name is None:
        experiment = literal.get("experiment", "study")
        pictures = [*config["target"].get("via", []), config["target"]["picture"]]
        name = "-".join(map(readable_name, pictures))[:LONGEST_NAME] if "target" in literal else experiment
    config["name"] = str(name)
    seeds = literal.get("seeds", config["seeds"])
    if match := re.fullmatch(r"closest:([1-9]\d*)", str(seeds)):
        seeds = closest_seeds(Path("results") / config["name"], int(match[1]))
    config["seeds"] = read_seeds(seeds)
    for key in SAID:
        value = literal.get(key, config.get(key))
        config[key] = None if value is None else _typed(value)
    for section, key in OWN_FILES:
        if key in config.get(section, {}):  # where it is missing, the schema says so
            config[section] = {**config[section], key: _located(config[section][key], root)}
    return config


def _pictures(value) -> list:
    """The pictures of target=[a.jpg,b.jpg], or the one of target=a.jpg, which may be called [a].jpg."""
    return value if isinstance(value, list) and value and not Path(str(value)).exists() else [value]


def _target(value) -> str:
    """The target's path or URL.

    Raises:
        UserError: Snakemake took the file's name for something else.
    """
    text = _typed(value) if isinstance(value, dict) else str(value)
    if not isinstance(value, str | dict) and not Path(text).exists():
        kind = "a list" if isinstance(value, list) else "a truth value" if isinstance(value, bool) else "a number"
        raise UserError(
            f"target={text}: there is no such file. Snakemake took the name for {kind}, and quotes do not help: "
            "write ./ before it, as in target=./007"
        )
    return text


def readable_name(picture: str) -> str:
    """Name a run after its picture, in letters that are safe in every path: A-Z, a-z, 0-9, dot, underscore, hyphen.

    Accents are dropped (été.jpg: ete). Where a letter of another script is lost (富士山.jpg), or the name is too long,
    8 hex digits of the whole name's hash follow, so that different pictures keep different names.

    Args:
        picture: a path or a URL.
    """
    file = unquote(urlsplit(picture).path) if is_url(picture) else picture
    stem = unicodedata.normalize("NFC", Path(file).stem)
    letters = "".join(
        letter for letter in unicodedata.normalize("NFKD", stem.translate(LETTERS)) if not unicodedata.combining(letter)
    )
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", letters).strip("-.")
    lost = any(letter.isalnum() and not letter.isascii() for letter in letters)
    if words and not lost and len(words) <= LONGEST_NAME:
        return words
    short = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{words[:LONGEST_NAME].rstrip('-.') or 'target'}-{short}"


def _located(path: str | None, root: Path) -> str | None:
    """Where a file is: used as a module from another folder, the project's own files are beside its Snakefile.

    Raises:
        UserError: the path is one that the file system or Snakemake refuses.
    """
    if not isinstance(path, str) or is_url(path):
        return path
    if re.search(r"[{}]", path):
        raise UserError(f"{path}: Snakemake takes braces in a path for wildcards; rename the file, or link it")
    try:
        own = not Path(path).exists() and (root / path).exists()
    except OSError as error:
        shown = path if len(path) <= 100 else f"{path[:80]}..."
        raise UserError(f"{shown}: {error.strerror or error}".replace("File name", "file name")) from None
    return str(root / path) if own else path
