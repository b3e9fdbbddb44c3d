"""Every configuration key: its type, range, unit and meaning. The values live in config/, and only there."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Metric = Literal["l2", "ssim", "lpips"]
TermKind = Literal["l1", "l2", "pyramid", "ssim", "lpips", "discriminator"]

# What a sweep may vary: sections or single keys. Everything else belongs to the experiment as a whole.
SWEEPABLE = ("loss", "optimizer", "start", "generator.truncation")


def key(text, unit="", **limits):
    """A field with its meaning (and unit) for docs/configuration.md; limits as in pydantic."""
    return Field(description=text, json_schema_extra={"unit": unit}, **limits)


class Section(BaseModel):
    """A group of keys; unknown ones are errors, and numbers must be finite."""

    model_config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)


class Loss(Section):
    """What the walk descends: a weighted sum of terms."""

    name: str = key("how the loss is called in paths and tables", pattern=r"^[A-Za-z0-9._-]+$")
    terms: dict[TermKind, Weight] = key(
        "term -> weight in the sum; terms: l1, l2, pyramid, ssim, lpips, discriminator", min_length=1
    )


class Optimizer(Section):
    """How the walk descends."""

    lr: float = key("learning rate of z (short key lr)", gt=0, le=10)
    class_lr_ratio: float = key("the class logits' rate is lr * class_lr_ratio", ge=0, le=1000)
    classes: Literal["free", "fixed"] = key("free: the class vector is searched too; fixed: it stays as it started")
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] | None = key(
        "Adam's [beta1, beta2] at once; null: beta1 and beta2"
    )
    beta1: float = key("Adam's decay of the gradient's mean", ge=0, lt=1)
    beta2: float = key("Adam's decay of the gradient's square", ge=0, lt=1)
    eps: float = key("Adam's denominator floor", gt=0, le=1)
    warmup: Fraction = key("share of the walk in which the rate rises linearly", "of the walk")
    decay: Fraction = key("share of the walk, at its end, in which the rate falls to zero as a cosine", "of the walk")
    bound: Literal["clamp", "resample", "none"] = key("what happens to z beyond 2 * truncation")

    @model_validator(mode="after")
    def _betas_win(self):
        if self.betas is not None:
            self.beta1, self.beta2 = self.betas
        return self


class Start(Section):
    """Where walks begin."""

    classes: list[str] = key("class names, one per seed in turn; []: a random class vector")
    logit_std: float = key("standard deviation of the random class logits", "logits", ge=0, le=100)
    class_probability: float = key("probability of the named class at the start", gt=0, lt=1)
    temperature: float = key("temperature of the softmax that turns logits into the class vector", gt=0, le=100)
    best_of: int = key("random starts of which the nearest to the target (L2) is kept", "starts", ge=1, le=100_000)


class Generator(Section):
    """BigGAN at one resolution, frozen, at one truncation."""

    name: str = key("how the generator is called", pattern=r"^[A-Za-z0-9._-]+$")
    config: str = key("architecture file, in the published JSON form", "path")
    weights: str | None = key("weights file (pytorch_model.bin or safetensors); null: downloaded from url", "path")
    url: str | None = key("where the weights are published", "URL")
    sha256: str | None = key("what the weights must hash to; null: recorded at first use", pattern="^[0-9a-f]{64}$")
    class_names: str | None = key("JSON list of class names; null: ImageNet's 1000", "path")
    discriminator: str | None = key(
        "the discriminator's weights for the discriminator loss; null: there is none", "path"
    )
    truncation: float = key("bound of z is twice this; picks the batch-norm statistics", gt=0, le=1)

    @model_validator(mode="after")
    def _has_weights(self):
        if self.weights is None and self.url is None:
            raise ValueError("weights and url are both null: give one of them")
        return self


class Target(Section):
    """The picture that the walks look for."""

    picture: str = key("a picture file, or the URL of one (short key target)", "path or URL")
    sha256: str | None = key("what a downloaded picture must hash to", pattern="^[0-9a-f]{64}$")
    fit: Literal["crop", "pad"] = key("crop to the generator's square, or pad (the padding does not count)")
    focus: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = key(
        "point [x, y] kept in view by the crop; [0, 0] is the top left", "of width, height"
    )


class Perceptual(Section):
    """The LPIPS network."""

    net: Literal["squeeze", "alex", "vgg"] = key("backbone")
    weights: str | None = key("backbone file (torchvision's, or only its `features`); null: downloaded", "path")


class Montage(Section):
    """Contact sheets."""

    moments: int = key("columns of a setting's sheet, start and arrival included", "pictures", ge=2, le=64)
    tile: int = key("size of one picture", "px", ge=16, le=1024)


class Panorama(Section):
    """The loss on the plane through a film's three arrivals."""

    grid: int = key("points of the survey along the longer side", "points", ge=6, le=1000)
    colours: Literal["fog", "dusk"] = key("palette of the relief")


class Video(Section):
    """The film. The first block re-renders frames, the second only encodes again."""

    seconds: float = key("length of the walk on screen, holds not included", "s", gt=0, le=86_400)
    fps: int = key("frame rate", "frames/s", ge=1, le=240)
    time: Literal["steps", "perceived"] = key("frames at equal steps, or at equal perceived change")
    ease: Fraction = key("slow start and end of the walk; 0 is none")
    hold: float = key("stillness at the start and at the arrival, each", "s", ge=0, le=3600)
    loop: bool = key("walk back to the start, for a seamless loop")
    clock: Literal["common", "own"] = key("the three channels share the moment of each step, or each has its own time")
    keep_frames: bool = key("keep the lossless frames.mkv, so that captions and codec only encode again")
    fog: Fraction = key("strength of the fog where the picture still differs from the target; 0 is none")

    size: int = key("side of one channel", "px", ge=16, le=4320, multiple_of=2)
    crf: int = key("x264 quality, 0 (lossless) to 51", ge=0, le=51)
    preset: Literal["ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"] = key("x264 speed")
    gap: int = key("between two channels of the triptych", "px", ge=0, le=1000, multiple_of=2)
    captions: list[Literal["step", "loss", "class"]] = key("what is written under each channel; [] for nothing")

    exhibition: bool = key("make the files of an installation beside the film (the choice video=exhibition)")
    height: int = key("height of an exhibition's screen, 16/9 of it wide", "px", ge=36, le=2160, multiple_of=18)
    mbit: float = key("constant rate of the players' H.264 files", "Mbit/s", ge=0.1, le=16)


class Config(Section):
    """The whole configuration of one setting."""

    name: str = key("folder under results/", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = key("the seeds; N stands for 0..N-1", min_length=1)
    seeds_per_job: int = key("seeds inverted together in one job", "seeds", ge=1, le=4096)
    steps: int = key("updates per walk", "steps", ge=1, le=1_000_000)
    overwrite: bool = key("walks made from another target or generator under the same name may be overwritten")
    device: str = key("auto, cpu, cuda, cuda:N or mps", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    threads: int = key("torch's threads in a walk", "threads", ge=1, le=1024)
    precision: Literal["float32", "tf32", "bf16", "float64"] = key("arithmetic of the walk's generator and loss")
    compile: Literal["auto", "always", "never"] = key("torch.compile for the walk")
    graphs: bool = key("record each evaluation as a CUDA graph and replay it; NVIDIA GPUs only")
    micro_batch: int | None = key("seeds per forward pass; null: as many as fit into memory", "seeds", ge=1)
    metrics: list[Metric] = key("yardsticks taken of every walk: l2, ssim, lpips", min_length=1)
    generator: Generator
    target: Target
    perceptual: Perceptual
    loss: Loss
    optimizer: Optimizer
    start: Start
    films: dict[str, dict] = key("films by name: {vary: seed|loss|lr|rank|..., of: [three], other axes: value}")
    montage: Montage
    panorama: Panorama
    video: Video


def leaves(model=Config, prefix=""):
    """Yield (dotted key, field) for every leaf of the schema, in schema order."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
