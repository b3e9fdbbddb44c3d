"""The house: what rooms and scripts import, under one import name; one vocabulary; and when make installs."""

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import approach
from approach.planning.plan import make_plan
from helpers.closures import LIBRARY, SCRIPTS, as_yaml, closures, room_of, scripts_that_load
from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import count_jobs

SNAKEFILES = [ROOT / "Snakefile", ROOT / "workflow" / "Snakefile"]
MODULES = sorted(LIBRARY.rglob("*.py"))
ROOMS = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
# A module beside the rooms that has a row of its own in the table.
ENTRANCES = {"loading"}
# What planning, and the choice of three trajectories, must not wait for.
LIGHT = ["planning.plan", "planning.estimate", "film.choice", "target", "devices", "digest"]

WORDS = re.compile(r"\b(walks?|walked|walking|journeys?|critic)\b", re.IGNORECASE)
PYTHONS_WORDS = re.compile(r"\b(ast|os)\.walk\(")
TEXTS = {"", ".py", ".smk", ".yaml", ".rst", ".html", ".js", ".css", ".j2"}


def table_of_rooms() -> dict[str, set[str]]:
    """docs/design.md's table: room -> the rooms it may import ("shared" for the modules beside them)."""
    text = (ROOT / "docs" / "design.md").read_text()
    section = text.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    table = {}
    for room, names in re.findall(r"^\| ([a-z ]+) \| [^|]+ \| ([^|]+) \|$", section, re.M)[1:]:
        table[room.removesuffix(" modules")] = {name.strip().removesuffix(" modules") for name in names.split(",")}
    return table


def row_of(module: Path) -> str:
    """The row of the table that a file of the library belongs to."""
    return module.stem if module.parent == LIBRARY and module.stem in ENTRANCES else room_of(module)


def imported_by(module: Path) -> list[Path]:
    """The library's files that a module imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.relative_to(ROOT)}: imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
    files = [SCRIPTS.joinpath(*name.split(".")).with_suffix(".py") for name in names if name.startswith("approach.")]
    return [file for file in files if file.is_file()]


def test_the_table_of_rooms_names_every_room():
    table = table_of_rooms()
    assert set(table) == ROOMS | ENTRANCES | {"shared"}
    assert all(names <= set(table) for names in table.values())


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_room_imports_what_the_table_of_rooms_says(module):
    row = row_of(module)
    allowed = table_of_rooms()[row] | {row}
    found = [file for file in imported_by(module) if row_of(file) not in allowed]
    assert not found, f"{row} may import {sorted(allowed)}: see docs/design.md"


def test_the_arrows_are_seen(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("def late():\n    import approach.biggan.format\n    from approach.film import fog\n")
    assert [room_of(file) for file in imported_by(module)] == ["biggan", "film"]


def test_every_script_uses_the_modules_that_it_used():
    assert (ROOT / "tests" / "closures.yaml").read_text() == as_yaml(closures()), (
        "a script imports other modules than before; if that is meant, run `make closures`"
    )


def test_what_shows_knows_nothing_of_the_inversion():
    """An edit of a log word among the checkpoints once rendered every frame again."""
    using = {script for script, rooms in closures().items() if "inversion" in rooms}
    assert using == {"invert"}


HEAVY = ("torch", "torchvision", "matplotlib")
MOST_HEAVY_JOBS = 15


def scripts_of_rules() -> dict[str, str]:
    """Rule -> the name of its script."""
    text = "".join(path.read_text() for path in sorted(ROOT.glob("workflow/rules/*.smk")))
    rules = re.split(r"^rule (\w+):$", text, flags=re.M)[1:]
    pairs = zip(rules[::2], rules[1::2], strict=True)
    return {name: re.search(r'^    script:\s+"\.\./scripts/(\w+)\.py"', body, re.M)[1] for name, body in pairs}


def test_tables_starts_itinerary_and_page_wait_for_no_heavy_package():
    """They once imported torch, for seconds, to read the names of the classes from a JSON file."""
    light = {
        "starts",
        "page",
        "installation",
        "trajectory_table",
        "choose",
        "timing",
        "encode",
        "provenance",
        "prepare_target",
    }
    assert not scripts_that_load(*HEAVY) & light
    assert "itinerary" not in scripts_that_load("torch")
    assert scripts_that_load("torch") > {"invert", "render", "survey", "stills"}


def test_few_jobs_of_the_default_run_wait_for_torch_or_matplotlib(tmp_path):
    profile = ROOT / "profiles" / "default"
    command = [*(str(SNAKEMAKE), "-s", str(ROOT / "Snakefile"), "--directory", str(tmp_path))]
    command += ["--workflow-profile", str(profile), "--cores", "2", "-n", "--quiet", "rules"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    jobs, scripts, heavy = count_jobs(told.stdout + told.stderr), scripts_of_rules(), scripts_that_load(*HEAVY)
    assert jobs["invert"] == 2  # side by side
    assert sum(count for rule, count in jobs.items() if scripts[rule] in heavy) <= MOST_HEAVY_JOBS


def test_inits_bring_nothing_of_the_house():
    """They stay out of digests and planning; the package's own only tells Python how often to collect garbage."""
    filled = [path for path in LIBRARY.rglob("__init__.py") if path.read_bytes()]
    assert filled == [LIBRARY / "__init__.py"]
    assert re.findall(r"^(?:import|from) .*", filled[0].read_text(), re.MULTILINE) == ["import gc"]
    code = "import gc; by_default = gc.get_threshold()[0]; import approach; print(gc.get_threshold()[0] / by_default)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SCRIPTS).stdout
    assert float(told) > 10


def test_scripts_that_wait_for_torch_begin_with_the_package():
    """In the default run, so that the package's own lines are reached before torch's import."""
    for name in ("invert", "render", "survey", "stills"):
        brought = re.findall(r"^(?:import|from) (\w+)", (SCRIPTS / f"{name}.py").read_text(), re.MULTILINE)
        assert "approach" in brought
        assert not set(brought) & set(HEAVY), name


def test_planning_imports_no_torch():
    modules = ", ".join(f"approach.{name}" for name in LIGHT)
    code = f"""
import sys
from pathlib import Path
sys.path.append({str(SCRIPTS)!r})
import {modules}
approach.planning.plan.make_plan({{}}, Path.cwd())
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert "approach" in loaded
    assert not {"torch", "torchvision", "matplotlib", "pandas"} & set(loaded)


def test_a_file_of_the_library_is_one_module():
    """Two names for one file would make two UserError classes, of which an except clause knows one."""
    make_plan({}, ROOT)
    for module in pkgutil.walk_packages(approach.__path__, "approach."):
        importlib.import_module(module.name)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    ours = Counter(file for file in files if file and Path(file).is_relative_to(LIBRARY))
    assert len(ours) == len(MODULES)
    assert {file: count for file, count in ours.items() if count > 1} == {}
    assert not [name for name in sys.modules if name.startswith("workflow.scripts")]


def test_the_library_has_one_import_name():
    other = re.compile(r"^\s*(?:from|import)\s+workflow\.", re.M)
    files = [*SNAKEFILES, ROOT / "study" / "Snakefile", *ROOT.glob("workflow/rules/*.smk")]
    for folder in ("workflow", "study", "bench", "docs", "tests"):
        files += (ROOT / folder).rglob("*.py")
    assert [str(path.relative_to(ROOT)) for path in files if other.search(path.read_text())] == []


def wrong_words(text: str) -> list[tuple[int, str]]:
    """The lines of a text that have one of the words that were given up, by number."""
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if WORDS.search(PYTHONS_WORDS.sub("", line))]


def test_an_inversion_has_one_name():
    files = [*SNAKEFILES, *(path for name in ("workflow", "config") for path in (ROOT / name).rglob("*"))]
    texts = [path for path in files if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts]
    found = [f"{path.relative_to(ROOT)}:{n}: {line}" for path in texts for n, line in wrong_words(path.read_text())]
    assert not found, "docs/glossary.md has the words"


def test_the_words_are_seen():
    text = "Two journeys\nfor folder in os.walk(root):\nThe Walk went on\ncritical walkers\n"
    assert [number for number, _ in wrong_words(text)] == [1, 3]


def test_make_installs_where_the_lock_says_something_else_and_not_where_it_is_newer(tmp_path):
    for name in ("Makefile", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    def would_run(target):
        command = ["make", "--dry-run", target]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    planned = would_run("lint")
    assert "pip install" in planned
    stamp = tmp_path / planned.partition("touch ")[2].split()[0]
    stamp.parent.mkdir()
    stamp.touch()
    later = stamp.stat().st_mtime + 1000
    os.utime(tmp_path / "requirements.lock", (later, later))
    assert "pip install" not in would_run("lint") + would_run("test") + would_run("demo")
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("another-package==1.0\n")
    assert "pip install" in would_run("lint")
