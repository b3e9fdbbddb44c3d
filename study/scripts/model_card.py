"""Write the model card from the figures that the other rules measured, and draw the training's curves."""

import argparse
import csv
import json
from pathlib import Path

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from study.composing import compose_settings
from study.training import MARGIN

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STUDY = Path(__file__).resolve().parents[1]


def draw_curves(table: Path, output: Path) -> None:
    """Distance to what is to be shown, and what the discriminator says where there is one, over the images drawn."""
    with table.open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    judged = [row for row in rows if row["loss_discriminator"]]  # the rows after the lessons
    matched = any(row["means"] for row in rows) and not judged

    def smooth(name: str, window: int = 25) -> tuple[list[float], list[float]]:
        mine = judged or rows if name != "pyramid" else rows
        spans = (mine[max(0, i - window) : i + 1] for i in range(len(mine)))
        return [row["images"] / 1000 for row in mine], [sum(row[name] for row in span) / len(span) for span in spans]

    panels = {"distance to what is to be shown": ["pyramid", *(["features"] if judged else [])]}
    if judged:
        panels["discriminator"] = ["score_drawn", "score_generated", "loss_discriminator"]
    if matched:
        panels["features"] = ["features", "means"]
    figure, row = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.2), layout="constrained", squeeze=False)
    for axes, (title, names) in zip(row[0], panels.items(), strict=True):
        for name in names:
            axes.plot(*smooth(name), label=name.replace("_", " "))
        axes.set_title(title)
        axes.set_xlabel("thousand images")
        axes.legend(frameon=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=90)


def main() -> None:
    """Fill the template."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--recovery", type=Path, required=True)
    parser.add_argument("--resources", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    arguments = parser.parse_intermixed_args()
    config = compose_settings(arguments.overrides)
    draw_curves(arguments.record.with_name("curves.csv"), arguments.curves)

    figures = json.loads(arguments.figures.read_text())
    mean = {name: sum(values) / len(values) for name, values in figures["diversity"].items()}
    frechet, reduced = figures["frechet"], figures["frechet_reduced"]
    worse = [
        name
        for name in ("drawn", "blurred 0.5 px", "blurred 1.0 px", "blurred 2.0 px")
        if frechet[name] > frechet["samples"]
    ]
    halvings = len(config["discriminator"]["channels"])
    names = json.loads((arguments.resources / "classes.json").read_text())
    environment = Environment(
        loader=FileSystemLoader(STUDY), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    text = environment.get_template("model_card.md.jinja").render(
        record=json.loads(arguments.record.read_text()),
        config=config,
        figures=figures,
        frechet=frechet,
        share=frechet["samples"] / frechet["untrained"],
        share_reduced=reduced["samples"] / reduced["untrained"] if reduced else None,
        rung=f"better than painted pictures {worse[0]}"
        if worse
        else "beyond the last rung: worse than painted pictures blurred 2 px",
        diversity=mean["samples"] / mean["pictures"],
        mean=mean,
        per_class=list(zip(names, figures["recognised_by_class"], *figures["diversity"].values(), strict=True)),
        recovery=json.loads(arguments.recovery.read_text()),
        names=names,
        margin=MARGIN,
        maps=[config["generator"]["output_dim"] // 2**halving for halving in range(1, halvings)],
        megabytes=sum(path.stat().st_size for path in arguments.resources.glob("*.safetensors")) / 1e6,
    )
    arguments.card.write_text(text)


if __name__ == "__main__":
    main()
