"""The descent: seeds do not see one another, an inversion is reproducible, and a seed that fails fails alone."""

import copy

import pytest
import torch

from approach.biggan.config import class_names, read_config
from approach.biggan.format import read_weights
from approach.biggan.generator import load_generator
from approach.biggan.sampling import truncated_normal
from approach.inversion.adam import Adam
from approach.inversion.descent import State, columns, descend, hold_within
from approach.inversion.starts import Latents, sample_starts, start
from approach.losses.losses import build_loss
from approach.stages import rate
from approach.target import Target

ADAM = {
    **{"lr": 0.05, "class_lr_ratio": 1.0, "kind": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    **{"warmup": 0.05, "decay": 0.25, "bound": "clamp"},
}
START = {"classes": [], "logit_std": 1.0, "class_probability": 0.9, "temperature": 1.0, "best_of": 1}
MIX = {"name": "mix", "terms": {"l1": 1.0, "pyramid": 0.5}}


@pytest.fixture(scope="module")
def target():
    pixels = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return Target(pixels, torch.ones(1, 32, 32))


def invert_seeds(
    tiny,
    target,
    seeds,
    *,
    steps=20,
    precision="float64",
    wrap=None,
    state=None,
    stop=None,
    classes="softmax",
    **changes,
):
    config = read_config(tiny / "config.json")
    generator = load_generator(
        read_weights(tiny / "generator.safetensors", config), config, truncation=0.7, precision=precision
    )
    dtype = torch.float64 if precision == "float64" else torch.float32
    loss = build_loss(MIX, target, dtype=dtype)
    if state is None:
        start, _ = sample_starts(seeds, START, 0.7, 128, class_names(tiny / "classes.json", config))
        state = State.begin(Latents(start.z.to(dtype), start.logits.to(dtype)), steps, len(columns(MIX)))

    def after_step(state, images):
        if stop is not None and state.step == stop:
            raise InterruptedError

    return descend(
        generator, wrap(loss) if wrap else loss, state, seeds,
        steps=steps, optimizer={**ADAM, **changes}, temperature=1.0, truncation=0.7,
        micro_batch=changes.get("micro_batch", len(seeds)), classes=classes,
        after_step=after_step,
    )  # fmt: skip


def test_a_seed_alone_and_in_company_goes_the_same_steps(tiny, target):
    company = invert_seeds(tiny, target, [0, 1, 2, 3])
    alone = invert_seeds(tiny, target, [2])
    assert torch.allclose(company.z[2], alone.z[0], rtol=0, atol=1e-9)
    assert torch.allclose(company.classes[2], alone.classes[0], rtol=0, atol=1e-9)
    assert torch.allclose(company.log[2, :, :-1], alone.log[0, :, :-1], rtol=0, atol=1e-9)


def test_the_loss_falls_and_every_row_is_there(tiny, target):
    state = invert_seeds(tiny, target, [0, 1, 2], steps=60)
    losses = state.log[:, :, 0]
    assert torch.isfinite(state.log).all()
    assert (losses[:, -1] < losses[:, 0]).all()
    assert state.last_step.tolist() == [60, 60, 60]
    assert torch.allclose(state.classes.sum(2), torch.ones(3, 61, dtype=torch.float64))
    assert (state.z.abs() <= 1.4).all()


def test_z_gets_no_longer_than_a_drawn_one_is_on_average(tiny, target):
    drawn = truncated_normal((1000, 128), 0.7, torch.Generator().manual_seed(1)).norm(dim=1).mean().item()
    lengths = {
        bound: invert_seeds(tiny, target, [0, 1], steps=40, lr=0.4, bound=bound).z[:, 1:].norm(dim=2)
        for bound in ("norm", "clamp")
    }
    assert lengths["norm"].max() == pytest.approx(drawn, rel=2e-3)
    assert lengths["clamp"].max() > 1.5 * drawn


def test_a_z_that_is_short_is_left_alone():
    z = torch.stack([torch.full((128,), 0.1), torch.full((128,), 1.3)])
    hold_within(z, "norm", 0.7, [0, 1], 0)
    assert torch.equal(z[0], torch.full((128,), 0.1))
    torch.testing.assert_close(z[1], torch.full((128,), 0.7 * 0.8796), rtol=1e-4, atol=0)


def test_rows_are_what_the_generator_received(tiny, target):
    state = invert_seeds(tiny, target, [5], steps=4)
    config = read_config(tiny / "config.json")
    weights = read_weights(tiny / "generator.safetensors", config)
    generator = load_generator(weights, config, truncation=0.7, precision="float64")
    with torch.no_grad():
        images = generator(generator.conditioning(state.z[0], state.classes[0]))
        again = build_loss(MIX, target, dtype=torch.float64)(images).total
    assert torch.allclose(again, state.log[0, :, 0], rtol=0, atol=1e-12)


def test_two_runs_give_the_same_bytes_and_a_resumed_one_too(tiny, target):
    first = invert_seeds(tiny, target, [0, 1], precision="float32", bound="resample")
    again = invert_seeds(tiny, target, [0, 1], precision="float32", bound="resample")
    assert torch.equal(first.z, again.z)

    config = read_config(tiny / "config.json")
    start, _ = sample_starts([0, 1], START, 0.7, 128, class_names(tiny / "classes.json", config))
    state = State.begin(start, 20, len(columns(MIX)))
    with pytest.raises(InterruptedError):
        invert_seeds(tiny, target, [0, 1], precision="float32", state=state, stop=7, bound="resample")
    assert state.step == 7
    resumed = invert_seeds(tiny, target, [0, 1], precision="float32", state=copy.deepcopy(state), bound="resample")
    assert torch.equal(first.z, resumed.z)
    assert torch.equal(first.classes, resumed.classes)
    assert torch.equal(first.log[..., :-1], resumed.log[..., :-1])


@pytest.mark.parametrize("broken", ["value", "gradient"])
def test_a_seed_that_is_no_longer_finite_ends_alone(tiny, target, broken):
    passes = []

    class Spoil(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):
            return images.clone()

        @staticmethod
        def backward(ctx, gradient):
            gradient = gradient.clone()
            gradient[1] = float("nan")
            return gradient

    def wrap(loss):
        def spoiled(images):
            passes.append(1)
            if len(passes) == 6:  # step 5
                if broken == "gradient":
                    return loss(Spoil.apply(images))
                images = images * torch.tensor([1.0, float("nan"), 1.0])[:, None, None, None]
            return loss(images)

        return spoiled

    state = invert_seeds(tiny, target, [0, 1, 2], wrap=wrap)
    sound = invert_seeds(tiny, target, [0, 1, 2])
    last = 4 if broken == "value" else 5
    assert state.alive.tolist() == [True, False, True]
    assert state.last_step.tolist() == [20, last, 20]
    assert torch.isfinite(state.z).all()
    assert torch.isfinite(state.log[[0, 2]]).all()
    assert (state.z[1, last:] == state.z[1, last]).all()
    assert torch.equal(state.z[1, : last + 1], sound.z[1, : last + 1])
    assert torch.equal(state.z[[0, 2]], sound.z[[0, 2]])
    assert (state.log[1, last + 1 :, 0] == state.log[1, last, 0]).all()


def test_a_fixed_class_vector_stays(tiny, target):
    state = invert_seeds(tiny, target, [0], steps=5, classes="fixed")
    assert (state.classes[0] == state.classes[0, 0]).all()
    assert not torch.equal(state.z[0, 0], state.z[0, 5])


def test_the_rate_rises_stays_and_falls():
    rates = [rate(step, 100, 0.05, 0.25) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5:75] == [1.0] * 70
    assert rates[100] == pytest.approx(0)
    assert rates[75:] == sorted(rates[75:], reverse=True)
    assert rate(3, 10, 0, 0) == 1.0


def test_starts_depend_on_the_seed_alone():
    names = [f"class {i}" for i in range(7)]
    together, _ = sample_starts([3, 4, 5], START, 0.5, 128, names)
    torch.manual_seed(99)
    alone, _ = sample_starts([4], START, 0.5, 128, names)
    assert torch.equal(together.z[1], alone.z[0])
    assert together.z.abs().max() <= 1.0
    named, _ = sample_starts([0, 1, 2], {**START, "classes": ["class 2", "class 5"]}, 0.5, 128, names)
    probabilities = torch.softmax(named.logits, 1)
    assert probabilities.argmax(1).tolist() == [2, 5, 2]
    assert torch.allclose(probabilities.max(1).values, torch.tensor(0.9))


def test_the_best_of_many_starts_is_the_nearest():
    def far(latents):
        return latents.z[:, 0]

    every = torch.cat([start(1, order, START, 1.0, 128, ["a", "b"]).z[:1] for order in range(40)])
    for count in (2, 10, 40):
        best, orders = sample_starts([1], {**START, "best_of": count}, 1.0, 128, ["a", "b"], far)
        assert best.z[0, 0] == every[:count].min() == every[orders[0]]


def test_the_truncated_normal_is_one():
    drawn = truncated_normal((200_000,), 0.5, torch.Generator().manual_seed(0)) / 0.5
    assert drawn.abs().max() <= 2
    assert drawn.std() == pytest.approx(0.8796, abs=0.005)  # of the normal cut off at +-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_is_torchs_bit_for_bit_also_when_it_is_made_anew(dtype):
    source = torch.Generator().manual_seed(0)
    mine, theirs = ([torch.ones(2, width, dtype=dtype, requires_grad=True) for width in (128, 5)] for _ in range(2))
    settings = {"betas": (0.9, 0.999), "eps": 1e-8}
    ours = Adam(mine, **settings)
    torchs = torch.optim.Adam([{"params": [one]} for one in theirs], **settings, foreach=False)
    for step in range(50):
        if step == 20:
            state = ours.state_dict()
            ours = Adam(mine, **settings)
            ours.load_state_dict(state)
        for one, other in zip(mine, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=source, dtype=dtype) * 10 ** -(step % 7)
            other.grad = one.grad.clone()
        for optimizer in (ours, torchs):
            for group, lr in zip(optimizer.param_groups, (0.2 / (step + 1), 0.05), strict=True):
                group["lr"] = lr
            optimizer.step()
        assert all(map(torch.equal, mine, theirs))
