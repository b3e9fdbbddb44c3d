"""What the docs tell people to type: every command is planned, and the worked example of extending.md runs."""

import json
import re
import shlex
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from snakemake.cli import parse_args, parse_config
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from approach.errors import UserError
from approach.pictures.arrivals import film_command
from approach.planning import plan
from approach.planning.checks import check_before_jobs
from approach.sources import sha256_of
from approach.trajectories import read_trajectory
from helpers.paths import ROOT, SNAKEMAKE
from helpers.runs import count_jobs
from helpers.trajectories import store

PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
WORKFLOW = ROOT / "workflow"
PAGES.remove("docs/study-generator.md")  # its commands are those of study/Snakefile


def blocks(page, language):
    """The fenced blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def commands(page):
    """The snakemake commands that a page tells to type, a line each; the worked example has a test of its own."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("snakemake ") and "loss=edges" not in line]


def files(page):
    """The files that a page shows whole: path, from the comment in a block's first line -> content."""
    shown = [block for language in ("yaml", "python") for block in blocks(page, language)]
    heads = [(re.match(r"# ([\w./-]+\.\w+)\n", block), block) for block in shown]
    return {head[1]: block[head.end() :] for head, block in heads if head}


# What only `make extras` installs, as a command asks for it -> what is said where it is absent.
EXTRAS = {
    "--workflow-profile profiles/kubernetes": "invalid choice: 'kubernetes'",
    "track=tensorboard": "track=tensorboard needs a package that is not installed: pip install tensorboard",
}
COMMANDS = [(page, line) for page in PAGES for line in commands(page)]
WITH_EXTRAS = [line for _, line in COMMANDS if any(part in line for part in EXTRAS)]
PLAIN = [(page, line) for page, line in COMMANDS if line not in WITH_EXTRAS]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The project's folder as a reader has it: the configuration with the docs' own files, and a picture."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "config", folder / "config")
    for name in ("resources", "profiles", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    for page in PAGES:
        for path, text in files(page).items():
            if path.startswith("config/") or "/" not in path:
                (folder / path).write_text(text, encoding="utf-8")
    models = folder / "models" / "mine"
    models.mkdir(parents=True)
    for name in ("config.json", "generator.safetensors", "classes.json"):
        (models / name).symlink_to(ROOT / "resources" / "study" / name)
    for picture, colour in (("me", "teal"), ("you", "brown"), ("us", "olive")):
        Image.new("RGB", (80, 60), colour).save(folder / f"{picture}.jpg")
    weights = sha256_of(ROOT / "resources" / "study" / "generator.safetensors")
    (folder / "results/many").mkdir(parents=True)
    places = "".join(f"{place + 1},{place}\n" for place in range(6))
    (folder / "results/many/arrivals.csv").write_text("by_closeness,seed\n" + places)
    store(folder / "results/sketch/loss~l1-ssim-discriminator+lr~0.4", [0, 1, 2, 3, 4, 5], steps=60, generator=weights)
    return folder


def test_the_docs_have_commands():
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/films.md", "docs/guide.md", "docs/extending.md"}
    assert all(sum(part in line for line in WITH_EXTRAS) == 1 for part in EXTRAS)


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md", "docs/study-generator.md"])
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md"])
def test_lines_are_short(page):
    """Prose: no table, picture or fenced block; nor what bench/report.py writes."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) > 120 and not line.strip().startswith(("|", "!"))]
    assert long == []


def test_the_rule_graph_and_its_page_name_every_rule():
    told = "".join((ROOT / "docs" / f"rulegraph.{kind}").read_text() for kind in ("md", "svg"))
    rules = re.findall(r"^rule (\w+):", "".join(path.read_text() for path in WORKFLOW.rglob("*.smk")), re.M)
    assert len(rules) > 40 and not [rule for rule in rules if f"`{rule}`" not in told and f">{rule}<" not in told]


def test_the_guide_lists_the_embedded_classes():
    names = json.loads((ROOT / "resources" / "study" / "classes.json").read_text())
    listed = re.search(r"^> (.*?)\n\n", (ROOT / "docs" / "guide.md").read_text(), re.M | re.S)[1]
    assert listed.replace("\n> ", " ").split(", ") == names


def plan_command(line, folder):
    """As Snakemake reads the line, and as the Snakefile then plans it, in one process."""
    words = shlex.split(line.partition(" | ")[0], comments=True)[1:]
    _, args = parse_args(words)
    given = parse_config(args.config) if args.config else {}
    planned = plan.make_plan(given, folder)
    check_before_jobs(planned)
    return planned


@pytest.mark.parametrize(("page", "line"), PLAIN, ids=[f"{page}: {line[:90]}" for page, line in PLAIN])
def test_every_command_is_planned(page, line, reader, monkeypatch):
    monkeypatch.chdir(reader)
    planned = plan_command(line, reader)
    assert [note for note in planned.notes if "no film" in note] == []
    if "films." in line:
        named = set(re.findall(r"films\.(\w+)=\{", line))
        assert named <= {film["key"] for film in planned.films.values()}


@pytest.mark.parametrize("line", WITH_EXTRAS)
def test_commands_of_optional_packages_without_them(line, reader, monkeypatch, capsys):
    """What is missing is named; the rest of the line is planned."""
    monkeypatch.chdir(reader)
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    monkeypatch.delitem(ExecutorPluginRegistry().plugins, "kubernetes", raising=False)
    part = next(part for part in EXTRAS if part in line)
    with pytest.raises((SystemExit, UserError)) as said:
        plan_command(line, reader)
    assert EXTRAS[part] in f"{said.value}{capsys.readouterr().err}"
    assert plan_command(line.replace(part, ""), reader).settings


@pytest.mark.extras
@pytest.mark.parametrize("line", WITH_EXTRAS)
def test_commands_of_optional_packages_are_planned(line, reader, monkeypatch):
    monkeypatch.chdir(reader)
    assert plan_command(line, reader).settings


def test_the_pages_command_is_planned(reader, monkeypatch):
    """The line that the page writes for three chosen arrivals."""
    monkeypatch.chdir(reader)
    chosen = ["loss~l1+lr~0.4/0", "loss~l2+lr~0.4/1", "loss~l2+lr~0.4/2"]
    line = film_command("snakemake --cores all --config loss=l1,l2", "study", chosen)
    _, args = parse_args(shlex.split(line.replace("\\\n", ""))[1:])
    film = plan.make_plan(parse_config(args.config), reader).films["mine"]
    assert [f"{one['setting']}/{one['seed']}" for one in film["candidates"]] == chosen


def apply_diff(folder, diff):
    """Apply a diff whose hunks have no line numbers: each hunk's old lines must be there exactly once."""
    for part in re.split(r"^--- .*\n", diff, flags=re.M)[1:]:
        head, *hunks = re.split(r"^@@\n", part, flags=re.M)
        path = folder / head.removeprefix("+++ b/").strip()
        text = path.read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(old) == 1, f"{path.name} has not exactly one place of\n{old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def extended(tmp_path):
    """A copy of the project with all that docs/extending.md adds to it."""
    copy = tmp_path / "copy"
    for name in ("config", "profiles", "workflow"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "Snakefile", copy)
    (copy / "resources").symlink_to(ROOT / "resources")
    for path, text in files("docs/extending.md").items():
        (copy / path).write_text(text, encoding="utf-8")
    for diff in blocks("docs/extending.md", "diff"):
        apply_diff(copy, diff)
    return copy


@pytest.mark.slow
def test_the_worked_example_runs(extended, tiny_words):
    """A term and an optimizer of one's own, and a rule; and an edit of the term inverts its own setting alone."""
    edges, nearest = "results/study/loss~edges+lr~0.01/losses.csv", "results/study/nearest.txt"
    words = [*("loss=edges,l2", "optimizer=signs", "seeds=3", "steps=2", "seeds_per_job=16"), f"hydra={tiny_words}"]

    def run(*options):
        command = [str(SNAKEMAKE), *options, "--cores", "2", "--config", *words]
        run = subprocess.run(command, cwd=extended, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-6000:]
        return run.stdout + run.stderr

    run(edges, edges.replace("edges", "l2"), nearest)
    table = pd.read_csv(extended / edges)
    assert (table["loss"] - table["my_terms:edges"] - 0.1 * table["l1"]).abs().max() < 1e-6
    assert (table["my_terms:edges"] > 0).all()
    assert re.fullmatch(r"Seed [012] came nearest, to an L2 of [\d.]+\.\n", (extended / nearest).read_text())
    moved = read_trajectory(extended / "results/study/loss~l2+lr~0.01/trajectories/0-2.safetensors", 0)
    steps = np.unique(np.abs(np.diff(moved.z, axis=0)).round(6))
    assert len(steps) <= 4  # one length a step, but for what is clamped
    term = extended / "my_terms.py"
    term.write_text(term.read_text().replace("images.mean(1)", "images.amax(1)"))
    assert count_jobs(run("-n", "--quiet", "rules", "--until", "invert"))["invert"] == 1
