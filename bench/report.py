"""Tables and plots of docs/performance.md from the JSON files that the benchmarks write.

    python bench/report.py results/bench/*.json

What stands between the markers of docs/performance.md is replaced; the words around it are written by hand.
"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance-batch.png"

TITLES = {"study": "study, 64 px", "128": "BigGAN-deep-128", "256": "BigGAN-deep-256", "512": "BigGAN-deep-512"}


def markdown(runs: list[dict]) -> str:
    """The table of all rows, what was left out, and the machine each run found."""
    lines = [
        "| generator | loss | who | precision | batch | compiled | seed-steps/s | ratio to plain | share of peak |"
        " memory a seed, MB | repeats |",
        "| --- | --- | --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in (row for found in runs for row in found["rows"]):
        lines.append(
            f"| {row['size']} | {row['loss']} | {row['who']} | {row['precision']} | {row['batch']} "
            f"| {'yes' if row['compiled'] else ''} | {row['seed_steps_per_s']:.2f} | {row['ratio']:.2f} "
            f"| {row['peak_share']:.0%} | {row['peak_memory_mb'] / row['batch']:.0f} | {row['repeats']} |"
        )
    lines.append("")
    for found in runs:
        machine = found["machine"]
        where = f"{machine['name']}, {machine['threads']} threads, {machine['device']}, torch {machine['torch']}"
        for note in found["notes"]:
            peaks = ", ".join(f"{peak / 1e9:.0f} in {name}" for name, peak in note["matrix_peak_flop_s"].items())
            line = f"- {note['size']}, {note['loss']}: {where}; largest matrix product seen, GFLOP/s: {peaks}; "
            line += f"load average at the end {note['load_average'][0]:.1f}."
            if note["left_out"]:
                line += f" Left out, fewer than three repeats: {'; '.join(note['left_out'])}."
            lines.append(line)
    return "\n".join(lines)


def plot(runs: list[dict], path: Path) -> None:
    """Seed-steps a second and peak memory against the batch, a row of pictures a size (lpips)."""
    rows = [row for found in runs for row in found["rows"] if row["loss"] == "lpips"]
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    plt.style.use("petroff10")
    figure, axes = plt.subplots(2, len(sizes), figsize=(3.6 * len(sizes), 6), squeeze=False, layout="constrained")
    kinds = list(dict.fromkeys((row["who"], row["precision"], row["compiled"]) for row in rows))
    for column, size in enumerate(sizes):
        for number, kind in enumerate(kinds):
            mine = [row for row in rows if (row["who"], row["precision"], row["compiled"]) == kind]
            mine = sorted((row for row in mine if row["size"] == size), key=lambda row: row["batch"])
            label = f"{kind[0]} {kind[1]}{' compiled' if kind[2] else ''}"
            for axis, key in zip(axes[:, column], ("seed_steps_per_s", "peak_memory_mb"), strict=True):
                axis.plot([row["batch"] for row in mine], [row[key] for row in mine], "o-", color=f"C{number}",
                          label=label)  # fmt: skip
        axes[0, column].set_title(TITLES[size])
        axes[1, column].set_xlabel("seeds in an evaluation")
        for axis in axes[:, column]:
            axis.set_xscale("log", base=2)
            axis.set_ylim(bottom=0)
            axis.xaxis.set_major_formatter("{x:.0f}")
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("seed-steps a second")
    axes[1, 0].set_ylabel("peak memory of a step, MB")
    handles, labels = axes[0, 0].get_legend_handles_labels()  # every column shows the same contestants
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between <!-- name --> and <!-- /name --> in a page."""
    old = page.read_text(encoding="utf-8")
    before, rest = old.split(f"<!-- {name} -->")
    after = rest.split(f"<!-- /{name} -->")[1]
    page.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}", encoding="utf-8")


def waiting(found: dict) -> str:
    """The result of bench/arrival.py: a table with a row for each of ours and of plain's rates."""
    first = next(iter(found["ours"].values()))
    steps, count = found["plain_steps"], len(first["loss"])
    rates = "{z:g}, {classes:g}".format
    lines = [
        f"Study generator, Friedrich's painting, LPIPS, {count} starts, {found['threads']} threads. Plain (float32):"
        f" one seed after another, {steps} steps. Ours ({first['precision']}): together, {first['steps']} steps,"
        " loading included.",
        "",
        "| ours | its mean loss in the end | plain's rates, z and classes | plain: seconds a seed | its mean loss"
        " | ours reaches it at step | seconds a seed | times sooner | seeds that reach their twin's loss"
        " | times sooner, their median |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found["plain"]:
        sooner = [times for times in row["sooner"] if times is not None]
        cells = [row["ours"], f"{sum(found['ours'][row['ours']]['loss']) / count:.4f}"]
        cells += [rates(**row["rates"]), f"{row['seconds_a_seed']:.1f}", f"{sum(row['loss']) / count:.4f}"]
        if row["mean_sooner"] is None:
            cells += ["never", "", ""]
        else:
            cells += [
                str(row["mean_arrived_at_step"]),
                f"{row['mean_seconds_a_seed']:.2f}",
                f"{row['mean_sooner']:.1f}",
            ]
        cells += [f"{len(sooner)} of {count}", f"{statistics.median(sooner):.1f}" if sooner else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(paths: list[Path]) -> None:
    """Write tables, words and plot."""
    found = [json.loads(path.read_text()) for path in paths]
    runs = [each for each in found if "rows" in each]
    if runs:
        put(PAGE, "inversion", markdown(runs))
        plot(runs, PLOT)
    for each in found:
        if "rows" not in each:
            put(PAGE, "arrival", waiting(each))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
