"""The experiment as one page that opens from disk: data inline, films beside it, no network, no server."""

import base64
import io
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from approach.pictures.arrivals import caption, closeness_metric, film_command, film_line
from approach.pictures.readings import PAIRS, evenly, fog_distance, ridge
from approach.wording import command_lines, film_words, setting_words, work_of

TEMPLATES = Path(__file__).parent / "templates"
MOST_POINTS = 400  # of a curve or a trajectory on the page
MOST_ARRIVALS = 48
TILE = 160  # pixels of an arrival's picture
MOMENT = 128  # pixels of a picture in a strip of moments


def href(path: str | Path, folder: Path) -> str:
    """A link from a page in `folder` to `path`, every special letter quoted."""
    up = Path(path).resolve().relative_to(folder.resolve().parent)
    return "../" + quote(up.as_posix(), safe="/")


def render_template(template: str, /, **values: object) -> str:
    """A template of ours, filled in; every value is escaped."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


def film_data(
    choice: dict,
    timing: dict,
    losses: Sequence[pd.DataFrame],
    found: Mapping[str, np.ndarray] | None,
    itinerary: dict,
    *,
    size: tuple[int, int],
    loss: str | None,
) -> dict:
    """What the page's script needs to know about one film; plain values, without links.

    Args:
        choice: film.json.
        timing: timing.json.
        losses: each channel's rows of losses.csv (empty where they are missing).
        found: the survey (panorama.npz), or None where the film has no panorama.
        itinerary: itinerary.json.
        size: the film's width and height in pixels.
        loss: the name of the loss that was surveyed.
    """
    positions = [np.asarray(channel) for channel in timing["positions"]]
    longest = int(np.argmax(timing["steps"]))
    return {
        "name": choice["film"],
        "title": film_words(choice),
        "why": choice["why"],
        "fps": timing["fps"],
        "frames": timing["frames"],
        "last": max(timing["steps"]),
        # The frame in which the film stands at its arrival for the last time, before it returns or ends.
        "turn": int(np.flatnonzero(positions[longest] == positions[longest].max())[-1]),
        "width": size[0],
        "height": size[1],
        "same_loss": len({channel["values"].get("loss") for channel in choice["channels"]}) == 1,
        "channels": [
            _channel(channel, where, table[table["step"] <= last])
            for channel, where, table, last in zip(choice["channels"], positions, losses, timing["steps"], strict=True)
        ],
        "panorama": _panorama(found, loss) if found else None,
        "itinerary": itinerary,
    }


def arrivals_data(table: pd.DataFrame, pictures: Mapping[str, np.ndarray]) -> dict:
    """The gallery: as many of the closest as of the strangest arrivals, each with its picture as a data URI.

    Args:
        table: as arrivals.csv.
        pictures: trajectory ("setting/seed") -> uint8 [H, W, 3].
    """
    half = MOST_ARRIVALS // 2
    if len(table) > MOST_ARRIVALS:
        kept = table[(table["by_closeness"] <= half) | (table["by_strangeness"] <= half)]
    else:
        kept = table
    rows = []
    for row in kept.sort_values("by_closeness").to_dict("records"):
        places = {key: "" if pd.isna(row[key]) else int(row[key]) for key in ("by_closeness", "by_strangeness")}
        picture = pictures[row["trajectory"]]
        rows.append(
            {
                **places,
                "trajectory": row["trajectory"],
                "failed": row["status"] == "failed",
                "caption": caption(row),
                "picture": data_uri(picture),
            }
        )
    return {"rows": rows, "total": len(table), "by": closeness_metric(table)}


def moment_strips(moments: Mapping[str, tuple[list[int], np.ndarray]]) -> dict:
    """The stored moments of trajectories, each as one picture, side by side.

    Args:
        moments: trajectory -> M steps, and uint8 [M, H, W, 3].

    Returns:
        {count (of moments), strips: trajectory -> data URI, steps: trajectory -> the steps}.
    """
    strips = {}
    for trajectory, (_, pictures) in moments.items():
        strip = Image.new("RGB", (MOMENT * len(pictures), MOMENT))
        for place, picture in enumerate(pictures):
            small = Image.fromarray(picture).resize((MOMENT, MOMENT), Image.Resampling.LANCZOS)
            strip.paste(small, (MOMENT * place, 0))
        strips[trajectory] = _jpeg(strip)
    steps = {trajectory: steps for trajectory, (steps, _) in moments.items()}
    return {"count": max(map(len, steps.values()), default=0), "strips": strips, "steps": steps}


def data_uri(picture: np.ndarray) -> str:
    """A small picture (uint8 [H, W, 3]) as a data URI."""
    image = Image.fromarray(picture)
    image = image.resize((TILE, round(TILE * image.height / image.width)), Image.Resampling.LANCZOS)
    return _jpeg(image)


def _jpeg(image: Image.Image) -> str:
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(kept.getvalue()).decode()


def page(
    *,
    name: str,
    films: list[dict],
    arrivals: dict,
    record: dict,
    target: np.ndarray,
    links: list[dict],
    notes: Sequence[str],
    moments: dict | None = None,
    tree: Sequence[str] = (),
) -> str:
    """The text of index.html.

    Args:
        name: of the experiment.
        films: as `film_data` with `video`, `file` and the panorama's links.
        arrivals: as `arrivals_data`.
        record: experiment.yaml.
        target: uint8 [H, W, 3].
        links: groups of {title, files: [{href, text}]}.
        notes: films that could not be made, and why.
        moments: as `moment_strips`, to preview three arrivals.
        tree: the link to the tree of arrivals, where there is one.
    """
    work = work_of(record.get("configuration", {}), name)
    configuration = dict(_flat(record.get("configuration", {})))
    said, credit = target_words(str(configuration.get("target.picture", "")))
    steps, generator = configuration.get("steps"), configuration.get("generator.name")
    command = record.get("command", "snakemake --cores all")
    return render_template(
        "page.html.j2",
        name=name,
        work=work,
        lede=(
            f"{_counted(arrivals['total'])} through what the generator {generator} can picture, {steps} steps each, "
            "all for one image. They start apart, grope through the fog, and rarely arrive at the same place."
        ),
        target=data_uri(target),
        target_caption=said,
        target_credit=credit,
        films=films,
        notes=notes,
        arrivals=arrivals,
        tree=tree,
        facts=_facts(record, configuration),
        configuration=[
            *((key, _text(value)) for key, value in configuration.items()),
            *((key, _text(record[key])) for key in ("versions", "sha256") if key in record),
        ],
        links=links,
        command=command_lines(shlex.split(command)),
        data=finite(
            {
                "films": films,
                "film_command": film_command(command, name, ["TRAJECTORIES"]),
                "film_line": film_line(["TRAJECTORIES"]),
                "moments": moments,
            }
        ),
    )


def target_words(picture: str) -> tuple[str, str]:
    """A caption for the target, and where it comes from."""
    painting = "Caspar David Friedrich, Wanderer above the Sea of Fog, c. 1818"
    if picture.endswith("resources/study/target.png"):
        return (
            "The target: a study after Friedrich's composition",
            f"The target is a small study that this project draws itself, after the composition of {painting}.",
        )
    if "wanderer" in picture.lower():
        return "The target: Friedrich's Wanderer", f"The target is {painting}; the painting is in the public domain."
    name = picture.rsplit("/", 1)[-1]
    return f"The target: {name}", f"The target is {name}, chosen by whoever ran this experiment."


def finite(value: object) -> object:
    """The same plain data with numbers rounded to six figures and nothing that JSON cannot say: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [finite(part) for part in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _channel(channel: dict, positions: np.ndarray, table: pd.DataFrame) -> dict:
    """One channel: where it is in each frame, its loss and top category there, and its curve."""
    missing, failed = table.empty, channel["status"] == "failed"
    steps, values = (table[key].to_numpy(float) for key in ("step", "loss")) if not missing else (np.empty(0),) * 2
    last = channel["last_step"]
    losses, said, tops, names = [None] * len(positions), [None] * len(positions), [None] * len(positions), []
    places = None
    if not missing:
        shown = np.minimum(positions, last) if failed else positions
        losses = np.interp(shown, steps, values)
        nearest = np.clip((shown + 0.5).astype(int), 0, len(table) - 1)
        said, categories = values[nearest], [str(name) for name in table["top_class"].to_numpy()[nearest]]
        if "place" in table:  # in a ring, whose steps are those of several trajectories
            places = (table["label"] + ", " + table["place"]).to_numpy()[nearest]
        names = sorted(set(categories))
        tops = [names.index(name) for name in categories]
    kept = evenly(len(steps), MOST_POINTS) if len(steps) else []
    return {
        "label": channel["label"],
        "failed": failed,
        "missing": missing,
        "last_step": last,
        "positions": positions,
        "losses": losses,
        "said": said,
        "tops": tops,
        "names": names,
        "places": places,
        "curve": {"step": steps[kept] if len(steps) else [], "loss": values[kept] if len(steps) else []},
    }


def _panorama(found: Mapping[str, np.ndarray], loss: str) -> dict:
    trajectories = []
    for number in (1, 2, 3):
        seen = found[f"trajectory_{number}"]
        kept = evenly(len(seen), MOST_POINTS)
        trajectories.append({"steps": kept, "x": seen[kept, 0], "y": seen[kept, 1], "away": seen[kept, 2]})
    profiles, passes = [], []
    for number, (a, b) in enumerate(PAIRS):
        along, profile = found["profile_x"][number], found["profiles"][number]
        above = ridge(profile)
        share = above / max(profile[0], profile[-1], 1e-12)
        said = f"a ridge {above:.2g} high ({share:.0%} of the higher arrival)" if share >= 0.005 else "no ridge between"
        profiles.append({"loss": profile, "said": f"{a} to {b}, {along[-1]:.3g} apart: {said}"})
        if "pass_bands" in found:
            over, band = found["pass_profiles"][number], found["pass_bands"][number]
            profiles[-1] |= {"pass": over, "said": f"{profiles[-1]['said']}; the pass is {ridge(over):.2g} high"}
            passes.append({"x": band[:, 0], "y": band[:, 1], "top": found["pass_tops"][number]})
    extent = [found["x"][0], found["x"][-1], found["y"][0], found["y"][-1]]
    return {
        "loss": loss,
        "extent": extent,
        "gone": fog_distance(found["arrivals"]),
        "trajectories": trajectories,
        "profiles": profiles,
        "passes": passes,
    }


def _facts(record: dict, configuration: dict) -> list[tuple[str, str]]:
    """What a reader wants to know first of what made this."""
    facts = [("settings", "; ".join(map(setting_words, record.get("settings", {}))))]
    for key in ("generator.name", "generator.truncation", "target.picture", "steps", "seeds", "metrics", "precision"):
        if key in configuration:
            facts.append((key, _text(configuration[key])))
    facts += [(key, _text(record[key])) for key in ("device", "commit") if key in record]
    return facts


def _counted(inversions: int) -> str:
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    count = words[inversions] if inversions < len(words) else inversions
    return f"{count} inversion{'s' * (inversions != 1)}"


def _flat(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    """A nested table as (dotted key, value)."""
    pairs = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(str(part) for part in value) or "none"
    return {"None": "none", "True": "yes", "False": "no"}.get(str(value), str(value))
