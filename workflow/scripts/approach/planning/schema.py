"""Every configuration key: its type, range, unit and meaning. The values are in config/, and only there."""

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Metric = Literal["l2", "ssim", "lpips"]
Said = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] | None
TermKind = Literal["l1", "l2", "pyramid", "ssim", "lpips", "discriminator"]
OWN = r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*"  # module:name, found beside the project or on the path
Stage = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]


def _known_term(term: str) -> str:
    if term not in get_args(TermKind) and not re.fullmatch(OWN, term):
        raise ValueError(f"must be one of {', '.join(get_args(TermKind))}, or my_module:my_term")
    return term


Term = Annotated[str, AfterValidator(_known_term)]

# What a sweep may vary: sections or single keys. Everything else belongs to the experiment as a whole.
SWEEPABLE = ("loss", "optimizer", "start", "latent", "search", "generator.truncation", "target.order")


def key(text, unit="", **limits):
    """Declare a key.

    Args:
        text: its meaning, for docs/configuration.md.
        unit: its unit, where it has one.
        limits: pydantic's constraints.

    Returns:
        The pydantic field.
    """
    return Field(description=text, json_schema_extra={"unit": unit}, **limits)


class Section(BaseModel):
    """A group of keys; unknown ones are errors, and numbers must be finite."""

    model_config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)


class Loss(Section):
    """What an inversion minimises: a weighted sum of terms."""

    name: str = key("the loss's name in paths and tables", pattern=r"^[A-Za-z0-9._-]+$")
    terms: dict[Term, Weight] = key(
        "weight of each term: l1, l2, pyramid, ssim, lpips, discriminator, or my_module:my_term", min_length=1
    )


class Optimizer(Section):
    """Adam or another, on z and the class vector."""

    kind: str = key("adam, sgd, rmsprop, or my_module:MyOptimizer", pattern=f"^(adam|sgd|rmsprop|{OWN})$")
    lr: float = key("learning rate of z", gt=0, le=10)
    class_lr_ratio: float = key("learning rate of the class vector, as a multiple of lr", ge=0, le=1000)
    beta1: float = key("decay rate of the mean gradient; SGD's momentum", ge=0, lt=1)
    beta2: float = key("decay rate of the mean squared gradient", ge=0, lt=1)
    eps: float = key("added to the denominator of Adam and RMSprop", gt=0, le=1)
    warmup: Fraction = key("beginning, in which the learning rate rises linearly", "fraction of steps")
    decay: Fraction = key("end, in which the learning rate falls to zero as a cosine", "fraction of steps")
    schedule: Literal["whole", "warm_restart"] = key(
        "whole: warmup and decay are shares of all steps; warm_restart: they are shares of each period"
    )
    period: int | None = key("steps after which a warm_restart begins the schedule anew", "steps", ge=1)
    bound: Literal["clamp", "resample", "none", "norm"] = key(
        "what happens to components of z beyond 2 * truncation; norm: clamp, and no z longer than drawn ones on average"
    )

    @model_validator(mode="after")
    def _has_a_period(self):
        if (self.schedule == "warm_restart") != (self.period is not None):
            raise ValueError("schedule=warm_restart and a period of so many steps go together")
        return self


class Latent(Section):
    """What moves beside z."""

    classes: Literal["softmax", "fixed", "embedding"] = key(
        "softmax: the class logits move; fixed: they stay as they started; embedding: the class embedding itself moves"
    )


class Search(Section):
    """What a seed is: one start, or a pool of them of which the nearest are gone on with."""

    name: str = key("the search's name", pattern=r"^[A-Za-z0-9._-]+$")
    pool: int = key(
        "random starts of a seed that are looked at; the nearest by the loss begin", "starts", ge=1, le=100_000
    )
    stages: list[Stage] = key(
        "[members, length] of each stage: so many of a seed's members go on; lengths are relative, the last has 1",
        min_length=1,
        max_length=20,
    )

    @model_validator(mode="after")
    def _narrows(self):
        members = [int(count) for count, _ in self.stages]
        if members != sorted(members, reverse=True) or members[-1] != 1:
            raise ValueError("the members of the stages fall, and the last stage has 1")
        if any(count != int(count) or count < 1 for count, _ in self.stages) or members[0] > self.pool:
            raise ValueError("members are whole numbers from 1 to the pool's size")
        self.stages = [[int(count), length] for count, length in self.stages]
        return self


class StartPicture(Section):
    """How the picture of start.from=picture:FILE is inverted first."""

    loss: Loss
    steps: int = key("optimiser updates of its inversion", "steps", ge=1, le=1_000_000)
    lr: float = key("learning rate of z", gt=0, le=10)
    beta1: float = key("decay rate of the mean gradient", ge=0, lt=1)
    beta2: float = key("decay rate of the mean squared gradient", ge=0, lt=1)
    warmup: Fraction = key("beginning, in which the learning rate rises linearly", "fraction of steps")
    decay: Fraction = key("end, in which the learning rate falls to zero as a cosine", "fraction of steps")
    search: Search


class Start(Section):
    """Where inversions start."""

    from_: str = key(
        "random; trajectory:RESULTS/SETTING/SEED[@STEP], the latents of a finished one; picture:FILE, inverted first",
        alias="from",
        pattern=r"^(random|trajectory:.+/.+/\d+(@\d+)?|picture:.+)$",
    )
    classes: list[str] = key("class names, one per seed in turn; []: random class logits")
    logit_std: float = key("standard deviation of the random class logits", "logits", ge=0, le=100)
    class_probability: float = key("probability of a named class at the start", gt=0, lt=1)
    temperature: float = key("temperature of the softmax that turns logits into class probabilities", gt=0, le=100)
    best_of: int = key(
        "random starts drawn per seed; the nearest to the target (L2) is kept", "starts", ge=1, le=100_000
    )
    picture: StartPicture


class Generator(Section):
    """BigGAN at one resolution, frozen, at one truncation."""

    name: str = key("the generator's name", pattern=r"^[A-Za-z0-9._-]+$")
    config: str = key("architecture file, in the published JSON format", "path")
    weights: str | None = key("weights file (pytorch_model.bin or safetensors); null: downloaded from url", "path")
    url: str | None = key("where the weights are published", "URL")
    sha256: str | None = key("sha256 that the weights must have; null: recorded at first use", pattern="^[0-9a-f]{64}$")
    class_names: str | None = key("JSON list of class names; null: ImageNet's 1000", "path")
    discriminator: str | None = key("discriminator weights, for the discriminator loss; null: none", "path")
    truncation: float = key("half the bound of z; also selects the batch-norm statistics", gt=0, le=1)

    @model_validator(mode="after")
    def _has_weights(self):
        if self.weights is None and self.url is None:
            raise ValueError("weights and url are both null: give one of them")
        return self


class Target(Section):
    """The picture to approach."""

    picture: str = key("a picture file, or its URL; usually given by the short key target", "path or URL")
    via: list[str] = key(
        "pictures that a trajectory sets out for before; target=[a.jpg,b.jpg] gives both", "path or URL"
    )
    order: str | None = key(
        "in which order the pictures are the destinations, as 2-3-1; null: via, then picture", pattern=r"^\d+(-\d+)*$"
    )
    sha256: str | None = key(
        "sha256 that a downloaded picture must have; null: recorded at first use", pattern="^[0-9a-f]{64}$"
    )
    fit: Literal["crop", "pad"] = key("make the picture square: crop it, or pad it (no loss counts the padding)")
    focus: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = key(
        "point [x, y] that the crop keeps in view; [0, 0] is the top left corner", "fraction of width, height"
    )

    @model_validator(mode="after")
    def _orders_all(self):
        count = len(self.via) + 1
        if self.order and sorted(map(int, self.order.split("-"))) != list(range(1, count + 1)):
            raise ValueError(f"order={self.order}: write each number from 1 to {count} once, as in 2-3-1")
        return self


class Perceptual(Section):
    """The network of LPIPS."""

    net: Literal["squeeze", "alex", "vgg"] = key("backbone")
    weights: str | None = key(
        "backbone file (torchvision's, or only its `features`); null: downloaded when needed", "path"
    )


class Montage(Section):
    """Contact sheets."""

    moments: int = key("columns of a setting's sheet, start and arrival included", "pictures", ge=2, le=64)
    tile: int = key("size of one picture", "px", ge=16, le=1024)


class Panorama(Section):
    """The loss on the plane through a film's three arrivals."""

    films: list[str] | None = key("films that get a panorama, by their names under films:; null: all, []: none")
    grid: int = key("points along the longer side; the loss is computed at each of them", "points", ge=6, le=1000)
    colours: Literal["fog", "dusk"] = key("palette of the relief")


class Passes(Section):
    """The lowest ways between arrivals, each relaxed from the straight line as a nudged elastic band."""

    films: list[str] | None = key("films that get passes, by their names under films:; null: all, []: none")
    arrivals: int = key(
        "arrivals of the experiment, the nearest to the target, that get passes between every two and a tree; 0: none",
        "arrivals",
        ge=0,
        le=12,
    )
    points: int = key("images along a pass, its two arrivals included", "images", ge=3, le=201)
    steps: int = key("rounds in which a pass is relaxed; each evaluates all of its inner images", ge=1, le=100_000)
    free: bool = key("let a pass lead through conditionings that no latent gives")


class Census(Section):
    """Which arrivals are one place (snakemake census)."""

    apart: float = key(
        "how far two places are apart on average, in parts of the median difference of two starts", gt=0, le=2
    )


class Video(Section):
    """The film. The first block re-renders frames, the second only encodes again."""

    seconds: float = key("time from start to arrival on screen, holds not included", "s", gt=0, le=86_400)
    fps: int = key("frame rate", "frames/s", ge=1, le=240)
    time: Literal["steps", "perceived"] = key("frames at equal steps, or at equal perceived change")
    ease: Fraction = key("how gently the film sets off and comes to rest; 0: constant pace")
    hold: float = key("still time at the start, and again at the arrival", "s", ge=0, le=3600)
    loop: bool = key("run back to the start, for a seamless loop")
    clock: Literal["common", "own"] = key(
        "common: the three channels show the same step at the same time; own: each has its own timing"
    )
    keep_frames: bool = key("keep the lossless frames, so that other captions or another codec need no new frames")
    fog: Fraction = key("strength of the fog where the picture still differs from the target; 0: none")

    size: int = key("side of one channel", "px", ge=16, le=4320, multiple_of=2)
    crf: int = key("x264's quality, from 0 (lossless) to 51 (worst)", ge=0, le=51)
    preset: Literal["ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"] = key(
        "x264's preset: a slower one makes smaller files"
    )
    gap: int = key("between two channels of the triptych", "px", ge=0, le=1000, multiple_of=2)
    captions: list[Literal["step", "loss", "class"]] = key("what is written under each channel; []: nothing")
    sound: Literal["none", "loss"] = key(
        "loss: also make each channel with a drone that follows its loss and gradient; exhibition files have no sound"
    )

    exhibition: bool = key("also make the files for an installation's players (video=exhibition sets it)")
    frame: Literal["16:9", "1:1", "9:16"] = key("shape of an exhibition's screens, width to height")
    fill: Literal["black", "crop", "mirror"] = key(
        "what the square picture leaves of a screen: black; nothing, since it is cropped; its own mirror images"
    )
    height: int = key(
        "height of an exhibition's screen; a multiple of 18 at 16:9, of 2 at 1:1, of 32 at 9:16", "px", ge=32, le=3840
    )
    mbit: float | None = key(
        "constant bit rate of the players' H.264 files; null: 15 where a screen's shorter side has 1080 px, and in "
        "proportion to it elsewhere",
        "Mbit/s",
        ge=0.1,
        le=50,
    )

    gop: int | None = key(
        "frames from one key frame of the players' files to the next, where they can seek; null: a second of them",
        "frames",
        ge=1,
    )

    repeat_hours: float = key(
        "length of the players' films, for players that stumble at the loop point; only the tables grow; 0: one round",
        "h",
        ge=0,
        le=48,
    )

    @field_validator("gop")
    @classmethod
    def _at_most_a_second(cls, gop, info):
        if gop is not None and gop > info.data.get("fps", gop):
            raise ValueError(f"at most a second, {info.data['fps']} frames")
        return gop

    @field_validator("height")
    @classmethod
    def _even_width(cls, height, info):
        unit = {"16:9": 18, "1:1": 2, "9:16": 32}.get(info.data.get("frame"), 2)
        if height % unit:
            raise ValueError(f"a screen of {info.data['frame']} has a height that is a multiple of {unit}")
        return height


class Config(Section):
    """The whole configuration of one setting."""

    name: str = key("folder under results/", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)
    title: Said = key("the work's title, for page, wall label and metadata; null: the name")
    artist: Said = key("who made it, for the same places")
    year: Said = key("when, for the same places")
    credit: Said = key("a line of credits, for the same places")
    licence: Said = key("under which the work may be used, for the same places")
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = key("the seeds; N means seeds 0 to N-1", min_length=1)
    seeds_per_job: int | None = key(
        "seeds inverted together in one job; null: 16, or half of them where a job takes one core",
        "seeds",
        ge=1,
        le=4096,
    )
    steps: int = key("optimiser updates per inversion", "steps", ge=1, le=1_000_000)
    overwrite: bool = key("allow replacing finished trajectories of the same name by others")
    track: Literal["none", "tensorboard", "mlflow", "trackio"] = key(
        "tracker that gets the curves, settings, metrics and pictures of every trajectory; docs/tracking.md"
    )
    device: str = key(
        "auto (cuda, then mps, then cpu), cpu, cuda, cuda:N or mps", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$"
    )
    threads: int | None = key(
        "torch's threads in an inversion job; null: 2, or 1 for a small generator, such as the embedded ones",
        "threads",
        ge=1,
        le=1024,
    )
    precision: Literal["float32", "tf32", "bf16", "float64"] = key("arithmetic of an inversion's generator and loss")
    compile: Literal["auto", "always", "never"] = key(
        "torch.compile for inversions; auto: where it saves time within the remaining steps"
    )
    graphs: bool = key("record each evaluation as a CUDA graph and replay it; NVIDIA GPUs only")
    micro_batch: int | None = key("seeds per forward pass; null: as many as fit into memory", "seeds", ge=1)
    metrics: list[Metric] = key("metrics computed for every trajectory, whatever loss it minimised", min_length=1)
    generator: Generator
    target: Target
    perceptual: Perceptual
    loss: Loss
    optimizer: Optimizer
    start: Start
    latent: Latent
    search: Search
    films: dict[str, dict | None] = key(
        "films by name: {vary: seed, loss, lr, rank, trajectory or stage, of: [three members], fixed keys}, with join "
        "a ring of six; null: no such film"
    )
    montage: Montage
    panorama: Panorama
    passes: Passes
    census: Census
    video: Video

    @field_validator("films")
    @classmethod
    def _without_removed(cls, films):
        return {name: film for name, film in films.items() if film is not None}


def leaves(model=Config, prefix=""):
    """Yield (dotted key, field) for every key of the schema, in schema order."""
    for python_name, field in model.model_fields.items():
        name = field.alias or python_name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
