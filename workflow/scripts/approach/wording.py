"""Plain words for visitors: settings, films, commands, and what the work is called. No torch."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

BARE = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+")
LONGEST_LINE = 100


def value_words(key: str, value: object) -> str:
    """A key of the sweep, or the seed, with its value: "l2 loss", "rate 0.05", "start 2", "beta1 0.9"."""
    if key in ("loss", "loss_name"):
        return f"{value} loss"
    if key.startswith("loss.terms."):
        return f"weight of {key.removeprefix('loss.terms.')} {value}"
    known = {"lr": "rate", "optimizer.lr": "rate", "seed": "start", "start": "starts"}
    return f"{known.get(key) or key.rpartition('.')[2].replace('_', ' ')} {value}"


def values_words(values: Mapping[str, object]) -> str:
    """Several keys with their values: "l2 loss, rate 0.05"."""
    return ", ".join(value_words(key, value) for key, value in values.items())


def setting_words(setting: str) -> str:
    """A setting's or a film's name in words: "starts+loss~l2+lr~0.05" is "starts: l2 loss, rate 0.05"."""
    first, _, rest = setting.partition("+")
    key, others = (first, rest) if "~" not in first else ("", setting)
    values = dict(part.split("~", 1) for part in others.split("+") if part)
    return ": ".join(filter(None, [key, values_words(values)]))


def film_words(choice: Mapping) -> str:
    """A film in words: its key under films:, and what its channels have in common."""
    return ": ".join(filter(None, [choice["key"], choice["title"]]))


def shell_word(word: str) -> str:
    """A word as a person types it in a shell: of key=value only the value is quoted, and only where it must be."""
    key, equals, value = word.partition("=")
    if BARE.fullmatch(word):
        return word
    return f"{key}={shlex.quote(value)}" if equals and BARE.fullmatch(key) else shlex.quote(word)


def command_lines(words: list[str]) -> str:
    """A command to be read and to be pasted: one line where it is short and names no film, else one for each key."""
    typed = [shell_word(word) for word in words]
    whole = " ".join(typed)
    if len(whole) <= LONGEST_LINE and "films." not in whole:
        return whole
    return "".join(f" \\\n  {word}" if re.match(r"[a-z_]+=", word) else f" {word}" for word in typed).lstrip()


@dataclass(frozen=True)
class Work:
    """What a visitor reads of the work: all texts, empty where nothing was said."""

    title: str
    artist: str
    year: str
    credit: str
    licence: str

    @property
    def rights(self) -> str:
        """Credits and licence, as far as they are known."""
        return " ".join(f"{said.rstrip('.')}." for said in (self.credit, self.licence) if said)

    @property
    def metadata(self) -> dict[str, str]:
        """The tags of a film."""
        tags = {"title": self.title, "artist": self.artist, "date": self.year, "copyright": self.rights}
        return {key: value for key, value in tags.items() if value}

    @property
    def byline(self) -> str:
        """Artist and year, as far as they are known."""
        return ", ".join(filter(None, (self.artist, self.year)))


def work_of(config: Mapping, name: str) -> Work:
    """The work as the configuration's title, artist, year and credit tell it.

    Args:
        config: the configuration, or as much of it as is known.
        name: the experiment's, which stands for a title where there is none.
    """
    said = {key: config.get(key) or "" for key in ("title", "artist", "year", "credit", "licence")}
    return Work(**{**said, "title": said["title"] or name})
