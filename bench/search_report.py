"""The table and the plot of docs/search.md, from what bench/search.py measured.

    python bench/search_report.py results/bench/search/search.csv

What stands between the page's two marks is replaced. A cell is the median over all runs and targets of a group; with
four and more there are quartiles behind it, and the number of runs is always said.
"""

import argparse
import re
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- made by bench/search_report.py -->", "<!-- until here -->"
ENOUGH = 4  # runs, for quartiles
DUEL = ("halving", "pix2latent BasinCMA")
# What each part is worth: halving without it, and descent with it alone; compared run by run, which start alike.
PARTS = {
    "halving": ["halving, no preselection", "halving, no dropping", "halving, moments begin anew", "halving, lr 0.05",
                "halving, softmax"],
    "descent": ["descent and preselection", "descent and dropping", "descent lr 0.2", "descent embedding"],
}  # fmt: skip
PARTS_BUDGET = 2_400
RECOVERED = 0.1  # of the objective, below which one of the generator's own samples counts as found again
HELD_OUT = ["l2", "ssim", "discriminator", "lpips-alex", "lpips-vgg"]
MARKERS = "osD^vx"  # ten colours each
NAMES = {"own": "own samples", "unseen": "unseen pictures"}


def read(path: Path) -> pd.DataFrame:
    """The bench's rows, with the group of each target, group by group."""
    table = pd.read_csv(path)
    table["group"] = table["target"].str.replace(r"-\d+$", "", regex=True)
    return pd.concat([table[table["group"] == group] for group in table["group"].unique()], ignore_index=True)


def cell(values: pd.Series) -> str:
    """Median, quartiles and number: "0.81 (0.74-0.90), 8"."""
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    spread = f" ({low:.3g} to {high:.3g})" if len(values) >= ENOUGH else ""
    return f"{middle:.3g}{spread}, {len(values)}"


def markdown(rows: list[list[str]], head: list[str]) -> str:
    """A table."""
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def objectives(table: pd.DataFrame) -> str:
    """For each group and method the objective at each budget."""
    budgets = sorted(table["budget"].unique())
    rows = []
    for (group, method), some in table.groupby(["group", "method"], sort=False):
        cells = [some.loc[some["budget"] == budget, "objective"] for budget in budgets]
        rows.append([NAMES.get(group, group), method, *(cell(values) if len(values) else "" for values in cells)])
    return markdown(rows, ["target", "method", *(f"{budget:,} units" for budget in budgets)])


def held_out(table: pd.DataFrame) -> str:
    """For each group and method the metrics that nobody descended, at the method's largest budget."""
    metrics = [name for name in HELD_OUT if name in table and table[name].notna().any()]
    rows = []
    for (group, method), some in table.groupby(["group", "method"], sort=False):
        last = some[some["budget"] == some["budget"].max()]
        rows.append([NAMES.get(group, group), method, f"{last['units'].max():,}", *(cell(last[m]) for m in metrics)])
    return markdown(rows, ["target", "method", "units", *metrics])


def duel(table: pd.DataFrame) -> str:
    """Halving and its strongest rival, target by target where both were run: the objective and the other metrics."""
    metrics = ["objective", *(name for name in HELD_OUT if name in table and table[name].notna().any())]
    rows = []
    for target, some in table[table["method"].isin(DUEL)].groupby("target", sort=False):
        theirs = dict(list(some.groupby("method", sort=False)))
        for method in DUEL if len(theirs) == len(DUEL) else ():
            last = theirs[method][theirs[method]["budget"] == theirs[method]["budget"].max()]
            rows.append([target, method, f"{last['units'].max():,}", *(cell(last[metric]) for metric in metrics)])
    return markdown(rows, ["target", "method", "units", *metrics]) if rows else ""


def ablation(table: pd.DataFrame) -> str:
    """Halving without each of its parts, and descent with each alone: the objective, run by run over the whole's.

    For each target that has several runs, and for all own samples in their first.
    """
    at = table[table["budget"] == PARTS_BUDGET]
    several = at.groupby(["target", "method"])["run"].transform("max") > 0
    blocks = [(target, some.set_index("run")) for target, some in at[several].groupby("target", sort=False)]
    firsts = at[(at["run"] == 0) & (at["group"] == "own")].set_index("target")
    rows = []
    for name, some in [*blocks, (NAMES["own"], firsts)]:
        runs = {method: theirs["objective"] for method, theirs in some.groupby("method")}
        for whole, parts in PARTS.items():
            there = [part for part in parts if part in runs and whole in runs]
            if there:
                rows.append([name, whole, cell(runs[whole]), "1", ""])
            for part in there:
                ratios = (runs[part] / runs[whole]).dropna()
                farther = f"{(ratios > 1).sum()} of {len(ratios)}"
                rows.append([name, part, cell(runs[part]), f"{ratios.median():.3g}", farther])
    head = ["target", "method", "objective", "over that of the whole, median of pairs", "farther in"]
    return markdown(rows, head) if rows else ""


def recovered(table: pd.DataFrame) -> str:
    """How many own samples each method found again in the first run towards each, at its largest budget."""
    rows = []
    firsts = table[(table["group"] == "own") & (table["run"] == 0)]
    for method, some in firsts.groupby("method", sort=False):
        last = some[some["budget"] == some["budget"].max()]
        found = int((last["objective"] < RECOVERED).sum())
        rows.append([method, f"{last['units'].max():,}", f"{found} of {len(last)}"])
    return markdown(rows, ["method", "units", f"objective below {RECOVERED}"])


def plot(table: pd.DataFrame, path: Path) -> None:
    """Median of the objective over the units, a panel for each group of targets."""
    groups, budgets = list(table["group"].unique()), sorted(table["budget"].unique())
    looks = {method: (f"C{place % 10}", MARKERS[place // 10]) for place, method in enumerate(table["method"].unique())}
    figure = Figure(figsize=(3.2 * len(groups), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, group in enumerate(groups, start=1):
        axis = figure.add_subplot(1, len(groups), place)
        for method, some in table[table["group"] == group].groupby("method", sort=False):
            middle = some.groupby("units")["objective"].median()
            colour, marker = looks[method]
            axis.plot(middle.index, middle.values, color=colour, marker=marker, markersize=5, label=method)
        axis.set_title(NAMES.get(group, group), fontsize=10)
        axis.set_xscale("log")
        axis.set_xticks(budgets[:1] + budgets[-1:], [f"{budgets[0]:,}", f"{budgets[-1]:,}"])
        axis.minorticks_off()
        axis.set_xlabel("units")
    figure.axes[0].set_ylabel("objective")
    handles = {
        label: line for axis in figure.axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=110)


def write(table: pd.DataFrame, page: Path) -> None:
    """Put tables and plot into the page."""
    parts = []
    for objective, some in table.groupby("objective_name", sort=False):
        parts += [f"### {objective}", objectives(some), "Metrics that were not descended:", held_out(some)]
        if compared := duel(some):
            parts += ["Halving and its strongest rival, target by target:", compared]
        if parted := ablation(some):
            parts += [f"Halving without each part, and descent with each alone ({PARTS_BUDGET:,} units):", parted]
        if (some["group"] == "own").any():
            parts += ["The generator's own samples, found again in the first run:", recovered(some)]
        picture = page.with_name(f"search-{objective}.png")
        plot(some, picture)
        parts.append(f"![Objective over units, for each kind of target]({picture.name})")
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{page}: has no {BEGIN} ... {END}")
    made = "\n\n".join([BEGIN, *parts, END])
    page.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: made, text, flags=re.S), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "search.md")
    options = parser.parse_args(arguments)
    write(read(options.table), options.page)


if __name__ == "__main__":
    main()
