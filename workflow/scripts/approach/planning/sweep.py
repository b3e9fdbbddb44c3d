"""Sweeps in Hydra's grammar: from override strings to the validated configuration of every setting.

Hydra's own parser and BasicSweeper expand the sweep. One compose costs tens of milliseconds, so it is done once per
combination of group choices (loss, optimizer, ...). Swept values, films and loss terms are set on a copy of its result:
a film or a table of terms given on the command line thus replaces what was there, where Hydra would merge the two.
"""

import difflib
import hashlib
import math
import re
import shlex
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from approach.errors import UserError
from approach.own import is_own
from approach.planning.schema import SWEEPABLE, Config, TermKind, Video, leaves

SHORT = {"optimizer.lr": "lr"}
# Tables whose keys are not in the schema.
FREE_FORM = ("films", "loss.terms", "start.picture.loss.terms")
SAFE = re.compile(r"[A-Za-z0-9._-]+")
MOST_SETTINGS = 10_000
# What may stand in Hydra's brackets: a quoted text, or a bare one up to the next comma, colon or bracket.
ITEM = re.compile(r""""[^"]*"|'[^']*'|[^\[\]{},:\s"'][^\[\]{},:"]*""")
WHOLLY_QUOTED = re.compile(r"""^(["'])((?:(?!\1).)*)\1$""", re.DOTALL)
QUOTED_EXAMPLE = 'start.classes=["golden retriever"]'
FILM_EXAMPLE = "films.mine={vary: seed, of: [0, 1, 2]}"


@cache
def groups(config_dir: Path) -> dict[str, list[str]]:
    """The config groups and their choices.

    Returns:
        Folder of config/ -> the names of its files, without .yaml.
    """
    folders = sorted(path for path in config_dir.iterdir() if path.is_dir())
    return {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}


def nearest(word: str, known: list[str]) -> str:
    """Suggest what a mistaken word was meant to be.

    Returns:
        "; did you mean X?" with the most similar known word, or where none is similar what is known.
    """
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        last = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [last[hit] for hit in difflib.get_close_matches(word.rsplit(".", 1)[-1], list(last), n=1)]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if len(known) <= 20 else "; docs/configuration.md lists them"


def split_words(text: str) -> list[str]:
    """Split the text of hydra="..." into overrides, at white space outside quotes and brackets.

    Quotes around a whole word are dropped, as a shell would; others are Hydra's and stay. Snakemake strips quotes from
    the end of a value, so a quote that is still open there is closed.

    Raises:
        UserError: a bracket is not closed.
    """
    words, word, quote, depth = [], "", "", 0
    for letter in text:
        apostrophe = letter == "'" and word[-1:].isalnum()
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and not apostrophe:
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth = max(0, depth - 1)
        elif letter.isspace() and not depth:
            words.append(word)
            word = ""
            continue
        word += letter
    if depth:
        raise UserError(f"hydra={text}: a bracket or a quote is not closed")
    words.append(word + quote)
    return [WHOLLY_QUOTED.sub(r"\2", word) for word in words if word]


def parse_overrides(words: list[str], config_dir: Path) -> list[Override]:
    """Parse Hydra overrides and refuse those that name no key or choice of ours.

    Raises:
        UserError: broken grammar, an unknown key or choice, a sweep of a key that is not swept, a random sweep.
    """
    overrides = []
    for before, word in zip(["", *words], words, strict=False):
        try:
            overrides += _parser(config_dir).parse_overrides([word])
        except HydraException:
            raise UserError(_unreadable(word, before, config_dir)) from None
        _check_override(overrides[-1], config_dir)
    settings = math.prod(points_of(override) for override in overrides)
    if settings > MOST_SETTINGS:
        raise UserError(f"a sweep of {settings} settings; at most {MOST_SETTINGS} are planned together")
    return overrides


def points_of(override: Override) -> int:
    """How many points an override has; none of them is listed.

    Raises:
        UserError: it has none, or as a range more than can be planned.
    """
    if not override.is_sweep_override():
        return 1
    sweep, said = override.value(), override.input_line
    if isinstance(sweep, RangeSweep):
        span, step = sweep.stop - sweep.start, sweep.step
        count = math.ceil(span / step) if step and math.isfinite(span) else 0
        if count > MOST_SETTINGS:
            raise UserError(f"'{said}': {count} values; at most {MOST_SETTINGS} settings are planned together")
    else:
        count = sum(1 for _ in override.sweep_string_iterator())
    if count < 1:
        raise UserError(f"'{said}': has no values; write choice(0.02,0.05), or range(start,stop,step) that reaches one")
    return count


def hydra_argument(word: str) -> str:
    """An override as it is typed in a shell."""
    return f"hydra={shlex.quote(word)}"


def _unreadable(word: str, before: str, config_dir: Path) -> str:
    """Say what is wrong with a word that Hydra cannot read, and what to type instead.

    Args:
        word: the override.
        before: the one before it; a word without "=" is the rest of its value.
        config_dir: config/.
    """
    said = f"cannot read '{word}'"
    key, equals, value = word.partition("=")
    if not equals:
        said = f"'{word}' is not key=value"
        key, _, value = before.partition("=")
        value = f"{value} {word}"
    key = key.lstrip("+")
    if key in groups(config_dir):
        return f"unknown {key} '{value}'{nearest(value, groups(config_dir)[key])}"
    found = next((line for line in _quotings(key, value) if _reads(line, config_dir)), None)
    if found:
        return f"{said}; quote it: {hydra_argument(found)}"
    if key.startswith("films"):
        return f"{said}; write a film as in {hydra_argument(FILM_EXAMPLE)}"
    if equals and key in [name for name, _ in leaves()]:
        return f"{SHORT.get(key, key)}={value}: cannot be read (docs/configuration.md says what it may be)"
    return f"{said}; quote texts as in {hydra_argument(QUOTED_EXAMPLE)}"


def _quotings(key: str, value: str) -> Iterator[str]:
    """An override's value with quotes where a text may need them; nothing for a key that takes no text."""
    field = dict(leaves()).get(key)
    annotation = field.annotation if field else None
    if not key.startswith("films") and str not in (annotation, *typing.get_args(annotation)):
        return
    if value.startswith(("[", "{")):
        yield f"{key}={ITEM.sub(_quoted_item, value)}"
    elif typing.get_origin(annotation) is list:
        yield f"{key}=[{ITEM.sub(_quoted_item, value)}]"
    else:
        yield f'{key}="{value}"'


def _quoted_item(match: re.Match) -> str:
    """An item of a list or a table, quoted unless it is quoted already or only letters and digits."""
    item = match[0].rstrip()
    if item[0] in "\"'" or re.fullmatch(r"[A-Za-z0-9._-]+", item):
        return match[0]
    return f'"{item}"'


def _reads(word: str, config_dir: Path) -> bool:
    try:
        _parser(config_dir).parse_overrides([word])
    except HydraException:
        return False
    return True


@cache
def _parser(config_dir: Path) -> OverridesParser:
    """Hydra's parser; it knows config/, which glob() looks into."""
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        return OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())


def _check_override(override: Override, config_dir: Path) -> None:
    key, choices = override.key_or_group, groups(config_dir)
    if "${" in (override.input_line or ""):
        raise UserError(f"{key}: ${{...}} is not looked up here; write the value itself")
    known = [name for name, _ in leaves()]
    if key not in choices and key not in known and not _is_free_form(key):
        raise UserError(f"unknown key '{key}'{nearest(key, [*known, *choices])}")
    term, kinds = key.removeprefix("start.picture.").removeprefix("loss.terms."), typing.get_args(TermKind)
    if "loss.terms." in key and term not in kinds and not is_own(term):
        raise UserError(f"unknown loss term '{term}'{nearest(term, list(kinds))}")
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


def _is_free_form(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in FREE_FORM)


def expand(overrides: list[Override]) -> list[list[str]]:
    """Expand a sweep as BasicSweeper does.

    Returns:
        The points of the sweep, each a list of override strings.
    """
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
    try:
        with initialize_config_dir(str(config_dir), version_base="1.3"):
            composed = compose("config", list(words), return_hydra_config=True)
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
    params = compose_config(_composed(expand(typed)[0], _set_here(typed, config_dir)), config_dir)["hydra"]
    overrides = parse_overrides([f"{key}={value}" for key, value in params.items()], config_dir) + typed
    swept, set_here = _swept(overrides), _set_here(overrides, config_dir)

    values = {word: value for override in overrides for word, value in _values(override)}
    result = []
    for job in expand(overrides):
        fixed = compose_config(_composed(job, set_here), config_dir)
        config = {key: value for key, value in fixed.items() if key != "hydra"}
        chosen = {}
        for word in job:
            key = _key(word)
            if key in swept:
                chosen[key] = values[word]
            if key in set_here:
                _set(config, key, values[word])
        result.append((config, chosen))
    return result


def _swept(overrides: list[Override]) -> set[str]:
    """Keys and groups that are swept; of several overrides of one key the last counts."""
    return {key for key, last in {one.key_or_group: one for one in overrides}.items() if last.is_sweep_override()}


def _set_here(overrides: list[Override], config_dir: Path) -> set[str]:
    """Keys that are set on a copy of a composition: swept ones that are no groups, films and loss terms."""
    free_form = {one.key_or_group for one in overrides if _is_free_form(one.key_or_group)}
    return _swept(overrides).difference(groups(config_dir)) | free_form


def _composed(job: list[str], set_here: set[str]) -> tuple[str, ...]:
    """The words of a point that Hydra composes."""
    return tuple(word for word in job if _key(word) not in set_here)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _values(override: Override) -> list[tuple[str, object]]:
    """The points of an override, one where it is not swept: BasicSweeper's override string of each, and its value."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [(f"{key}={override.get_value_element_as_str()}", _plain(override.value()))]
    words = [f"{key}={text}" for text in override.sweep_string_iterator()]
    return list(zip(words, map(_plain, override.sweep_iterator()), strict=True))


def _plain(value):
    """A value of Hydra's parser as builtin types."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _set(config: dict, key: str, value) -> None:
    """Set a dotted key; the sections on the way are copied, since other points share them."""
    *parents, last = key.split(".")
    for parent in parents:
        config[parent] = dict(config.get(parent) or {})
        config = config[parent]
    config[last] = value


def get(config: dict, key: str):
    """Look up a dotted key in nested dicts."""
    for part in key.split("."):
        config = config[part]
    return config


def validate(config: dict) -> dict:
    """Check a whole configuration against the schema.

    Raises:
        UserError: names the first wrong key, what it got and what is allowed.
    """
    try:
        return Config.model_validate(config, strict=True).model_dump(by_alias=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            raise UserError(f"unknown key '{where}'{nearest(where, [name for name, _ in leaves()])}") from None
        if first["type"] == "missing":
            raise UserError(f"{where} is missing: each file in config/{where.split('.')[0]}/ gives all keys") from None
        said = first["msg"].removeprefix("Value error, ")
        short = SHORT.get(where, where)
        raise UserError(f"{short}={first['input']!r}: {said[0].lower()}{said[1:]} (docs/configuration.md)") from None


def validate_video(film: str, video: dict, own: dict | None) -> None:
    """Check a film's own keys of `video` against the schema.

    Raises:
        UserError: an unknown key, one that belongs to the whole run, or a value that is not allowed.
    """
    if "keep_frames" in (own or {}):
        raise UserError(f"films.{film}.video.keep_frames: all films of a run keep their frames, or none; use video.")
    try:
        Video.model_validate({**video, **(own or {})}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(f"unknown key 'films.{film}.video.{where}'{nearest(where, list(video))}") from None
        said = first["msg"].removeprefix("Value error, ")
        shown = f"films.{film}.video.{where}={first['input']!r}"
        raise UserError(f"{shown}: {said[0].lower()}{said[1:]} (docs/configuration.md)") from None


def value_text(value) -> str:
    """Spell a value for a path: numbers as repr, safe words as they are, anything else as 8 hex digits of its hash."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool | None) else repr(value)
    return text if SAFE.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:8]


@cache
def _place(key: str) -> int:
    order = [name for name, _ in leaves()]
    below, above = f"{key}.", tuple(f"{name}." for name in order if key.startswith(f"{name}."))
    related = [i for i, name in enumerate(order) if name == key or name.startswith(below) or f"{name}." in above]
    return related[0]


def axis_values(config: dict, chosen: dict[str, object]) -> dict[str, object]:
    """The values that tell a setting from the others: loss, lr, then further swept keys in schema order.

    Args:
        config: a setting's validated configuration.
        chosen: what the sweep chose for it, as `points` gives it.
    """
    further = sorted((key for key in chosen if key not in ("loss", "optimizer.lr")), key=_place)
    return {"loss": config["loss"]["name"], "lr": config["optimizer"]["lr"]} | {
        key: chosen[key] if isinstance(chosen[key], str) else get(config, key) for key in further
    }


def setting_id(values: dict[str, object]) -> str:
    """Name a setting, and its folder: "loss~lpips+lr~0.2", then further swept keys."""
    return "+".join(f"{key}~{value_text(value)}" for key, value in values.items())
