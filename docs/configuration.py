"""Write what people and programs read about the configuration (make docs; a test keeps it equal to the code).

From the schema and the values in config/: docs/configuration.md, config/README.md (Snakemake's workflow catalog shows
it) and workflow/schemas/config.schema.json.
"""

import json
import sys
import types
import typing
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from approach.planning import sweep  # noqa: E402
from approach.planning.schema import SWEEPABLE, Config, leaves  # noqa: E402

SHORT_KEYS = """| short key | value |
| --- | --- |
| `experiment` | a file of `config/experiment/` |
| `name` | the folder under `results/`; by default the experiment's name, or with `target` the picture's |
| `target` | a picture file or URL, `[a.jpg,b.jpg]` for one after another, or a file of `config/target/` |
| `generator` | a file of `config/generator/` |
| `loss` | a file of `config/loss/`; several make a sweep |
| `optimizer` | a file of `config/optimizer/` |
| `start` | a file of `config/start/`; several make a sweep; or what `start.from` takes (below) |
| `search` | a file of `config/search/`; several make a sweep |
| `lr` | `optimizer.lr`; several make a sweep |
| `steps`, `seeds_per_job`, `device`, `graphs`, `track`, `overwrite` | the keys below |
| `seeds` | N means seeds 0 to N-1; `0,3,7` or `[5]` means these; `closest:3` a finished run's closest |
| `video` | a file of `config/video/` |
| `title`, `artist`, `year`, `credit`, `licence` | texts for visitors, on page, wall label and in metadata |
| `hydra` | any other keys |
"""
INTRODUCTION = """# Configuration

Written by `make docs` from `workflow/scripts/approach/planning/schema.py` and `config/`; edit those.

`config/` is a Hydra tree. A folder is a choice, and each of its files is one option: `config/loss/` has `l1.yaml`,
`ssim.yaml` and so on. `config.yaml` names the default option of each folder and holds the keys that belong to no
folder. An experiment (`config/experiment/`) changes any of them, and what it says wins over the defaults. So may a
generator: unless you name others, loss and optimizer are `l1-ssim-discriminator` and `adam-norm` with the embedded
ones, and `l1-ssim` and `adam` with all others.

## The command line

Short keys come after `--config`:

{short_keys}
Every other key goes through `hydra="..."`, which takes Hydra overrides with spaces between them:

    hydra="video.fps=30 optimizer.beta1=0.5"

**Sweeps.** `loss`, `optimizer`, `start`, `search`, their keys, `latent.classes`, `generator.truncation` and
`target.order` take several values; each combination is a setting. Write `loss=l2,lpips`, `lr=0.02,0.05`,
`hydra="optimizer.beta1=0,0.9"`, `hydra="loss.terms.l2=1,2"`, or `hydra.sweeper.params` in an experiment.

**Tables.** `hydra="loss.terms.ssim=0.5"` sets one term and keeps the others; `hydra="loss.terms={l2: 1}"` replaces them
all. It is the same for films: `hydra="films.mine={vary: seed, of: [2, 1, 0]}"` adds a film or replaces it whole,
`hydra="films.starts=null"` removes one, `hydra="films={}"` removes all. In an experiment file, too, `starts: null`
removes the film `starts`; other keys of a film are merged there.

**Quotes.** White space may stand inside brackets: `hydra="start.classes=[golden retriever, alp]"`. A text with other
characters than letters, digits, spaces and `/ - _ + . % * @ ? |` needs quotes of its own inside those of the shell:
`hydra="start.classes=['a, b']"`, `hydra='target.picture="my (1).png"'`. Where they are missing, the error says what to
type.

**Names.** A run with `target=` is named after the picture, in the letters A-Z, a-z, digits, dots, hyphens and
underscores. Accents are dropped: `été.jpg` gives `ete`. Where a letter has no such form, or the name is longer than 60
characters, 8 digits of a hash of the whole name follow: `富士山.jpg` gives `target-e294ab9d`. `name=` gives another.

**What Snakemake does to values.** It makes the number 7 of `target=007`, whatever the quotes: write `target=./007`. It
takes braces for wildcards: a picture with braces in its path must be renamed or linked.
"""


README = """# Configuration

Written by `make docs`; edit `docs/configuration.py`.

Nothing has to be configured: without a key, the embedded generator approaches the embedded target. Keys come after
`--config`, or from a file of them that is given as `--configfile` (`.test/config/config.yaml` is one):

{short_keys}
Each of the project's other keys goes through `hydra="..."`: [docs/configuration.md](../docs/configuration.md) explains
every one, and `workflow/schemas/config.schema.json` holds their types and ranges for programs.

**In a module.** The same keys are `config:` of the module ([docs/module.md](../docs/module.md)). The files in this
folder are read by Hydra and not by Snakemake: `configfile: "config/config.yaml"` is refused.

**Files.** The files that this folder offers for each choice:

{choices}
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


def written(value) -> str:
    """A value as it is written in config/."""
    if isinstance(value, dict | list):
        return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).strip()
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """The text of docs/configuration.md."""
    config = sweep.points([], ROOT / "config")[0][0]
    choices = sweep.groups(ROOT / "config")
    sections: dict[str, list[str]] = {}
    for name, field in leaves():
        allowed = ", ".join(filter(None, [kind(field.annotation), limits(field)])).replace("|", "\\|")
        unit = (field.json_schema_extra or {}).get("unit", "")
        row = f"| `{name}` | `{written(sweep.get(config, name))}` | {allowed} | {unit} | {field.description} |"
        sections.setdefault(name.rpartition(".")[0] or "config.yaml", []).append(row)
    lines = [INTRODUCTION.replace("{short_keys}", SHORT_KEYS)]
    for head, rows in sections.items():
        group = head.partition(".")[0]
        where = f"`config/{group}/`: {', '.join(choices[group])}." if group in choices else "`config/config.yaml`."
        lines += [f"\n## {head}\n", where + (" It can be swept." if {head, group} & {*SWEEPABLE} else ""), ""]
        lines += ["| key | default | allowed | unit | meaning |", "| --- " * 5 + "|", *rows]
    return "\n".join(lines) + "\n"


def readme() -> str:
    """The text of config/README.md."""
    choices = [f"- `{folder}/`: {', '.join(names)}" for folder, names in sweep.groups(ROOT / "config").items()]
    return README.replace("{short_keys}", SHORT_KEYS).replace("{choices}", "\n".join(choices))


def json_schema() -> str:
    """The text of workflow/schemas/config.schema.json: the composed configuration of one setting."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def written_files() -> dict[Path, str]:
    """What `make docs` writes: file -> its text."""
    return {
        ROOT / "docs" / "configuration.md": page(),
        ROOT / "config" / "README.md": readme(),
        ROOT / "workflow" / "schemas" / "config.schema.json": json_schema(),
    }


if __name__ == "__main__":
    for file, text in written_files().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
