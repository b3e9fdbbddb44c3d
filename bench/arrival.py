"""What a user waits for: seconds a seed until the loss that `plain` reaches after 500 steps.

    python bench/arrival.py --picture ../shared/data/paintings/wanderer.jpg --json results/bench/arrival.json

The study generator, LPIPS, eight starts. Plain walks them one after another as the packages' users write it: Adam at
constant rates, float32. Ours walks them together with this project's walk, its schedule and precision of --precision.
Plain's mark is each seed's loss after its last step; ours arrives when a seed's loss first is no higher.
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
from approach.generator import load_generator  # noqa: E402
from approach.precision import keep_memory  # noqa: E402
from approach.starts import Latents, start  # noqa: E402
from approach.target import prepare_target, read_target  # noqa: E402
from approach.walk import State, columns, walk  # noqa: E402
from contestants import RATES, TRUNCATION, Case, Task, our_loss, plain_generator, plain_perceptual  # noqa: E402
from inversion import make_task  # noqa: E402
from measuring import trim_memory  # noqa: E402

log = logging.getLogger("bench")

START = {"classes": [], "spread": 1.0, "confidence": 0.9, "temperature": 1.0}


def starts(task: Task, seeds: list[int]) -> Latents:
    """The same starts for both."""
    names = [str(number) for number in range(task.config.num_classes)]
    each = [start(seed, 0, START, TRUNCATION, task.config.z_dim, names) for seed in seeds]
    return Latents(*(torch.stack(parts) for parts in zip(*each, strict=True)))


def plain_walks(task: Task, begin: Latents, steps: int) -> tuple[list[float], list[float]]:
    """Seconds and final loss of each seed, one after another; the loss is lpips + nothing, in float32."""
    model, perceptual = plain_generator(task).requires_grad_(False), plain_perceptual(task).requires_grad_(False)
    target = task.target[None]
    seconds, final = [], []
    for index in range(len(begin.z)):
        z, logits = (part[index : index + 1].clone().requires_grad_() for part in begin)
        adam = torch.optim.Adam([{"params": [z], "lr": RATES["z"]}, {"params": [logits], "lr": RATES["classes"]}])
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
        log.info("plain, start %d: %.1f s, loss %.4f", index, seconds[-1], final[-1])
    return seconds, final


def our_walk(
    task: Task, begin: Latents, steps: int, precision: str, rates: dict[str, float]
) -> tuple[torch.Tensor, list[float]]:
    """Loss of every seed and step [N, steps + 1], and the seconds since the start at each step's end."""
    began = time.perf_counter()
    generator = load_generator(task.weights, task.config, truncation=TRUNCATION, precision=precision)
    loss = our_loss(task, Case("ours", precision, len(begin.z)))
    optimizer = {"lr": rates["z"], "class_ratio": rates["classes"] / rates["z"], "classes": "free", "beta1": 0.9,
                 "beta2": 0.999, "eps": 1e-8, "warmup": 0.05, "decay": 0.25, "bound": "clamp"}  # fmt: skip
    names = columns({"terms": {"lpips": {}}})
    state = State.begin(begin, steps, len(names))
    at: list[float] = []
    state = walk(generator, loss, state, list(range(len(begin.z))), steps=steps, optimizer=optimizer,
                 temperature=START["temperature"], truncation=TRUNCATION, sub_batch=len(begin.z),
                 after_step=lambda state, images: at.append(time.perf_counter() - began))  # fmt: skip
    return state.log[:, :, 0], at


def main(arguments: list[str] | None = None) -> dict:
    """Run both and write how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = ROOT.parent / "shared" / "data"
    parser.add_argument("--picture", type=Path, default=shared / "paintings" / "wanderer.jpg")
    parser.add_argument("--backbone", type=Path, default=shared / "lpips" / "squeezenet1_1-features.pth")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--plain-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--lr", type=float, default=RATES["z"], help="our rate of z")
    parser.add_argument("--lr-classes", type=float, default=RATES["classes"], help="our rate of the class logits")
    parser.add_argument("--json", type=Path, default=Path("results/bench/arrival.json"))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    task = make_task("study", "lpips", options.backbone, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.png"
        prepare_target(options.picture, task.config.output_dim).save(path)
        task = Task(task.config, task.weights, read_target(path).pixels, "lpips", options.backbone, "cpu")
    begin = starts(task, list(range(options.seeds)))
    keep_memory(True)
    losses, at = our_walk(
        task, begin, options.steps, options.precision, {"z": options.lr, "classes": options.lr_classes}
    )
    keep_memory(False)
    trim_memory()
    seconds, final = plain_walks(task, begin, options.plain_steps)

    marks = torch.tensor(final)
    reached = losses <= marks[:, None]
    arrivals = [int(row.nonzero()[0]) if row.any() else None for row in reached]
    last = max((step for step in arrivals if step is not None), default=options.steps)
    mean_at = next((step for step in range(losses.shape[1]) if losses[:, step].mean() <= marks.mean()), None)
    plain_seconds = sum(seconds) / len(seconds)
    found = {
        "plain": {"steps": options.plain_steps, "seconds_a_seed": plain_seconds, "loss": final},
        "ours": {
            "precision": options.precision, "steps": options.steps, "loss": losses[:, -1].tolist(),
            "arrived_at_step": arrivals, "seconds_at_step": at,
            "seconds_a_seed_until_all_that_arrive": at[last] / options.seeds,
            "seconds_a_seed_until_the_mean_arrives": None if mean_at is None else at[mean_at] / options.seeds,
        },
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    log.info("plain: %.2f s a seed, mean loss %.4f", plain_seconds, marks.mean())
    log.info(
        "ours: mean loss %.4f after %d steps and %.1f s; seeds arrive at steps %s; %s of %d",
        losses[:, -1].mean(),
        options.steps,
        at[-1],
        arrivals,
        sum(step is not None for step in arrivals),
        options.seeds,
    )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    main()
