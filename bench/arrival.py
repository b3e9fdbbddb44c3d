"""What a user waits for: seconds a seed until the loss that `plain` reaches after 500 steps.

    python bench/arrival.py --picture wanderer.jpg --backbone squeezenet1_1-b8a52dc0.pth

The embedded generator at 64 px, LPIPS, eight starts. Plain inverts one after another as the packages' users write it:
Adam at constant rates, float32; once at the rates that such tools come with, once at ours. Ours inverts them together,
with the optimizer of config/ and what the inversion job itself decides (micro-batches, compilation), loading included;
once with the defaults, once with latent.classes=embedding lr=0.1, from the same pictures. Plain's mark is its loss
after the last step: each seed's own, and the mean of all.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "bench")]

import torch  # noqa: E402
import yaml  # noqa: E402

from approach.biggan.generator import load_generator  # noqa: E402
from approach.biggan.precision import keep_memory  # noqa: E402
from approach.inversion.batch import decide  # noqa: E402
from approach.inversion.descent import State, columns, descend  # noqa: E402
from approach.inversion.search import embedded  # noqa: E402
from approach.inversion.starts import Latents, start  # noqa: E402
from approach.target import prepare_target, read_target  # noqa: E402
from contestants import RATES, TRUNCATION, Case, Task, our_loss, plain_generator, plain_perceptual  # noqa: E402
from inversion import make_task  # noqa: E402
from measuring import trim_memory  # noqa: E402

logger = logging.getLogger("bench")

OURS = {"defaults": {}, "latent.classes=embedding lr=0.1": {"classes": "embedding", "lr": 0.1}}
START = {"classes": [], "logit_std": 1.0, "class_probability": 0.9, "temperature": 1.0}


def starts(task: Task, seeds: list[int]) -> Latents:
    """The same starts for both."""
    names = [str(number) for number in range(task.config.num_classes)]
    each = [start(seed, 0, START, TRUNCATION, task.config.z_dim, names) for seed in seeds]
    return Latents(*(torch.stack(parts) for parts in zip(*each, strict=True)))


def invert_plainly(task: Task, begin: Latents, steps: int, rates: dict[str, float]) -> tuple[list[float], list[float]]:
    """Seconds and final loss of each seed, one after another, in float32; rates of z and classes are constant."""
    model, perceptual = plain_generator(task).requires_grad_(False), plain_perceptual(task).requires_grad_(False)
    target = task.target[None]
    seconds, final = [], []
    for index in range(len(begin.z)):
        z, logits = (part[index : index + 1].clone().requires_grad_() for part in begin)
        adam = torch.optim.Adam([{"params": [z], "lr": rates["z"]}, {"params": [logits], "lr": rates["classes"]}])
        began = time.perf_counter()
        for _ in range(steps):
            adam.zero_grad()
            loss = perceptual(model(z, torch.softmax(logits, dim=1), TRUNCATION), target).sum()
            loss.backward()
            adam.step()
            with torch.no_grad():
                z.clamp_(-2 * TRUNCATION, 2 * TRUNCATION)
        seconds.append(time.perf_counter() - began)
        with torch.no_grad():
            final.append(float(perceptual(model(z, torch.softmax(logits, dim=1), TRUNCATION), target)))
        logger.info("plain at %s, start %d: %.1f s, loss %.4f", rates, index, seconds[-1], final[-1])
    return seconds, final


def invert_ours(
    task: Task, begin: Latents, steps: int, optimizer: dict, precision: str, classes: str
) -> tuple[torch.Tensor, list]:
    """Loss of every seed and step [N, steps + 1], and the seconds since the start at each step's end."""
    began = time.perf_counter()
    seeds = list(range(len(begin.z)))
    search = yaml.safe_load((ROOT / "config" / "search" / "descent.yaml").read_text(encoding="utf-8"))["search"]
    wanted = {"device": "cpu", "precision": precision, "threads": torch.get_num_threads(), "steps": steps,
              "search": search, "compile": "auto", "graphs": False, "micro_batch": None}  # fmt: skip
    decisions = decide(wanted, seeds, task.config)
    generator = load_generator(task.weights, task.config, truncation=TRUNCATION, precision=precision)
    generator.set_compiled(decisions["compiled"])
    loss = our_loss(task, Case("ours", precision, len(seeds), decisions["compiled"]))
    if classes == "embedding":
        begin = embedded(begin, generator.embedding, START["temperature"])
    state = State.begin(begin, steps, len(columns({"terms": {"lpips": {}}})))
    at: list[float] = []
    state = descend(generator, loss, state, seeds, steps=steps, optimizer=optimizer, temperature=START["temperature"],
                    truncation=TRUNCATION, micro_batch=decisions["micro_batch"], classes=classes,
                    after_step=lambda state, images: at.append(time.perf_counter() - began))  # fmt: skip
    return state.log[:, :, 0], at


def first_at_most(losses: torch.Tensor, mark: float) -> int | None:
    """The first step whose loss, [steps + 1], is no higher than the mark."""
    found = (losses <= mark).nonzero()
    return int(found[0]) if len(found) else None


def compare(losses: torch.Tensor, at: list[float], seconds: list[float], final: list[float]) -> dict:
    """When ours arrived at plain's marks, in steps and in times sooner, by seed and in the mean of all."""
    seeds = len(final)
    plain_seconds = sum(seconds) / seeds
    by_seed = [first_at_most(row, mark) for row, mark in zip(losses, final, strict=True)]
    by_mean = first_at_most(losses.mean(0), sum(final) / seeds)

    def sooner(step: int | None) -> float | None:
        return None if step is None else plain_seconds / (at[step] / seeds)

    return {
        "seconds_a_seed": plain_seconds, "loss": final, "arrived_at_step": by_seed,
        "sooner": [sooner(step) for step in by_seed],
        "mean_arrived_at_step": by_mean, "mean_sooner": sooner(by_mean),
        "mean_seconds_a_seed": None if by_mean is None else at[by_mean] / seeds,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> dict:
    """Run both and write how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True, help="the target")
    parser.add_argument("--backbone", type=Path, required=True, help="torchvision's weights of squeezenet1_1")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--plain-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--plain-rates", nargs="+", default=["tools", "ours"], choices=["tools", "ours"])
    parser.add_argument("--ours", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--json", type=Path, default=Path("results/bench/arrival.json"))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    task = make_task("study", "lpips", options.backbone, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.png"
        prepare_target(options.picture, task.config.output_dim).save(path)
        task = Task(task.config, task.weights, read_target(path).pixels, "lpips", options.backbone, "cpu")
    begin = starts(task, list(range(options.seeds)))
    configured = yaml.safe_load((ROOT / "config" / "optimizer" / "adam.yaml").read_text(encoding="utf-8"))
    found = {"plain_steps": options.plain_steps, "threads": torch.get_num_threads(), "ours": {}, "plain": []}
    runs = {}
    for name in options.ours:
        optimizer = {**configured, **OURS[name]}
        classes = optimizer.pop("classes", "softmax")
        keep_memory(True)
        losses, at = runs[name] = invert_ours(task, begin, options.steps, optimizer, options.precision, classes)
        keep_memory(False)
        trim_memory()
        found["ours"][name] = {
            "precision": options.precision, "steps": options.steps, "loss": losses[:, -1].tolist(),
            "seconds_at_step": at,
            "rates": {"z": optimizer["lr"], "classes": optimizer["lr"] * optimizer["class_lr_ratio"]},
        }  # fmt: skip
        logger.info("ours, %s: %.1f s, mean loss %.4f", name, at[-1], losses[:, -1].mean())
    for which in options.plain_rates:
        rates = RATES if which == "tools" else found["ours"][options.ours[0]]["rates"]
        theirs = invert_plainly(task, begin, options.plain_steps, rates)
        for name, (losses, at) in runs.items():
            found["plain"].append({"ours": name, "rates": rates, **compare(losses, at, *theirs)})
            logger.info("%s", found["plain"][-1])
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    main()
