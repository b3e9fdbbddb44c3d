"""How far one method ends beside another, run by run, from bench/search.py's rows: tables of docs/search.md.

    python bench/pairs_report.py bench/descent-128.csv descent "descent lr 0.4, betas 0.95 0.95, best of 8 by l2"

Runs of one target with one number have the same seed, and are a pair. In brackets: between what the figure lies in 95
of 100 cases where as many pairs are drawn again from these (bootstrap, Efron 1979).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

DRAWN = 4000  # times that the pairs are drawn again


def pairs(table: pd.DataFrame, before: str, now: str, budget: int) -> pd.DataFrame:
    """Objectives of both methods, columns `before` and `now`, by target and run; runs of one method alone are left out.

    Raises:
        SystemExit: a method has no row at the budget.
    """
    columns = {}
    for name, method in (("before", before), ("now", now)):
        rows = table[(table["method"] == method) & (table["budget"] == budget)]
        if rows.empty:
            known = ", ".join(f'"{known}"' for known in table["method"].unique())
            raise SystemExit(f'error: no rows of "{method}" at {budget} units; there are {known}')
        columns[name] = rows.set_index(["target", "run"])["objective"]
    return pd.DataFrame(columns).dropna()


def summary(some: pd.DataFrame, dice: np.random.Generator) -> str:
    """Ratio of the medians and median of the ratios, each with its range, and how many pairs are farther now."""

    def ratios(before: np.ndarray, now: np.ndarray) -> np.ndarray:
        return np.array([np.median(now, -1) / np.median(before, -1), np.median(now / before, -1)])

    before, now = some["before"].to_numpy(), some["now"].to_numpy()
    again = dice.integers(0, len(some), (DRAWN, len(some)))
    low, high = np.quantile(ratios(before[again], now[again]), [0.025, 0.975], axis=1)
    cells = (f"{value:.2f} ({a:.2f} to {b:.2f})" for value, a, b in zip(ratios(before, now), low, high, strict=True))
    return f"{' | '.join(cells)} | {(now > before).sum()} of {len(some)}"


def main(arguments: list[str] | None = None) -> None:
    """All pairs, then those of each target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("before")
    parser.add_argument("now")
    parser.add_argument("--budget", type=int, default=300, help="units, of which each run is told")
    parser.add_argument("--targets", nargs="+", help="of these alone")
    options = parser.parse_args(arguments)
    table = pairs(pd.read_csv(options.table), options.before, options.now, options.budget)
    if options.targets:
        table = table.loc[options.targets]
    dice = np.random.default_rng(0)
    print("| targets | median of all now / before | median of the pairs' ratios | farther than before in |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| all | {summary(table, dice)} |")
    for target, some in table.groupby("target"):
        print(f"| {target} | {summary(some, dice)} |")


if __name__ == "__main__":
    main()
