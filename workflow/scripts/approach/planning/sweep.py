"""Sweeps in Hydra's grammar: from override strings to the validated configuration of every setting.

Hydra's own parser and BasicSweeper expand the sweep. One compose costs tens of milliseconds, so it is done once per
combination of group choices (loss, optimizer, ...); plain values are set on a copy of its result.
"""

import difflib
import hashlib
import re
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from approach.errors import UserError
from approach.planning.schema import SWEEPABLE, Config, leaves

SHORT = {"optimizer.lr": "lr"}
FREE_FORM = ("films", "loss.terms")
SAFE = re.compile(r"[A-Za-z0-9._-]+")


@cache
def groups(config_dir: Path) -> dict[str, list[str]]:
    """Config groups and their choices: folder -> file stems."""
    folders = sorted(path for path in config_dir.iterdir() if path.is_dir())
    return {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}


def nearest(word: str, known: list[str]) -> str:
    """'; did you mean X?' for the known word nearest to a mistaken one, or a list where none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        last = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [last[hit] for hit in difflib.get_close_matches(word.rsplit(".", 1)[-1], list(last), n=1)]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if len(known) <= 20 else "; docs/configuration.md lists them"


def parse_overrides(words: list[str], config_dir: Path) -> list[Override]:
    """Parse Hydra overrides and refuse those that name no key or choice of ours.

    Raises:
        UserError: broken grammar, an unknown key or choice, a sweep of a key that is not swept, a random sweep.
    """
    try:
        overrides = _parser(config_dir).parse_overrides(words)
    except HydraException as error:
        raise UserError(f"cannot read {words}: {_first_line(error)}") from None
    for override in overrides:
        _check_override(override, config_dir)
    return overrides


@cache
def _parser(config_dir: Path) -> OverridesParser:
    """Hydra's parser; it knows config/, which glob() looks into."""
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        return OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())


def _check_override(override: Override, config_dir: Path) -> None:
    key, choices = override.key_or_group, groups(config_dir)
    known = [name for name, _ in leaves()]
    if key not in choices and key not in known and not key.startswith(tuple(f"{name}." for name in FREE_FORM)):
        raise UserError(f"unknown key '{key}'{nearest(key, [*known, *choices])}")
    if override.is_delete():
        raise UserError(f"'{override.input_line}': keys cannot be deleted; give '{key}' another value")
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            said = override.input_line
            raise UserError(f"'{said}': a random sweep has no fixed points; write choice(...) or range(...)")
        if not any(key == name or key.startswith(f"{name}.") for name in SWEEPABLE):
            short = SHORT.get(key, key)
            raise UserError(f"'{short}' cannot be swept; what can: lr, {', '.join(SWEEPABLE)} and their keys")
    if key in choices:
        swept = override.is_sweep_override()
        for value in override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]:
            if value.strip("'\"") not in choices[key]:
                raise UserError(f"unknown {key} '{value}'{nearest(value, choices[key])}")


def expand(overrides: list[Override]) -> list[list[str]]:
    """The sweep's points, as BasicSweeper makes them: one list of override strings per job."""
    return BasicSweeper.split_arguments(overrides, max_batch_size=None)[0] if overrides else [[]]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


@cache
def compose_config(words: tuple[str, ...], config_dir: Path) -> dict:
    """Compose config/ with override strings into plain dicts; `hydra` holds the experiment's sweeper.params.

    The result is kept and shared: copy it before changing it.

    Raises:
        UserError: Hydra cannot compose it.
    """
    forced = [f"++{word}" if word.startswith(tuple(f"{name}." for name in FREE_FORM)) else word for word in words]
    try:
        with initialize_config_dir(str(config_dir), version_base="1.3"):
            composed = compose("config", forced, return_hydra_config=True)
        params = OmegaConf.to_container(composed.hydra.sweeper.params or OmegaConf.create({}))
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        return {**OmegaConf.to_container(composed, resolve=True), "hydra": params}
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"config/ cannot be composed with {list(words)}: {_first_line(error)}") from None


def points(words: list[str], config_dir: Path) -> list[tuple[dict, dict[str, object]]]:
    """Expand override strings, with those of the experiment's sweeper.params, into one plain configuration per point.

    Returns:
        For each point in BasicSweeper's order: its configuration (not yet validated), and what was swept in it
        (the choice of a group, the value of a key).
    """
    typed = parse_overrides(words, config_dir)
    # the experiment's own sweep is the same at every point; the first one's composition is kept for its setting
    params = compose_config(_composed(expand(typed)[0], _swept_values(typed, config_dir)), config_dir)["hydra"]
    overrides = parse_overrides([f"{key}={value}" for key, value in params.items()], config_dir) + typed
    swept, plain = _swept(overrides), _swept_values(overrides, config_dir)

    values = {
        word: value for override in overrides if override.key_or_group in swept for word, value in _values(override)
    }
    result = []
    for job in expand(overrides):
        fixed = compose_config(_composed(job, plain), config_dir)
        config = {key: value for key, value in fixed.items() if key != "hydra"}
        chosen = {}
        for word in job:
            key = _key(word)
            if key in swept:
                chosen[key] = values[word]
            if key in plain:
                _set(config, key, values[word])
        result.append((config, chosen))
    return result


def _swept(overrides: list[Override]) -> set[str]:
    """Keys and groups that are swept; of several overrides of one key the last counts."""
    return {key for key, last in {one.key_or_group: one for one in overrides}.items() if last.is_sweep_override()}


def _swept_values(overrides: list[Override], config_dir: Path) -> set[str]:
    """Swept keys that are no groups: their values are set on a copy of a composition."""
    return _swept(overrides).difference(groups(config_dir))


def _composed(job: list[str], plain: set[str]) -> tuple[str, ...]:
    """The words of a point that Hydra composes."""
    return tuple(word for word in job if _key(word) not in plain)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _values(override: Override) -> list[tuple[str, object]]:
    """A sweep's points: the override string that BasicSweeper makes of each, and its value."""
    if not override.is_sweep_override():
        return []
    words = [f"{override.get_key_element()}={text}" for text in override.sweep_string_iterator()]
    found = [_plain(value) for value in override.sweep_iterator()]
    return list(zip(words, found, strict=True))


def _plain(value):
    return value.text if isinstance(value, QuotedString) else OmegaConf.to_container(OmegaConf.create([value]))[0]


def _set(config: dict, key: str, value) -> None:
    """Set a dotted key; the sections on the way are copied, since other points share them."""
    *parents, last = key.split(".")
    for parent in parents:
        config[parent] = dict(config.get(parent, {}))
        config = config[parent]
    config[last] = value


def get(config: dict, key: str):
    """The value at a dotted key of nested dicts."""
    for part in key.split("."):
        config = config[part]
    return config


def validate(config: dict) -> dict:
    """Check a whole configuration against the schema.

    Raises:
        UserError: names the first wrong key, what it got and what is allowed.
    """
    try:
        return Config.model_validate(config, strict=True).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(f"unknown key '{where}'{nearest(where, [name for name, _ in leaves()])}") from None
        if first["type"] == "missing":
            raise UserError(f"{where} is missing: each file in config/{where.split('.')[0]}/ gives all keys") from None
        said = first["msg"].removeprefix("Value error, ")
        short = SHORT.get(where, where)
        raise UserError(f"{short}={first['input']!r}: {said[0].lower()}{said[1:]} (docs/configuration.md)") from None


def value_text(value) -> str:
    """A value as it stands in a path: numbers as repr, safe words as they are, anything else as 8 hex digits."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool | None) else repr(value)
    return text if SAFE.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:8]


@cache
def _place(key: str) -> int:
    order = [name for name, _ in leaves()]
    below, above = f"{key}.", tuple(f"{name}." for name in order if key.startswith(f"{name}."))
    related = [i for i, name in enumerate(order) if name == key or name.startswith(below) or f"{name}." in above]
    return related[0]


def axis_values(config: dict, chosen: dict[str, object]) -> dict[str, object]:
    """What tells a setting from its neighbours: loss, lr, then further swept keys in schema order."""
    further = sorted((key for key in chosen if key not in ("loss", "optimizer.lr")), key=_place)
    return {"loss": config["loss"]["name"], "lr": config["optimizer"]["lr"]} | {
        key: chosen[key] if isinstance(chosen[key], str) else get(config, key) for key in further
    }


def setting_id(values: dict[str, object]) -> str:
    """The setting's folder: "loss~lpips+lr~0.05", then further swept keys."""
    return "+".join(f"{key}~{value_text(value)}" for key, value in values.items())
