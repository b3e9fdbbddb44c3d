"""The searches that bench/search.py compares, each for N independent runs at once.

A search is a small frozen dataclass with `cost`, the units that one run takes (an image forward and backward is one,
an image forward alone a third), `members`, the images that it asks gradients of at a time, and `search`, which returns
the best value [N] and point [N, 256] that each run saw. A run is a pure function of its seed and target, whoever runs
beside it; to rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from approach.stages import rate
from landscape import Landscape, exactly

BETAS, EPS = (0.9, 0.999), 1e-8
SQRT2 = math.sqrt(2)
LIKELY = 0.9  # probability of the class that a start is of, where it is of one
GAP = 5  # generations between two decompositions of the covariance, at least: in 128 dimensions it hardly changes
CLASSIFYING = 480  # points by which the packages' classifier is replaced


@dataclass
class Starts:
    """Random points of N runs: z [N, count, z_dim], and the class as logits and probabilities [N, count, C]."""

    z: Tensor
    logits: Tensor
    probabilities: Tensor
    labels: Tensor

    def take(self, index: Tensor) -> "Starts":
        """The points at index [N, k]."""
        parts = [part.gather(1, index[..., None].expand(-1, -1, part.shape[2])) for part in
                 (self.z, self.logits, self.probabilities)]  # fmt: skip
        return Starts(*parts, self.labels.gather(1, index))


def draw(landscape: Landscape, seeds: Sequence[int], count: int, kind: str = "mixed") -> Starts:
    """The first `count` random points of each seed, whatever count is.

    Args:
        landscape: gives sizes, truncation and device.
        seeds: N of them.
        count: points of a seed.
        kind: mixed (the softmax of normal logits, as `start=random`), or label (one class).
    """
    z_dim, classes = landscape.generator.config.z_dim, landscape.generator.config.num_classes
    drawn = torch.stack([
        torch.rand(count, z_dim + classes + 1, generator=torch.Generator().manual_seed(1_000_003 * seed + 19),
                   dtype=torch.float64)
        for seed in seeds
    ])  # fmt: skip
    uniform, choice = drawn.split([z_dim + classes, 1], dim=2)
    uniform = uniform.clamp(1e-9, 1 - 1e-9)
    z = landscape.generator.truncation * SQRT2 * torch.erfinv((2 * uniform[..., :z_dim] - 1) * math.erf(SQRT2))
    logits = SQRT2 * torch.erfinv(2 * uniform[..., z_dim:] - 1)
    labels = (choice[..., 0] * classes).long().clamp_max(classes - 1)
    probabilities = torch.softmax(logits, 2)
    if kind == "label":
        probabilities = F.one_hot(labels, classes).double()
        logits = probabilities * math.log(LIKELY * (classes - 1) / (1 - LIKELY))
    device = landscape.device
    return Starts(z.float().to(device), logits.float().to(device), probabilities.float().to(device), labels.to(device))


class Space:
    """What moves: z and the class embedding, as conditionings are; in another basis where one is given [256, 256]."""

    def __init__(self, landscape: Landscape, basis: Tensor | None = None):
        self.embedding, self.edge, self.basis = landscape.generator.embedding, landscape.edge, basis
        self.z_dim = landscape.generator.config.z_dim

    def begin(self, starts: Starts) -> Tensor:
        """Parameters [N, count, D] of starts."""
        points = torch.cat([starts.z, starts.probabilities @ self.embedding.T], 2)
        return points if self.basis is None else points @ self.basis

    def points(self, x: Tensor) -> Tensor:
        """Parameters [..., D] to conditionings [..., 256]."""
        return x if self.basis is None else x @ self.basis.T

    def pull(self, x: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of the parameters from that of the conditionings."""
        return gradient if self.basis is None else gradient @ self.basis

    def hold(self, x: Tensor) -> Tensor:
        """Bring z back within two truncations."""
        points = self.points(x)
        z, others = points.split([self.z_dim, points.shape[-1] - self.z_dim], dim=-1)
        points = torch.cat([z.clamp(-self.edge, self.edge), others], -1)
        return points if self.basis is None else points @ self.basis

    def rates(self, lr: float, ratio: float, x: Tensor) -> Tensor:
        """The learning rate [D] of each parameter: the class's is a multiple of z's."""
        rates = torch.full((x.shape[-1],), lr, device=x.device)
        if self.basis is None:
            rates[self.z_dim :] *= ratio
        return rates


class SoftmaxSpace(Space):
    """z and the class logits: the 1128 dimensions of the work."""

    def begin(self, starts: Starts) -> Tensor:
        """As of Space, with the logits as they are."""
        return torch.cat([starts.z, starts.logits], 2)

    def points(self, x: Tensor) -> Tensor:
        """Through the softmax and the embedding."""
        return torch.cat([x[..., : self.z_dim], torch.softmax(x[..., self.z_dim :], -1) @ self.embedding.T], -1)

    def pull(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Back through both."""
        shares = torch.softmax(x[..., self.z_dim :], -1)
        inner = gradient[..., self.z_dim :] @ self.embedding
        inner = shares * (inner - (shares * inner).sum(-1, keepdim=True))
        return torch.cat([gradient[..., : self.z_dim], inner], -1)

    def hold(self, x: Tensor) -> Tensor:
        """The logits are free."""
        return torch.cat([x[..., : self.z_dim].clamp(-self.edge, self.edge), x[..., self.z_dim :]], -1)


def space_of(landscape: Landscape, classes: str) -> Space:
    """softmax, embedding, or eigen: the embedding in the metric's eigenbasis."""
    if classes == "softmax":
        return SoftmaxSpace(landscape)
    return Space(landscape, eigenbasis(landscape)[1] if classes == "eigen" else None)


class Best:
    """The best that each of N runs saw."""

    def __init__(self, runs: int, width: int, device: str):
        self.value = torch.full((runs,), math.inf, device=device)
        self.point = torch.zeros(runs, width, device=device)

    def look(self, points: Tensor, values: Tensor) -> None:
        """Points [N, m, 256] and their values [N, m]; what is not finite is nobody's best."""
        least, place = torch.nan_to_num(values, nan=math.inf).min(1)
        found = points.gather(1, place[:, None, None].expand(-1, 1, points.shape[2]))[:, 0]
        better = least < self.value
        self.value = torch.where(better, least, self.value)
        self.point = torch.where(better[:, None], found, self.point)

    @property
    def result(self) -> tuple[Tensor, Tensor]:
        """Value [N] and point [N, 256]."""
        return self.value, self.point


@dataclass
class Adam:
    """Adam (Kingma and Ba 2015) on parameters x [N, m, D], all with the same number of steps behind them."""

    x: Tensor
    first: Tensor
    second: Tensor
    steps: int = 0
    betas: tuple[float, float] = BETAS

    @classmethod
    def begin(cls, x: Tensor, betas: tuple[float, float] = BETAS) -> "Adam":
        """No step was taken."""
        return cls(x, torch.zeros_like(x), torch.zeros_like(x), betas=betas)

    def step(self, gradient: Tensor, rates: Tensor) -> None:
        """One update; where a gradient is not finite nothing moves."""
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        self.steps += 1
        self.first = torch.lerp(gradient, self.first, self.betas[0])
        self.second = torch.lerp(gradient * gradient, self.second, self.betas[1])
        scale = [1 - beta**self.steps for beta in self.betas]
        self.x = self.x - rates * (self.first / scale[0]) / ((self.second / scale[1]).sqrt() + EPS)

    def keep(self, index: Tensor) -> "Adam":
        """The members at index [N, k], with their moments."""
        wide = index[..., None].expand(-1, -1, self.x.shape[2])
        moved = [part.gather(1, wide) for part in (self.x, self.first, self.second)]
        return Adam(*moved, self.steps, self.betas)


def look_at(landscape: Landscape, points: Tensor, which: Tensor) -> Tensor:
    """The objective [N, m] of points [N, m, 256] against each run's target which [N]."""
    n, m = points.shape[:2]
    return landscape.values(points.flatten(0, 1), which.repeat_interleave(m)).view(n, m)


def descend(
    landscape: Landscape, space: Space, adam: Adam, which: Tensor, rates: Tensor, factors: Sequence[float], best: Best
) -> Tensor:
    """Steps of Adam, one a factor of the learning rates [D]; returns the values [N, m] before the last one."""
    n, m = adam.x.shape[:2]
    goals = which.repeat_interleave(m)
    values = torch.zeros(n, m)
    for factor in factors:
        points = space.points(adam.x)
        values, gradient = landscape.gradients(points.flatten(0, 1), goals)
        values = values.view(n, m)
        best.look(points, values)
        adam.step(space.pull(adam.x, gradient.view(n, m, -1)), rates * factor)
        adam.x = space.hold(adam.x)
    return values


def nearest_by_l2(landscape: Landscape, starts: Starts, which: Tensor) -> Starts:
    """The one point of each run whose picture is nearest to its target, as `start.best_of` takes it."""
    points = Space(landscape).begin(starts)
    far = landscape.distances(points.flatten(0, 1), which.repeat_interleave(points.shape[1]))
    return starts.take(far.view(points.shape[:2]).topk(1, dim=1, largest=False).indices)


def nearest(landscape: Landscape, starts: Starts, which: Tensor, count: int, best: Best) -> Starts:
    """The `count` points of each run that are nearest to its target."""
    points = Space(landscape).begin(starts)
    values = look_at(landscape, points, which)
    best.look(points, values)
    return starts.take(values.topk(count, dim=1, largest=False).indices)


@dataclass(frozen=True)
class Pool:
    """Points looked at forward only, the nearest kept, then stages of Adam that drop members: successive halving.

    One stage of one member with a pool of one is plain gradient descent. Stages are (members, steps). The nearest are
    so by the objective; with by_l2 the one nearest by L2 is kept.
    """

    pool: int
    stages: tuple[tuple[int, int], ...]
    lr: float = 0.1
    ratio: float = 1.0
    classes: str = "embedding"
    carry: bool = True
    warmup: float = 0.03
    decay: float = 0.4
    start: str = "mixed"
    by_l2: bool = False
    betas: tuple[float, float] = BETAS

    @property
    def cost(self) -> float:
        """Units of one run."""
        looked_at = self.pool / 3 if self.pool > self.members else 0
        return looked_at + sum(members * steps for members, steps in self.stages)

    @property
    def members(self) -> int:
        """Of the first stage."""
        return self.stages[0][0]

    def search(self, landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The best value [N] and point [N, 256] of runs towards targets which [N]."""
        space = space_of(landscape, self.classes)
        best = Best(len(seeds), 2 * space.z_dim, landscape.device)
        starts = draw(landscape, seeds, self.pool, self.start)
        if self.by_l2:
            starts = nearest_by_l2(landscape, starts, which)
        elif self.pool > self.members:
            starts = nearest(landscape, starts, which, self.members, best)
        adam = Adam.begin(space.begin(starts), self.betas)
        rates = space.rates(self.lr, self.ratio, adam.x)
        total = sum(steps for _, steps in self.stages)
        factors = [rate(step, total, self.warmup, self.decay) for step in range(total)]
        values, done = None, 0
        for members, steps in self.stages:
            if members < adam.x.shape[1]:
                values = torch.nan_to_num(values, nan=math.inf)
                adam = adam.keep(values.topk(members, dim=1, largest=False).indices)
            if not self.carry:
                adam = Adam.begin(adam.x, self.betas)
            values = descend(landscape, space, adam, which, rates, factors[done : done + steps], best)
            done += steps
        return best.result


def plain(steps: int = 300, *, pick: int = 1, **changes) -> Pool:
    """Gradient descent from one start, or from the nearest of `pick`.

    The rate is 0.05 unless changed, the default until 26 November 2026.
    """
    defaults = {"lr": 0.05, "classes": "softmax", "warmup": 0.05, "decay": 0.25}
    return Pool(pool=pick, stages=((1, steps),), **{**defaults, **changes})


def classify(landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> Tensor:
    """A class [N] for each target, in the place of the packages' classifier: that of the nearest of many points."""
    starts = draw(landscape, [seed + 500_000_000 for seed in seeds], CLASSIFYING, "label")
    best = Best(len(seeds), 2 * starts.z.shape[2], landscape.device)
    return nearest(landscape, starts, which, 1, best).labels[:, 0]


def of_class(landscape: Landscape, labels: Tensor, z: Tensor) -> Tensor:
    """Conditionings [N, m, 256] of z [N, m, z_dim], with the embedding of the classes [N]."""
    embedded = landscape.generator.embedding.T[labels]
    return torch.cat([z, embedded[:, None].expand(-1, z.shape[1], -1)], 2)


@dataclass(frozen=True)
class PublishedAdam:
    """pix2latent's Adam (Huh et al. 2020): z at 0.05, the class embedding at 0.01, constant, 500 steps."""

    steps: int = 500
    lr: float = 0.05
    class_lr: float = 0.01
    members: int = 1

    @property
    def cost(self) -> float:
        """Units of one run; its classifier costs none."""
        return self.steps

    def search(self, landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """As Pool.search."""
        space = Space(landscape)
        best = Best(len(seeds), 2 * space.z_dim, landscape.device)
        z = draw(landscape, seeds, 1).z
        adam = Adam.begin(of_class(landscape, classify(landscape, which, seeds), z))
        rates = space.rates(self.lr, self.class_lr / self.lr, adam.x)
        descend(landscape, space, adam, which, rates, [1.0] * self.steps, best)
        return best.result


class Evolution:
    """CMA-ES for N runs at once, with the defaults of Hansen's tutorial (arXiv 1604.00772, active variant)."""

    def __init__(self, mean: Tensor, sigma: float, seeds: Sequence[int]):
        runs, n = mean.shape
        self.mean, self.n = mean, n
        self.sigma = torch.full((runs,), sigma, device=mean.device)
        self.randoms = [torch.Generator().manual_seed(104_729 * seed + 7) for seed in seeds]
        self.population = 4 + int(3 * math.log(n))
        raw = [math.log((self.population + 1) / 2) - math.log(rank) for rank in range(1, self.population + 1)]
        above = [weight for weight in raw if weight > 0][: self.population // 2]
        below = [weight for weight in raw[len(above) :] if weight < 0]
        self.mueff = sum(above) ** 2 / sum(weight**2 for weight in above)
        mueff_below = sum(below) ** 2 / sum(weight**2 for weight in below)
        self.c_path = (4 + self.mueff / n) / (n + 4 + 2 * self.mueff / n)
        self.c_sigma = (self.mueff + 2) / (n + self.mueff + 5)
        self.c_one = 2 / ((n + 1.3) ** 2 + self.mueff)
        self.c_mu = min(1 - self.c_one, 2 * (0.25 + self.mueff + 1 / self.mueff - 2) / ((n + 2) ** 2 + self.mueff))
        self.damping = 1 + 2 * max(0.0, math.sqrt((self.mueff - 1) / (n + 1)) - 1) + self.c_sigma
        most = min(1 + self.c_one / self.c_mu, 1 + 2 * mueff_below / (self.mueff + 2),
                   (1 - self.c_one - self.c_mu) / (n * self.c_mu))  # fmt: skip
        weights = [weight / sum(above) for weight in above]
        weights += [0.0] * (self.population - len(above) - len(below))
        weights += [most * weight / -sum(below) for weight in below]
        self.weights = torch.tensor(weights, device=mean.device)
        self.expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self.path, self.path_sigma = torch.zeros_like(mean), torch.zeros_like(mean)
        self.covariance = torch.eye(n, device=mean.device).expand(runs, n, n).clone()
        self.axes, self.lengths = self.covariance.clone(), torch.ones_like(mean)
        self.gap = max(GAP, int(1 / (10 * n * (self.c_one + self.c_mu))))
        self.generation = 0

    def ask(self) -> Tensor:
        """Points [N, population, n]."""
        drawn = torch.stack([torch.randn(self.population, self.n, generator=random) for random in self.randoms])
        shaped = (drawn.to(self.mean.device) * self.lengths[:, None]) @ self.axes.mT
        return self.mean[:, None] + self.sigma[:, None, None] * shaped

    def tell(self, points: Tensor, values: Tensor) -> None:
        """What the points were worth, [N, population]; the smaller the better."""
        order = torch.nan_to_num(values, nan=math.inf).argsort(dim=1, stable=True)
        steps = (points - self.mean[:, None]) / self.sigma[:, None, None]
        steps = steps.gather(1, order[..., None].expand_as(steps))
        above = self.weights.clamp_min(0)
        mean_step = (above[:, None] * steps).sum(1)
        self.mean = self.mean + self.sigma[:, None] * mean_step
        self.generation += 1
        whitened = ((mean_step[:, None] @ self.axes) / self.lengths[:, None] @ self.axes.mT)[:, 0]
        pull = math.sqrt(self.c_sigma * (2 - self.c_sigma) * self.mueff)
        self.path_sigma = (1 - self.c_sigma) * self.path_sigma + pull * whitened
        length = self.path_sigma.norm(dim=1)
        settled = math.sqrt(1 - (1 - self.c_sigma) ** (2 * self.generation))
        stalled = (length / settled < (1.4 + 2 / (self.n + 1)) * self.expected).float()[:, None]
        pull = math.sqrt(self.c_path * (2 - self.c_path) * self.mueff)
        self.path = (1 - self.c_path) * self.path + stalled * pull * mean_step
        inner = (steps @ self.axes) / self.lengths[:, None]
        shorter = self.n / inner.square().sum(2).clamp_min(1e-12)
        weights = torch.where(self.weights < 0, self.weights * shorter, self.weights)
        rank_mu = (steps * weights[..., None]).mT @ steps
        lost = (1 - stalled[:, :, None]) * self.c_path * (2 - self.c_path)
        self.covariance = (
            (1 + self.c_one * lost - self.c_one - self.c_mu * self.weights.sum()) * self.covariance
            + self.c_one * self.path[:, :, None] * self.path[:, None]
            + self.c_mu * rank_mu
        )
        self.sigma = self.sigma * torch.exp(
            (self.c_sigma / self.damping) * (length / self.expected - 1)
        ).clamp_max(math.e)  # fmt: skip
        if self.generation % self.gap == 0:
            squares, self.axes = torch.linalg.eigh(self.covariance)
            self.lengths = squares.clamp_min(1e-14).sqrt()


@dataclass(frozen=True)
class BasinCMA:
    """pix2latent's BasinCMA (Huh et al. 2020): CMA proposes z, a few steps of Adam say what a proposal is worth.

    Published: 30 rounds of 30 steps, then 300 steps from a last population. No steps a round is pix2latent's CMA, of
    200 rounds. The class embedding begins anew at the class's in each round. Its z is kept within two truncations,
    and not normalised to a deviation of 1, which the study generator's own z does not have.
    """

    rounds: int = 30
    steps: int = 30
    last: int = 300
    lr: float = 0.05
    class_lr: float = 0.01
    sigma: float = 1.0
    members: int = 18  # what CMA asks for in 128 dimensions

    @property
    def cost(self) -> float:
        """Units of one run; its classifier costs none."""
        return self.members * (self.rounds * (self.steps + 1 / 3) + self.last)

    def search(self, landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """As Pool.search."""
        space = Space(landscape)
        best = Best(len(seeds), 2 * space.z_dim, landscape.device)
        labels = classify(landscape, which, seeds)
        evolution = Evolution(torch.zeros(len(seeds), space.z_dim, device=landscape.device), self.sigma, seeds)
        assert evolution.population == self.members
        for _ in range(self.rounds):
            asked = evolution.ask()
            points = space.hold(of_class(landscape, labels, asked))
            if self.steps:
                points = space.points(self.refine(landscape, space, points, which, self.steps, best).x)
            values = look_at(landscape, points, which)
            best.look(points, values)
            evolution.tell(asked, values)
        self.refine(landscape, space, space.hold(of_class(landscape, labels, evolution.ask())), which, self.last, best)
        return best.result

    def refine(self, landscape: Landscape, space: Space, points: Tensor, which: Tensor, steps: int, best: Best) -> Adam:
        """Adam anew from points [N, m, 256], at constant rates."""
        adam = Adam.begin(points)
        rates = space.rates(self.lr, self.class_lr / self.lr, adam.x)
        descend(landscape, space, adam, which, rates, [1.0] * steps, best)
        return adam


@dataclass(frozen=True)
class EigenCMA:
    """CMA along the metric's longest axes, then Adam in its eigenbasis: after Wang and Ponce (ICLR 2021).

    80 rounds of CMA from a random point, 400 steps from the best four points of the last round, the rate halved after
    200, are what their code does with BigGAN. Theirs evolves all 256 coordinates, z's and the class's apart.
    """

    rounds: int = 80
    steps: int = 400
    axes: int = 64
    members: int = 4
    lr: float = 0.05
    sigma: float = 0.4
    population: int = 16  # what CMA asks for in 64 dimensions

    @property
    def cost(self) -> float:
        """Units of one run; the metric, computed once a generator, costs none."""
        return self.population * self.rounds / 3 + self.members * self.steps

    def search(self, landscape: Landscape, which: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """As Pool.search."""
        _, basis = eigenbasis(landscape)
        space, plain_space = Space(landscape, basis), Space(landscape)
        best = Best(len(seeds), 2 * space.z_dim, landscape.device)
        centre = plain_space.begin(draw(landscape, seeds, 1))
        evolution = Evolution(torch.zeros(len(seeds), self.axes, device=landscape.device), self.sigma, seeds)
        points = values = centre
        for _ in range(self.rounds):
            asked = evolution.ask()
            points = plain_space.hold(centre + asked @ basis[:, : self.axes].T)
            values = look_at(landscape, points, which)
            best.look(points, values)
            evolution.tell(asked, values)
        chosen = values.topk(self.members, dim=1, largest=False).indices
        points = points.gather(1, chosen[..., None].expand(-1, -1, points.shape[2]))
        adam = Adam.begin(points @ basis)
        factors = [0.5 ** (step // 200) for step in range(self.steps)]
        descend(landscape, space, adam, which, space.rates(self.lr, 1.0, adam.x), factors, best)
        return best.result


_BASES: dict[int, tuple[Tensor, Tensor]] = {}
METRIC_POINTS = {"cpu": 8, "cuda": 64}


def eigenbasis(landscape: Landscape) -> tuple[Tensor, Tensor]:
    """Eigenvalues [256], the largest first, and eigenvectors (columns) of the averaged pull-back metric of LPIPS.

    The Hessian of LPIPS(G(y0), G(y)) at y0, by central differences of its gradient, averaged over random points.
    """
    key = id(landscape.generator)
    if key not in _BASES:
        with exactly(landscape):  # TF32's ten bits are too few for differences
            _BASES[key] = _eigenbasis(landscape)
    return _BASES[key]


def _eigenbasis(landscape: Landscape, step: float = 0.02) -> tuple[Tensor, Tensor]:
    generator, perceptual = landscape.generator, landscape.perceptual
    count = METRIC_POINTS["cuda" if landscape.device.startswith("cuda") else "cpu"]
    points = Space(landscape).begin(draw(landscape, [271_828], count, "label"))[0]
    width = points.shape[1]
    directions = torch.eye(width, device=points.device)
    hessian = torch.zeros(width, width, device=points.device)
    for point in points:
        with torch.no_grad():
            goal = perceptual.features(generator(point[None]))
        sides = []
        for sign in (1, -1):
            parts = []
            for some in (point + sign * step * directions).split(landscape.chunk):
                leaf = some.detach().requires_grad_()
                distance = perceptual.distance(generator(leaf), goal)
                parts.append(torch.autograd.grad(distance.sum(), leaf)[0])
            sides.append(torch.cat(parts))
        hessian += (sides[0] - sides[1]) / (2 * step)
    hessian = (hessian + hessian.T) / (2 * len(points))
    values, vectors = torch.linalg.eigh(hessian.double())
    return values.flip(0).float(), vectors.flip(1).float()
