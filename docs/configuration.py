"""Write docs/configuration.md from the schema and the values in config/ (make docs; a test keeps the two equal)."""

import sys
import types
import typing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from approach.planning import sweep  # noqa: E402
from approach.planning.schema import SWEEPABLE, leaves  # noqa: E402

INTRODUCTION = """# Configuration

Written by `make docs` from `workflow/scripts/approach/schema.py` and `config/`; edit those.

`config/` is a Hydra tree: a folder is a question, a file in it an answer, `config.yaml` holds what belongs to no
folder. On the command line the short keys come after `--config`; every other key goes through `hydra="..."`, one Hydra
override a word: `hydra="video.fps=30 optimizer.betas=[0.9,0.99]"`. What may be swept takes several values:
`loss=l2,lpips`, `lr=0.02,0.05`, `lr="choice(0.02,0.05)"`, `hydra="optimizer.beta1=0,0.9"`, or `hydra.sweeper.params`
in an experiment.

| short key | is |
| --- | --- |
| `experiment` | a file of `config/experiment/` |
| `name` | the folder under `results/` (default: the experiment, or the target's file stem) |
| `target` | a picture file or URL, or a file of `config/target/` |
| `generator` | a file of `config/generator/` |
| `loss` | a file of `config/loss/`; several are a sweep |
| `lr` | `optimizer.lr`; several are a sweep |
| `steps`, `seeds_per_job`, `device`, `graphs`, `overwrite` | the keys below |
| `seeds` | N stands for 0..N-1; `0,3,7` or `[5]` are those |
| `video` | a file of `config/video/` |
| `hydra` | any other keys, as Hydra overrides |
"""


def kind(annotation) -> str:
    """A type as a reader would say it."""
    if typing.get_origin(annotation) is typing.Annotated:
        return kind(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join("null" if part is type(None) else kind(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is list:
        return f"list of {kind(typing.get_args(annotation)[0])}"
    names = {float: "number", int: "integer", str: "text", bool: "true or false"}
    return names.get(annotation, "table")


def limits(field) -> str:
    """The range of a number, from the schema's constraints."""
    signs = {"ge": ">= ", "gt": "> ", "le": "<= ", "lt": "< ", "multiple_of": "multiple of "}
    found = [
        f"{sign}{getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join(found)


def page() -> str:
    """The text of docs/configuration.md."""
    config = sweep.points([], ROOT / "config")[0][0]
    lines = [INTRODUCTION]
    section = None
    choices = sweep.groups(ROOT / "config")
    for name, field in leaves():
        head = name.rpartition(".")[0] or "config.yaml"
        if head != section:
            section = head
            swept = " It can be swept." if head in SWEEPABLE else ""
            where = f"`config/{head}/`: {', '.join(choices[head])}." if head in choices else "`config/config.yaml`."
            lines += [f"\n## {head}\n", where + swept, ""]
            lines += ["| key | default | allowed | unit | meaning |", "| --- " * 5 + "|"]
        default = sweep.get(config, name)
        text = "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        allowed = ", ".join(filter(None, [kind(field.annotation), limits(field)])).replace("|", "\\|")
        unit = (field.json_schema_extra or {}).get("unit", "")
        lines.append(f"| `{name}` | `{text}` | {allowed} | {unit} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
