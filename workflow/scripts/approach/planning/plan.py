"""The plan of a run: settings, batches, films and downloads, from the configuration and what is on disk. No torch.

The Snakefile makes it once per parse. Rules ask it for their files and for the part of the configuration that they use;
paths are relative to the folder that Snakemake works in.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from approach.biggan.config import read_config
from approach.devices import gpus_needed
from approach.own import is_own
from approach.planning import batches, sweep
from approach.planning.combinations import check_arrivals, check_combination
from approach.planning.command_line import finish, read_short_keys
from approach.planning.downloads import (
    backbone_file,
    destinations,
    needed_downloads,
    picture_file,
    weights_file,
)
from approach.planning.films import film_table
from approach.planning.identity import start_name
from approach.planning.own_code import digests
from approach.planning.start_from import is_stored, picture_setting, start_picture, stored
from approach.sources import is_url, sha256_of
from approach.stages import legs_of

SETTING = r"loss~[A-Za-z0-9._-]+\+lr~[A-Za-z0-9._-]+(\+[A-Za-z0-9._]+~[A-Za-z0-9._-]+)*"


@dataclass(frozen=True)
class Setting:
    """One point of the sweep, with its validated configuration and its batches (label -> wanted seeds)."""

    id: str
    values: dict
    config: dict
    batches: dict = field(default_factory=dict)


TOGETHER = 16  # seeds
SCREENS = ("left", "centre", "right", "wide")
EXHIBITION_FILES = [f"{screen}.{form}" for screen in SCREENS for form in ("mov", "mp4")]
EXHIBITION_FILES += [f"line-up-{screen}.mp4" for screen in SCREENS]


@dataclass(frozen=True)
class Plan:
    """All that a run is about. base is the first setting's configuration: what the settings share is read there."""

    root: Path
    base: dict
    settings: dict
    films: dict
    axes: dict
    downloads: dict
    notes: list
    # Pictures that are inverted first: the start's name -> its configuration.
    starts: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder under results/."""
        return self.base["name"]

    @property
    def seeds(self) -> list[int]:
        """The wanted seeds."""
        return self.base["seeds"]

    @property
    def results(self) -> str:
        """The folder of all products."""
        return f"results/{self.name}"

    @property
    def target(self) -> str:
        """The prepared target."""
        return f"{self.results}/target.png"

    # Destinations

    def destination_file(self, config: dict) -> str:
        """The prepared picture of a destination; the last one that was named is the run's target."""
        number = config["target"]["number"]
        return self.target if number == len(self.base["target"]["via"]) + 1 else f"{self.results}/targets/{number}.png"

    def destination(self, number: int) -> dict:
        """The configuration of a destination, by its number."""
        return next(one for one in destinations(self.base) if one["target"]["number"] == number)

    def destination_files(self, setting: str) -> dict[str, str]:
        """What an inversion sets out for: its target, which is the last, and those before by their places."""
        *before, last = map(self.destination_file, destinations(self.settings[setting].config))
        return {"target": last} | {f"destination_{place}": file for place, file in enumerate(before, start=1)}

    def departures(self) -> list[int]:
        """The steps at which a trajectory sets out for another destination."""
        return [begin for begin, _ in legs_of(len(self.base["target"]["via"]) + 1, self.base["steps"])[1:]]

    # Settings

    def setting_values(self) -> dict[str, dict]:
        """What tells the settings from one another: setting -> axis -> value."""
        return {setting.id: setting.values for setting in self.settings.values()}

    def setting_batches(self) -> dict[str, dict]:
        """Which batches a setting has, and which wanted seeds are in them: setting -> label -> seeds."""
        return {setting.id: setting.batches for setting in self.settings.values()}

    def batch_files(self, setting: str, suffix: str = "safetensors") -> list[str]:
        """The batch files of a setting that hold wanted seeds."""
        folder = f"{self.results}/{setting}/trajectories"
        return [f"{folder}/{batch}.{suffix}" for batch in self.settings[setting].batches]

    def all_batch_files(self) -> list[str]:
        """The batch files of all settings."""
        return [file for setting in self.settings for file in self.batch_files(setting)]

    def per_setting(self, file: str) -> list[str]:
        """One file of every setting, in the order of the sweep."""
        return [f"{self.results}/{setting}/{file}" for setting in self.settings]

    def inversion_labels(self, setting: str, batch: str) -> dict[str, str]:
        """What a trajectory file says of where it belongs."""
        generator = self.settings[setting].config["generator"]["name"]
        return {"experiment": self.name, "setting": setting, "batch": batch, "generator": generator}

    # Starts that are pictures

    def start_inputs(self, setting: str, batch: str) -> dict[str, str]:
        """Where a batch of a setting starts, where that is a picture: the same batch's inversion of it."""
        name = start_name(self.settings[setting].config)
        return {"start": f"{self.results}/starts/{name}/trajectories/{batch}.safetensors"} if name else {}

    def begin(self, setting: str) -> dict | None:
        """Which of its file's latents a setting starts at, and how that was typed; None for a random start.

        Seeds that start at a picture have a trajectory each.
        """
        config = self.settings[setting].config
        said = config["start"]["from"]
        if start_picture(config):
            return {"said": said, "file": None, "seed": None, "step": -1}
        if is_stored(config):
            found = stored(config)
            return {"said": said, "file": str(found.file), "seed": found.seed, "step": found.step}
        return None

    def start_files(self, start: str) -> dict[str, str]:
        """What the picture of a start is inverted with."""
        config = self.starts[start]
        files = {**generator_files(config), **self.loss_files(config["loss"]["terms"])}
        return {**files, "target": f"{self.results}/starts/{start}/target.png"}

    # Files that scripts open

    def target_files(self, config: dict | None = None) -> dict[str, str]:
        """What the target of a configuration (the run's) is made from and Snakemake watches.

        A downloaded picture is a rule's product; a person's own is told by its content, in target_config.
        """
        config = config or self.base
        files = {"architecture": config["generator"]["config"]}
        return {**files, "picture": picture_file(config)} if is_url(config["target"]["picture"]) else files

    def target_config(self, config: dict | None = None) -> dict:
        """How the target of a configuration (the run's) is made, and from which picture: its content, not its path."""
        config = config or self.base
        made = {key: config["target"][key] for key in ("fit", "focus")}
        own = not is_url(config["target"]["picture"])
        return {**made, "sha256": sha256_of(picture_file(config))} if own else made

    def inversion_files(self, setting: str) -> dict[str, str]:
        """What an inversion of this setting is made from."""
        config = self.settings[setting].config
        files = {**generator_files(config), **self.loss_files(config["loss"]["terms"])}
        return files | self.destination_files(setting)

    def all_inversion_files(self) -> dict[str, str]:
        """What the inversions of all settings are made from; of what they differ in, the first setting's."""
        each = map(self.inversion_files, reversed(self.settings))
        return {name: file for files in each for name, file in files.items()}

    def still_files(self, setting: str) -> dict[str, str]:
        """What a setting's stills are made from and measured with: its last destination."""
        files = {**generator_files(self.base, "architecture", "weights"), **self.loss_files(self.base["metrics"])}
        return files | {"target": self.destination_files(setting)["target"]}

    def census_files(self) -> dict[str, str]:
        """What arrivals are compared with: the network of LPIPS, where it is among the metrics."""
        return {"backbone": backbone_file(self.base)} if "lpips" in self.base["metrics"] else {}

    def frame_files(self, film: str) -> dict[str, str]:
        """What a film's frames are made from; only fog is measured against the target."""
        files = generator_files(self.base, "architecture", "weights")
        return {**files, **self.loss_files(self.base["metrics"])} if self.video(film)["fog"] else files

    def survey_files(self, film: str) -> dict[str, str]:
        """What the survey of a film's panorama is made from."""
        return self.measuring_files(self.survey_loss(film))

    def measuring_files(self, loss: dict) -> dict[str, str]:
        """What images of the generator are made and measured with."""
        return {**generator_files(self.base, "architecture", "weights"), **self.loss_files(loss["terms"])}

    def loss_files(self, terms: Iterable[str]) -> dict[str, str]:
        """What has to be opened to compute these loss terms or metrics."""
        files = {"target": self.target}
        if "lpips" in terms:
            files["backbone"] = backbone_file(self.base)
        if "discriminator" in terms:
            files |= discriminator_files(self.base)
        return files

    def lpips_net(self, terms: Iterable[str]) -> str | None:
        """The LPIPS network's name where one of these terms or metrics is LPIPS: another net reruns nothing else."""
        return self.base["perceptual"]["net"] if "lpips" in terms else None

    def fog_net(self, film: str) -> str | None:
        """The LPIPS network that fog is measured with, if it is."""
        return self.lpips_net(self.base["metrics"]) if self.video(film)["fog"] else None

    # Films

    def video(self, film: str) -> dict:
        """How a film is shown: the run's `video`, with what the film says otherwise of itself."""
        return {**self.base["video"], **self.films[film]["video"]}

    def candidate_files(self, film: str) -> dict[str, str]:
        """Where the trajectories are that a film may show: "setting/seed" -> batch file."""
        files = {}
        for candidate in self.films[film]["candidates"]:
            setting, seed = candidate["setting"], candidate["seed"]
            batch = next(label for label, seeds in self.settings[setting].batches.items() if seed in seeds)
            files[f"{setting}/{seed}"] = f"{self.results}/{setting}/trajectories/{batch}.safetensors"
        return files

    def candidate_batches(self, film: str) -> list[str]:
        """The batch files that hold a film's candidates, each once."""
        return sorted(set(self.candidate_files(film).values()))

    def shown_batches(self, film: str) -> list[str]:
        """The files of the trajectories that a film shows: of a ring or a pool, the one that is made for it."""
        return [self.made_file(film, "safetensors")] if self.made(film) else self.candidate_batches(film)

    def joined(self, film: str) -> str | None:
        """What joins a ring's trajectories: passes or straight lines; nothing where the film is no ring."""
        return self.films[film].get("join")

    def shows_pool(self, film: str) -> bool:
        """Whether a film shows a search from inside, members of a seed's pool."""
        return self.films[film]["vary"] == "stage"

    def made(self, film: str) -> str | None:
        """What files are called that hold a film's own channels, ring or pool; nothing where it shows trajectories."""
        return "ring" if self.joined(film) else "pool" if self.shows_pool(film) else None

    def made_file(self, film: str, suffix: str) -> str:
        """The latents of a ring or a pool, or the table of their steps."""
        return f"{self.results}/films/{film}/{self.made(film)}.{suffix}"

    def named_batches(self, film: str) -> list[str]:
        """The batch files of a film that names its members; ranks are read from the table."""
        return [] if self.films[film]["vary"] == "rank" else self.candidate_batches(film)

    def candidate_settings(self, film: str) -> list[str]:
        """The settings of a film's candidates, each once."""
        return sorted({candidate["setting"] for candidate in self.films[film]["candidates"]})

    def ranking(self, film: str) -> list[str]:
        """The table that a film's ranks are read from; the other films know their members."""
        return [f"{self.results}/trajectories.csv"] if self.films[film]["vary"] == "rank" else []

    def caption_settings(self, film: str) -> list[str]:
        """Under which settings film.json has the losses of a film's captions, in the order of `caption_losses`."""
        if not self.video(film)["captions"]:
            return []
        return [film] if self.made(film) else self.candidate_settings(film)

    def caption_losses(self, film: str) -> list[str]:
        """The tables that a film's captions are read from, where it has captions."""
        if self.made(film):
            return [self.made_file(film, "csv") for _ in self.caption_settings(film)]
        return [f"{self.results}/{setting}/losses.csv" for setting in self.caption_settings(film)]

    def candidate_losses(self, film: str) -> list[str]:
        """The losses of a film's candidates, in the order of `candidate_settings`."""
        return [f"{self.results}/{setting}/losses.csv" for setting in self.candidate_settings(film)]

    def player_films(self, film: str) -> dict[str, str]:
        """What the players' folders hold: a film for each screen, repeated where wanted, and its line-up clip."""
        folder = f"{self.results}/films/{film}/exhibition"
        films = f"{folder}/repeated" if self.video(film)["repeat_hours"] else folder
        line_ups = {f"line_up_{screen}": f"{folder}/line-up-{screen}.mp4" for screen in SCREENS}
        return {screen: f"{films}/{screen}.mp4" for screen in SCREENS} | line_ups

    def survey_loss(self, film: str) -> dict:
        """What a panorama measures: the loss that its trajectories share, or else the first metric, for all three."""
        return self.common_loss(self.candidate_settings(film))

    def common_loss(self, settings: Sequence[str]) -> dict:
        """The loss that settings share, or else the first metric, for all of them."""
        losses = [self.settings[setting].config["loss"] for setting in settings]
        if all(loss == losses[0] for loss in losses):
            return losses[0]
        name = self.base["metrics"][0]
        return {"name": name, "terms": {name: 1.0}}

    def arrivals_loss(self) -> dict:
        """What the passes between the experiment's arrivals lead through."""
        return self.common_loss(list(self.settings))

    def survey_own(self, film: str) -> dict[str, str]:
        """What the terms of one's own say that a panorama measures."""
        return self.own_terms(self.survey_loss(film))

    def own_terms(self, loss: dict) -> dict[str, str]:
        """What a loss's terms of one's own say."""
        return digests(name for name in loss["terms"] if is_own(name))

    def mixed_losses(self, film: str) -> bool:
        """Whether a film's trajectories descended different losses."""
        losses = [self.settings[setting].config["loss"] for setting in self.candidate_settings(film)]
        return any(loss != losses[0] for loss in losses)

    def survey_losses(self) -> dict[str, str]:
        """What each film's panorama measures: film -> the name of the loss, or None where it has no panorama."""
        seen = self.surveyed_films()
        return {film: self.survey_loss(film)["name"] if film in seen else None for film in self.films}

    def surveyed_films(self) -> list[str]:
        """The films that get a panorama: a ring has more arrivals than span a plane."""
        return [film for film in self._films_of("panorama") if not self.joined(film)]

    def films_with_passes(self) -> list[str]:
        """The films whose arrivals get passes between them; rings that are joined by them have no choice."""
        asked = [film for film in self._films_of("passes") if not self.shows_pool(film)]
        return [film for film in self.films if (self.joined(film) or film in asked) and self.joined(film) != "straight"]

    def passes(self, film: str) -> list[str]:
        """The passes that a film's panorama draws or that join a ring, if it has any."""
        return [f"{self.results}/films/{film}/passes.safetensors"] if film in self.films_with_passes() else []

    def panorama_passes(self) -> dict[str, str]:
        """The passes that the panoramas draw: film -> file."""
        return {film: file for film in self.surveyed_films() for file in self.passes(film)}

    def _films_of(self, section: str) -> list[str]:
        wanted = self.base[section]["films"]
        return [name for name, film in self.films.items() if wanted is None or film["key"] in wanted]

    def per_film(self, file: str) -> list[str]:
        """One file of every film."""
        return [f"{self.results}/films/{film}/{file}" for film in self.films]

    def shared_files(self) -> list[str]:
        """What `snakemake share` makes of every film; a poster shows arrivals, and of a pool only one arrived."""
        moving, still = ["triptych.webm", "triptych.webp"], ["poster.pdf", "card.png"]
        return [
            f"{self.results}/films/{film}/share/{file}"
            for film in self.films
            for file in moving + ([] if self.shows_pool(film) else still)
        ]

    def made_tables(self) -> dict[str, str]:
        """The films that are rings or show a pool: film -> the table of its steps."""
        return {film: self.made_file(film, "csv") for film in self.films if self.made(film)}

    def per_panorama(self, file: str) -> list[str]:
        """One file of every film that gets a panorama."""
        return [f"{self.results}/films/{film}/{file}" for film in self.surveyed_films()]

    # Products

    def page_links(self) -> dict[str, dict[str, str]]:
        """The products that the page lists: group -> text of the link -> file."""
        groups = {film: (f"{self.results}/films/{film}", self.film_products(film)) for film in self.films}
        groups |= {setting: (f"{self.results}/{setting}", ["montage.png", "losses.csv"]) for setting in self.settings}
        groups["the whole experiment"] = (self.results, self.experiment_products())
        return {title: {file: f"{folder}/{file}" for file in files} for title, (folder, files) in groups.items()}

    def experiment_products(self) -> list[str]:
        """What is made once; the page, which shows them, comes on top."""
        files = ["experiment.yaml", "trajectories.csv", "losses.parquet", "losses.png", "montage.png", "starts.csv"]
        files += ["arrivals.csv", "arrivals.png"]
        files += ["passes.safetensors", "passes.png", "tree.png"] if self.base["passes"]["arrivals"] else []
        return [*files, "metrics.png"] if len(self.settings) > 1 else files

    def tree(self) -> list[str]:
        """The picture of the tree of arrivals, where there is one."""
        return [f"{self.results}/tree.png"] if self.base["passes"]["arrivals"] else []

    def film_products(self, film: str) -> list[str]:
        """What is made of a film; the viewer for Snakemake's report comes on top."""
        files = ["film.json", "triptych.mp4", "channel-1.mp4", "channel-2.mp4", "channel-3.mp4"]
        files += [f"{made}.safetensors", f"{made}.csv"] if (made := self.made(film)) else []
        files += ["panorama.png"] if film in self.surveyed_films() else []
        files += ["passes.safetensors", "passes.png"] if film in self.films_with_passes() else []
        heard = self.video(film)["sound"] == "loss" and not self.made(film)
        files += [f"channel-{n}-sound.mp4" for n in (1, 2, 3)] if heard else []
        files += ["itinerary.png", "itinerary.csv"]
        if self.video(film)["exhibition"]:
            files += [f"exhibition/{file}" for file in ("index.html", "files.json", "players", *EXHIBITION_FILES)]
        return files

    def final_products(self) -> list[str]:
        """Every product that this run makes, and the record of their checksums."""
        return [*self.checked_products(), f"{self.results}/checksums.sha256", *self.tracked()]

    def tracked(self) -> list[str]:
        """What says which runs are in the tracker, where there is one."""
        files = [*self.per_setting("tracked"), f"{self.results}/tracked"]
        tracker = self.base["track"]
        return [] if tracker == "none" else [f"{file}-{tracker}.json" for file in files]

    def tracked_pictures(self) -> list[str]:
        """The pictures of the experiment as a whole."""
        return [f"{self.results}/{file}.png" for file in ("target", "losses", "montage", "arrivals")]

    def checked_products(self) -> list[str]:
        """Every product whose checksum is recorded."""
        return [
            self.target,
            *self.all_batch_files(),
            *self.per_setting("losses.csv"),
            *self.per_setting("montage.png"),
            *[f"{self.results}/{file}" for file in self.experiment_products()],
            *[
                f"{self.results}/films/{film}/{file}"
                for film in self.films
                for file in [*self.film_products(film), "viewer"]
            ],
            f"{self.results}/page/index.html",
        ]

    def recorded_config(self) -> dict:
        """The configuration that experiment.yaml tells: all of it but how the work was shared out, and the tracker."""
        return {key: value for key, value in self.base.items() if key not in ("seeds_per_job", "overwrite", "track")}


def generator_files(config: dict, *wanted: str) -> dict[str, str]:
    """What has to be opened to use the generator: architecture, weights, class_names, or the wanted ones of them.

    Class names are left out where the generator has ImageNet's.
    """
    generator = config["generator"]
    files = {"architecture": generator["config"], "weights": weights_file(config)}
    if generator["class_names"]:
        files["class_names"] = generator["class_names"]
    return {name: file for name, file in files.items() if name in wanted} if wanted else files


def discriminator_files(config: dict) -> dict[str, str]:
    """What has to be opened to use the generator's discriminator: its weights, and the .json that lies beside them."""
    weights = config["generator"]["discriminator"]
    return {"discriminator": weights, "discriminator_config": str(Path(weights).with_suffix(".json"))}


def image_threads(architecture: Path | str) -> int:
    """Threads of a job that makes images: one for a small generator, in which two would wait for each other."""
    return 1 if read_config(architecture).small else 2


def seeds_together(config: dict) -> int:
    """Seeds of a new inversion job, where nobody said: many share a device, but two jobs of a core each two cores."""
    alone = config["threads"] == 1 and not gpus_needed(config["device"])
    return min(TOGETHER, math.ceil(len(config["seeds"]) / 2)) if alone else TOGETHER


def make_plan(given: dict, root: Path) -> Plan:
    """Plan a run from what came after --config.

    Args:
        given: Snakemake's config, retyped by it.
        root: the project's folder (paths in config/ are relative to it).

    Raises:
        UserError: what is wrong, in one line, before any job.
    """
    words, literal = read_short_keys(given, root / "config")
    points = sweep.points(words, root / "config")
    settings = {}
    for composed, chosen in points:
        config = sweep.validate(finish(composed, literal, root))
        check_combination(config)
        config["threads"] = config["threads"] or image_threads(config["generator"]["config"])
        values = sweep.axis_values(config, chosen)
        settings[sweep.setting_id(values)] = (values, config)
    base = next(iter(settings.values()))[1]
    folder = Path("results") / base["name"]
    planned = {
        key: Setting(
            key,
            values,
            config,
            batches.plan_batches(
                batches.found_batches(folder / key),
                config["seeds"],
                config["seeds_per_job"] or seeds_together(config),
                partial(batches.has_other_steps, folder / key, config["steps"]),
            ),
        )
        for key, (values, config) in settings.items()
    }
    axes = {}
    for setting in planned.values():
        for key, value in setting.values.items():
            if value not in axes.setdefault(key, []):
                axes[key].append(value)
    stages = {key: len(setting.config["search"]["stages"]) for key, setting in planned.items()}
    table, notes = film_table(base["films"], axes, base["seeds"], sweep.setting_id, stages)
    for key, entry in base["films"].items():
        sweep.validate_video(key, base["video"], entry.get("video", {}))
    films = {film["name"]: film for film in table}
    if base["passes"]["arrivals"]:
        check_arrivals(base, len(planned) * len(base["seeds"]), axes)
    starts = {name: picture_setting(one.config) for one in planned.values() if (name := start_name(one.config))}
    for config in starts.values():
        check_combination(config)
    downloads = needed_downloads([*[setting.config for setting in planned.values()], *starts.values()])
    return Plan(root, base, planned, films, axes, downloads, notes, starts)
