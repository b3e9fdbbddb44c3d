"""The world that the study's generator is trained on: procedural pictures, painted in batches.

Sixteen kinds of picture, eight places and eight things, each varied in light, weather, time of day, colour, viewpoint,
place and size. A picture is composed as a landscape painter would: sky, distance, ground, thing, air; every element is
a function of the pixel coordinates, evaluated for the whole batch at once at twice the size and averaged down.

There is no painting in it, no person, no sea of fog and no figure on a rock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

CLASSES = [
    "shore",
    "desert",
    "forest",
    "lake",
    "field",
    "city at night",
    "snow",
    "road",
    "sailing boat",
    "lighthouse",
    "balloon",
    "tree",
    "tower",
    "mushroom",
    "lamp",
    "shell",
]
SUPERSAMPLING = 2
LATENTS = 128  # the size of z: a picture is decided by the numbers that the generator will see

# zenith, horizon, light of the sun (or moon), light of the sky; display values, not linear light.
PALETTES = torch.tensor(
    [
        [[0.25, 0.48, 0.80], [0.72, 0.84, 0.93], [0.62, 0.58, 0.50], [0.42, 0.48, 0.56]],  # clear day
        [[0.42, 0.60, 0.82], [0.95, 0.86, 0.74], [0.66, 0.56, 0.40], [0.40, 0.42, 0.48]],  # morning
        [[0.28, 0.30, 0.52], [0.98, 0.64, 0.36], [0.72, 0.42, 0.20], [0.34, 0.28, 0.34]],  # sunset
        [[0.16, 0.17, 0.36], [0.78, 0.50, 0.55], [0.55, 0.33, 0.30], [0.26, 0.24, 0.36]],  # dusk
        [[0.58, 0.62, 0.67], [0.82, 0.84, 0.85], [0.26, 0.26, 0.25], [0.54, 0.56, 0.58]],  # overcast
        [[0.25, 0.29, 0.35], [0.64, 0.67, 0.67], [0.36, 0.35, 0.31], [0.35, 0.38, 0.42]],  # storm
        [[0.06, 0.11, 0.26], [0.38, 0.48, 0.66], [0.24, 0.28, 0.38], [0.18, 0.23, 0.36]],  # blue hour
        [[0.03, 0.05, 0.12], [0.14, 0.20, 0.32], [0.28, 0.33, 0.42], [0.09, 0.12, 0.19]],  # moonlight
    ]
)
DAY = [5, 5, 4, 2, 3, 3, 2, 1]
EVENING = [0, 0, 1, 4, 0, 0, 4, 4]


def smooth(low: Tensor | float, high: Tensor | float, x: Tensor) -> Tensor:
    """The cubic step from 0 at `low` to 1 at `high`."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def normal(generator: torch.Generator, n: int, size: int, truncation: float = 1.0) -> Tensor:
    """z [n, size] from the normal cut at two deviations, times the truncation: what the package's sampler draws."""
    low = torch.special.ndtr(torch.tensor(-2.0, dtype=torch.float64))
    p = low + (1 - 2 * low) * torch.rand(n, size, generator=generator, dtype=torch.float64)
    return (torch.special.ndtri(p) * truncation).float()


def mix(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """`a` where t is 0, `b` where t is 1."""
    return torch.lerp(a, b, t)


@cache
def widening(cells: int, size: int) -> Tensor:
    """The matrix [size, cells] that enlarges a line of lattice points bicubically, as F.interpolate does."""
    return F.interpolate(torch.eye(cells).view(1, 1, cells, cells), size=(size, cells), mode="bicubic")[0, 0]


def colour(*rgb: float) -> Tensor:
    """A colour that broadcasts over a batch of images."""
    return torch.tensor(rgb).view(1, 3, 1, 1)


class Scene:
    """A batch of pictures in the making: coordinates, dice and light. x runs right, y runs down, both -1 to 1."""

    def __init__(self, latents: Tensor, size: int, generator: torch.Generator, hours: list[int] = DAY):
        n = len(latents)
        self.n, self.size, self.generator = n, size, generator
        self.latents, self.drawn = latents, 0
        self.pixel = 2.0 / size
        ticks = (torch.arange(size) + 0.5) * self.pixel - 1
        self.x, self.y = ticks.view(1, 1, size), ticks.view(1, size, 1)
        usual = torch.tensor(hours)
        first, second = (self.on_path(PALETTES[usual > 0], usual[usual > 0]) for _ in range(2))
        blend = self.u(0.0, 0.4)
        jitter = 1 + 0.09 * self.draw(4).unsqueeze(2) + 0.03 * self.dice(n, 4, 3)
        palette = mix(first, second, blend) * jitter.clamp(0.6, 1.4)
        self.zenith, self.horizon, self.sun, self.ambient = palette.view(n, 4, 3, 1, 1).unbind(1)
        self.sun_x = self.u(-1.1, 1.1)
        self.sun_height = self.u(0.1, 1.0)
        side = self.sun_x / 1.1
        length = (side**2 + 0.3 + self.sun_height**2).sqrt()
        self.light = (side / length, self.sun_height / length, math.sqrt(0.3) / length)
        self.image = torch.zeros(n, 3, size, size)

    def dice(self, *shape: int) -> Tensor:
        """Normal numbers from the scene's own generator: what no latent decides, such as the grain of a texture."""
        return torch.randn(*shape, generator=self.generator)

    def draw(self, count: int) -> Tensor:
        """The next latents, [n, count]; dice when they are used up."""
        taken = self.latents[:, self.drawn : self.drawn + count]
        self.drawn += count
        return torch.cat([taken, self.dice(self.n, count - taken.shape[1])], 1) if taken.shape[1] < count else taken

    def u(self, low: float, high: float) -> Tensor:
        """One uniform number per picture, [n, 1, 1], from the next latent (a normal cut at two deviations)."""
        tail = 0.02275013
        p = ((torch.special.ndtr(self.draw(1)) - tail) / (1 - 2 * tail)).clamp(0, 1)
        return (low + (high - low) * p).view(self.n, 1, 1)

    def chance(self, p: float) -> Tensor:
        """How much of something is there that about p of the pictures have, [n, 1, 1], in [0, 1].

        In most pictures all or nothing; between them a ramp, since a generator cannot learn a leap.
        """
        return smooth(p + 0.1, p - 0.1, self.u(0, 1))

    def on_path(self, stations: Tensor, shares: Tensor) -> Tensor:
        """Points on the line from station to station, [n, ...] of stations [k, ...], where the next latent says.

        A station's share [k] of the line is what lies around it. A choice would be simpler, but a small change of a
        latent ought to change a picture a little.
        """
        ends = shares.float().cumsum(0)
        middles = ends - shares / 2
        at = self.u(0, ends[-1].item()).flatten()
        after = torch.searchsorted(middles, at).clamp(1, len(stations) - 1)  # the last, where it is the only one
        before = (after - 1).clamp(min=0)
        t = (at - middles[before]) / (middles[after] - middles[before]).clamp(min=1e-6)
        return mix(stations[before], stations[after], t.clamp(0, 1).view(-1, *[1] * (stations.dim() - 1)))

    def tint(self, *options: tuple[float, float, float], spread: float = 0.12) -> Tensor:
        """A colour per picture near the line from option to option, [n, 3, 1, 1]."""
        colours = self.on_path(torch.tensor(options), torch.ones(len(options)))
        jitter = 1 + spread * self.draw(1) + 0.3 * spread * self.dice(self.n, 3)
        return (colours * jitter).clamp(0.01, 1).view(self.n, 3, 1, 1)

    def noise(self, cells: tuple[int, int], octaves: int, gain: float = 0.55, drawn: bool = False) -> Tensor:
        """Fractal noise of about zero mean and unit deviation, [n, size, size]; `cells` is the coarsest lattice."""
        coarse = self.draw(cells[0] * cells[1]) if drawn else self.dice(self.n, cells[0] * cells[1])
        field, amplitude, power = coarse.view(self.n, 1, *cells), 1.0, 1.0
        for _ in range(octaves - 1):
            field = F.interpolate(field, scale_factor=2, mode="bilinear", align_corners=False)
            amplitude *= gain
            power += amplitude**2
            field = field + amplitude * self.dice(*field.shape)
        height, width = field.shape[2:]
        field = widening(height, self.size) @ field[:, 0] @ widening(width, self.size).t()
        return field / (0.8 * math.sqrt(power))

    def slope(self, cells: tuple[int, int], octaves: int = 2) -> Tensor:
        """The sideways slope of soft relief, [n, size, size], of about unit deviation."""
        relief = torch.zeros(self.n, self.size, self.size)
        for octave in range(octaves):
            height, width = cells[0] * 2**octave + 3, cells[1] * 2**octave + 3
            lattice = self.dice(self.n, height, width)
            across = widening(width, self.size + 2)
            difference = across[2:] - across[:-2]
            relief = relief + 0.45**octave * (widening(height, self.size) @ lattice @ difference.t())
        return relief * (self.size / (cells[1] + 3)) * 0.2

    def profile(self, cells: int, octaves: int, gain: float = 0.5) -> Tensor:
        """A fractal line, [n, 1, size]: the outline of a ridge."""
        line, amplitude = self.draw(cells).unsqueeze(1), 1.0
        for _ in range(octaves - 1):
            line = F.interpolate(line, scale_factor=2, mode="linear", align_corners=True)
            amplitude *= gain
            line = line + amplitude * self.dice(*line.shape)
        return F.interpolate(line, size=self.size, mode="linear", align_corners=True)

    def lay(self, paint: Tensor, alpha: Tensor) -> None:
        """Paint [n, 3, ...] over the image through alpha [n, size, size]."""
        self.image = mix(self.image, paint, alpha.unsqueeze(1))

    def edge(self, inside: Tensor, soft: float = 1.0) -> Tensor:
        """Coverage of a shape from its signed distance (positive inside), with an edge `soft` pixels wide."""
        return (inside / (self.pixel * soft) + 0.5).clamp(0, 1)

    def lit(self, albedo: Tensor, nx: Tensor, ny: Tensor, nz: Tensor) -> Tensor:
        """Albedo under sun and sky, for normals that point right, up and towards the viewer."""
        direct = (nx * self.light[0] + ny * self.light[1] + nz * self.light[2]).clamp(min=0)
        sky = 0.75 + 0.25 * ny
        return albedo * (self.ambient * 1.15 * sky.unsqueeze(1) + self.sun * 1.5 * direct.unsqueeze(1))


def paint_sky(s: Scene, horizon: Tensor, cloudiness: float = 0.6) -> None:
    """A graded sky with the glow of the sun or moon and lit clouds that flatten towards the horizon."""
    up = ((horizon - s.y) / (horizon + 1)).clamp(0, 1)
    s.image = mix(s.horizon, s.zenith, (up ** s.u(0.5, 1.1)).unsqueeze(1)).expand(s.n, 3, s.size, s.size)
    sun_y = horizon - 0.1 - s.sun_height * 1.1
    d2 = (s.x - s.sun_x) ** 2 + (s.y - sun_y) ** 2
    glow = torch.exp(-d2 / s.u(0.1, 0.6)) * s.u(0.1, 0.6)
    s.image = (s.image + (s.sun * 0.8 + 0.1) * glow.unsqueeze(1)).clamp(max=1.05)
    disc = s.edge(s.u(0.05, 0.11) - d2.sqrt(), 2.0) * s.chance(0.4)
    s.lay((s.horizon * 0.3 + s.sun + 0.45).clamp(max=1), disc)
    field = s.noise((3, 2), 6, 0.58, drawn=True)
    shade = field - F.pad(field, (0, 0, 4, 0), mode="replicate")[:, :-4]
    cover = s.u(-0.9, 1.8)
    alpha = smooth(cover, cover + s.u(0.5, 1.4), field + 0.5 * (1 - up)) * smooth(0.0, 0.35, up + 0.1)
    body = mix(
        s.ambient * 1.1 + s.horizon * 0.25,
        s.horizon * 0.55 + s.sun * 0.75,
        (0.5 + 0.5 * shade).clamp(0, 1).unsqueeze(1),
    )
    s.lay(body.clamp(max=1), alpha * s.chance(cloudiness) * s.u(0.4, 0.95))


def paint_ridges(
    s: Scene, horizon: Tensor, layers: int, height: float, albedo: Tensor, snow: Tensor | None = None
) -> None:
    """Ridges behind one another, each nearer one lower, darker and less veiled by air."""
    veil = s.u(0.35, 0.85)
    relief = s.noise((5, 6), 5, 0.75)
    for layer in range(layers):
        near = (layer + 1) / layers
        line = s.profile(3 + layer, 6, 0.48)
        top = horizon - s.u(0.3, 1.0) * height * (1.15 - near) * (0.75 + 0.45 * line) + 0.02
        alpha = s.edge(s.y - top) * s.edge(horizon + 0.03 - s.y)
        slope = s.slope((3 + 2 * layer, 5 + 3 * layer)) * 0.7 + 0.3 * relief
        face = s.lit(albedo, slope, torch.full_like(slope, 0.45), torch.full_like(slope, 0.5))
        if snow is not None:
            white = s.lit(colour(0.93, 0.95, 1.0), slope, torch.full_like(slope, 0.7), torch.full_like(slope, 0.5))
            cap = smooth(0.0, 0.12, top + height * s.u(0.1, 0.6) * (0.6 + 0.4 * relief) - s.y) * snow
            face = mix(face, white, cap.unsqueeze(1))
        distance = veil * (1 - near * 0.85) + 0.25 * smooth(horizon - 0.4, horizon, s.y) * veil
        s.lay(mix(face, s.horizon * 0.95, distance.clamp(0, 1).unsqueeze(1)), alpha)


def perspective(s: Scene, horizon: Tensor, texture: Tensor, stretch: float = 0.6) -> Tensor:
    """A texture [n, size, size] laid on the ground below the horizon and seen in perspective."""
    distance = 1.0 / ((s.y - horizon).clamp(min=0.02) + 0.06)
    across = s.x * distance * 0.28
    along = (distance * stretch * 0.5).expand_as(across)
    grid = torch.stack([across, along], dim=-1)
    return F.grid_sample(texture.unsqueeze(1), grid, padding_mode="reflection", align_corners=False)[:, 0]


def paint_ground(
    s: Scene, horizon: Tensor, dark: Tensor, bright: Tensor, rough: float = 0.8, veil: float = 0.5
) -> Tensor:
    """Ground from the horizon down, textured and lit; returns its coverage."""
    texture = perspective(s, horizon, s.noise((8, 8), 5, 0.75))
    broad = s.noise((3, 2), 3)
    albedo = mix(dark, bright, (0.5 + 0.3 * rough * texture + 0.18 * broad).clamp(0, 1).unsqueeze(1))
    face = s.lit(albedo, 0.25 * rough * texture, torch.full_like(texture, 0.85), torch.full_like(texture, 0.2))
    alpha = s.edge(s.y - horizon)
    air = torch.exp(-(s.y - horizon).clamp(min=0) * 5) * veil * s.u(0.3, 1.2)
    s.lay(mix(face, s.horizon * 0.9, air.clamp(0, 0.9).unsqueeze(1)), alpha)
    return alpha


def paint_water(s: Scene, horizon: Tensor, calm: Tensor | float, body: Tensor) -> None:
    """Water from the horizon down: what stands above it mirrored and broken by ripples, and the glitter of the sun."""
    depth = (s.y - horizon).clamp(min=0)
    ripple = perspective(s, horizon, s.noise((16, 4), 5, 0.8), 2.2)
    mirrored = 2 * horizon - s.y + ripple * depth * (0.5 - 0.42 * calm)
    sideways = s.x + ripple * 0.06 * (1 - calm) * (0.2 + depth)
    grid = torch.stack(torch.broadcast_tensors(sideways, mirrored), dim=-1)
    mirror = F.grid_sample(s.image, grid, padding_mode="reflection", align_corners=False)
    fresnel = (0.35 + 0.6 * torch.exp(-depth * 1.6)) * (0.55 + 0.45 * calm)
    deep = body * (s.ambient * 1.2 + s.sun * 0.5)
    face = mix(deep * (1 + 0.35 * ripple * (1 - calm)).unsqueeze(1), mirror * 0.93, fresnel.clamp(0, 1).unsqueeze(1))
    path = torch.exp(-(((s.x - s.sun_x) / (0.12 + 0.35 * depth)) ** 2)) * smooth(0.2, 1.4, ripple + 0.3)
    face = face + (s.sun * s.u(0.2, 1.0).unsqueeze(1)) * path.unsqueeze(1)
    s.lay(face, s.edge(s.y - horizon))


def shadow(s: Scene, cx: Tensor, cy: Tensor, rx: Tensor, ry: Tensor, strength: float = 0.5) -> None:
    """A soft shadow on the ground, stretched away from the sun."""
    away = -s.light[0] * rx * 1.2
    d = ((s.x - cx - away * 0.7) / (rx * 1.4)) ** 2 + ((s.y - cy) / ry) ** 2
    s.image = s.image * (1 - strength * torch.exp(-d * 1.2)).unsqueeze(1)


def columns(s: Scene, cx: Tensor, half: Tensor, albedo: Tensor, rough: Tensor | float = 0.0) -> Tensor:
    """The shaded side of a round column of half width `half` about cx."""
    nx = ((s.x - cx) / half).clamp(-1, 1)
    nz = (1 - nx**2).clamp(min=0).sqrt()
    return s.lit(albedo, nx + rough, torch.full_like(nx, 0.12), nz)


def conifer(s: Scene, cx: Tensor, base: Tensor, height: Tensor, fringe: Tensor) -> Tensor:
    """Coverage of a spruce with a ragged, tiered outline."""
    down = (s.y - (base - height)) / height
    tiers = 0.72 + 0.28 * ((down * 6.0) % 1.0)
    half = height * 0.24 * down.clamp(min=0) * tiers * (1 + 0.3 * fringe)
    crown = s.edge(half - (s.x - cx).abs()) * s.edge(base - s.y) * (down > 0)
    trunk = s.edge(height * 0.025 - (s.x - cx).abs()) * s.edge(base + 0.05 * height - s.y) * (down > 0.8)
    return torch.maximum(crown, trunk)


def paint_conifers(
    s: Scene, base: Tensor, count: int, height: tuple[float, float], albedo: Tensor, veil: Tensor | float
) -> None:
    """A stand of spruces along a base line."""
    fringe = s.noise((16, 16), 3, 0.8)
    cover = torch.zeros(s.n, s.size, s.size)
    for _ in range(count):
        tall = s.u(*height)
        cover = torch.maximum(cover, conifer(s, s.u(-1.1, 1.1), base + s.u(-0.03, 0.03), tall, fringe))
    face = s.lit(
        albedo * (0.75 + 0.35 * fringe).clamp(0.2, 1.5).unsqueeze(1),
        0.6 * fringe,
        0.3 + 0.2 * fringe,
        torch.full_like(fringe, 0.6),
    )
    s.lay(mix(face, s.horizon * 0.9, veil), cover)


def sand(s: Scene) -> Tensor:
    """The colour of sand."""
    return s.tint((0.86, 0.74, 0.56), (0.80, 0.70, 0.58), (0.90, 0.78, 0.62), (0.72, 0.60, 0.46))


def grass(s: Scene) -> Tensor:
    """The colour of grass, from spring to late summer."""
    return s.tint((0.30, 0.44, 0.20), (0.46, 0.55, 0.24), (0.64, 0.54, 0.28))


def stone(s: Scene) -> Tensor:
    """The colour of stone."""
    return s.tint((0.58, 0.54, 0.48), (0.48, 0.46, 0.45), (0.64, 0.56, 0.44), (0.52, 0.42, 0.36))


def sea(s: Scene) -> Tensor:
    """The colour of deep water."""
    return s.tint((0.10, 0.32, 0.42), (0.12, 0.26, 0.38), (0.16, 0.36, 0.36), (0.14, 0.22, 0.28))


def distance(s: Scene, horizon: Tensor, height: float = 0.35, layers: int = 2) -> None:
    """Far hills, in most pictures."""
    paint_ridges(
        s, horizon, layers, height, s.tint((0.34, 0.38, 0.28), (0.38, 0.36, 0.40), (0.45, 0.38, 0.30)), s.chance(0.2)
    )


def paint_shore(s: Scene) -> None:
    """A beach: sky, sea with breakers, a curved waterline, wet and dry sand."""
    horizon = s.u(-0.35, 0.1)
    paint_sky(s, horizon)
    headland = s.chance(0.45)
    before = s.image
    distance(s, horizon, 0.25)
    s.image = mix(before, s.image, headland.unsqueeze(1))
    paint_water(s, horizon, s.u(0.0, 0.5), sea(s))
    slope, bend = s.u(-0.35, 0.35), s.profile(2, 4, 0.4) * 0.05
    line = s.u(0.2, 0.6) + slope * s.x + bend
    for k in range(3):
        crest = mix(horizon, line, 0.45 + 0.18 * k) + 0.02 * s.profile(4, 5, 0.5)
        d = (s.y - crest) / (0.02 + 0.02 * k)
        foam = torch.exp(-(d**2)) * smooth(-0.3, 0.9, s.profile(3, 4) + 0.2)
        s.lay((s.ambient + s.sun * 0.9 + 0.05).clamp(max=1), foam * s.u(0.2, 0.9))
    texture = perspective(s, horizon, s.noise((8, 8), 5, 0.8))
    dry = sand(s)
    wet = smooth(0.0, 0.35, s.y - line)
    albedo = mix(dry * 0.62, dry, wet.unsqueeze(1)) * (1 + 0.07 * texture).unsqueeze(1)
    face = s.lit(albedo, 0.12 * texture, torch.full_like(texture, 0.85), torch.full_like(texture, 0.2))
    face = face + (s.horizon * 0.25) * (1 - wet).unsqueeze(1)
    s.lay(face, s.edge(s.y - line, 2))
    d = (s.y - line) / 0.025
    s.lay((s.ambient + s.sun + 0.08).clamp(max=1), torch.exp(-(d**2)) * smooth(-1.2, 0.5, s.noise((8, 16), 3)) * 0.85)


def paint_desert(s: Scene) -> None:
    """Dunes with knife-edge crests, a bright and a shadowed face, wind ripples."""
    horizon = s.u(-0.3, 0.2)
    paint_sky(s, horizon, 0.3)
    base = s.tint((0.82, 0.76, 0.66), (0.86, 0.70, 0.48), (0.84, 0.62, 0.38), (0.80, 0.54, 0.32), (0.70, 0.44, 0.30))
    count = 5
    phase = s.u(0, 6.28)
    for k in range(count):
        near = k / (count - 1)
        line = s.profile(2, 3, 0.35)
        top = (
            mix(horizon, torch.full_like(horizon, 0.75), near**1.3) - (0.08 + 0.22 * near) * line * s.u(0.5, 1.2) - 0.05
        )
        below = (s.y - top).clamp(min=0)
        crest = s.profile(3, 3, 0.4) * 0.5 + s.u(-0.6, 0.6)
        lean = s.u(-0.8, 0.8)
        side = (s.x - crest - lean * below * 2.0 - 0.12 * torch.sin(below * 9 + phase)) / (0.03 + 0.1 * below)
        facing = torch.tanh(side)
        ripple = torch.sin((below * (26 - 14 * near) + 0.6 * line + 0.25 * s.x) * 6.0) * 0.10 * near
        grain = s.noise((8, 4), 5, 0.7)
        n_x = facing * (0.35 + 0.5 * torch.exp(-below * 3)) + ripple + 0.25 * s.slope((2, 2), 1) + 0.05 * grain
        face = s.lit(base * (1 + 0.05 * grain).unsqueeze(1), n_x, torch.full_like(n_x, 0.5), torch.full_like(n_x, 0.3))
        air = (1 - near) * 0.55 * s.u(0.3, 1.1)
        s.lay(mix(face, s.horizon * 0.95, air.unsqueeze(1)), s.edge(s.y - top))


def paint_forest(s: Scene) -> None:
    """The edge of a spruce wood behind a clearing."""
    horizon = s.u(0.1, 0.5)
    paint_sky(s, horizon)
    before = s.image
    distance(s, horizon, 0.8, 3)
    s.image = mix(before, s.image, s.chance(0.5).unsqueeze(1))
    needles = s.tint((0.16, 0.28, 0.16), (0.20, 0.30, 0.20), (0.14, 0.24, 0.22), (0.36, 0.30, 0.14))
    veil = s.u(0.2, 0.7).unsqueeze(1)
    drawn, s.drawn = s.drawn, s.latents.shape[1]  # the far trees are left to the dice
    paint_conifers(s, horizon + 0.02, 14, (0.3, 0.65), needles, veil)
    s.drawn = drawn
    paint_conifers(s, horizon + 0.08, 7, (0.5, 1.0), needles, veil * 0.4)
    ground = grass(s)
    paint_ground(s, horizon + 0.03 * s.profile(3, 3), ground * 0.6, ground, 1.2, 0.3)
    paint_conifers(s, horizon + s.u(0.15, 0.4), 3, (0.7, 1.5), needles, veil * 0.08)


def paint_lake(s: Scene) -> None:
    """Mountains mirrored in still water, with a wooded far bank."""
    horizon = s.u(-0.1, 0.35)
    paint_sky(s, horizon)
    rock = s.tint((0.40, 0.40, 0.42), (0.36, 0.40, 0.30), (0.46, 0.38, 0.32))
    paint_ridges(s, horizon, 4, 1.3, rock, s.chance(0.45))
    needles = s.tint((0.14, 0.22, 0.14), (0.20, 0.26, 0.16), (0.34, 0.28, 0.14))
    bank = horizon - (0.04 + 0.05 * s.profile(4, 6, 0.6).abs()) * s.chance(0.8)
    s.lay(
        mix(s.lit(needles, s.x * 0, s.x * 0 + 0.4, s.x * 0 + 0.5), s.horizon, 0.15),
        s.edge(s.y - bank) * s.edge(horizon - s.y),
    )
    paint_water(s, horizon, s.u(0.75, 1.0), sea(s))
    near = s.u(0.55, 1.3) + s.u(-0.4, 0.4) * s.x + 0.06 * s.profile(3, 6, 0.6)
    texture = s.noise((12, 12), 4, 0.8)
    earth = grass(s) * 0.7
    s.lay(
        s.lit(
            earth * (0.8 + 0.25 * texture).clamp(0.1, 1.5).unsqueeze(1),
            0.4 * texture,
            0.6 + 0 * texture,
            0.4 + 0 * texture,
        ),
        s.edge(s.y - near),
    )


def paint_field(s: Scene) -> None:
    """Rolling fields with furrows that run to the horizon, hedges and cloud shadows."""
    horizon = s.u(-0.35, 0.15)
    paint_sky(s, horizon, 0.8)
    distance(s, horizon, 0.25)
    crop = s.tint(
        (0.42, 0.56, 0.20),
        (0.82, 0.72, 0.28),
        (0.60, 0.48, 0.66),
    )
    roll = horizon + 0.03 * s.profile(2, 3)
    paint_ground(s, roll, crop * 0.7, crop, 0.9, 0.4)
    depth = (s.y - roll).clamp(min=0.015)
    vanish = s.u(-0.9, 0.9)
    rows = torch.sin((s.x - vanish) / (depth + 0.03) * s.u(5.0, 9.0))
    fade = smooth(0.08, 0.5, depth) * s.edge(s.y - roll) * s.u(0.15, 0.5)
    s.image = s.image * (1 - fade * (0.5 + 0.5 * rows)).unsqueeze(1)
    clouds = smooth(0.2, 1.0, perspective(s, roll, s.noise((4, 4), 3)))
    s.image = s.image * (1 - 0.35 * clouds * s.edge(s.y - roll) * s.u(0, 1)).unsqueeze(1)
    hedge = roll - (0.02 + 0.04 * s.profile(6, 5, 0.7).abs()) * s.chance(0.7)
    s.lay(mix(grass(s) * 0.45 * (s.ambient + s.sun), s.horizon, 0.2), s.edge(s.y - hedge) * s.edge(roll + 0.02 - s.y))


def paint_city(s: Scene) -> None:
    """A skyline after dark with lit windows, often over water."""
    horizon = s.u(0.2, 0.65)
    paint_sky(s, horizon, 0.6)
    haze = torch.exp(-(((s.y - horizon) / 0.5) ** 2)) * s.u(0.1, 0.5)
    s.image = s.image + s.tint((0.6, 0.36, 0.18), (0.5, 0.3, 0.4), (0.3, 0.35, 0.45)) * haze.unsqueeze(1)
    lamps = s.tint((1.0, 0.80, 0.45), (1.0, 0.72, 0.38), (0.85, 0.92, 1.0))
    density = s.u(-0.2, 0.9)
    pitch = s.u(0.055, 0.085)
    cells_x, cells_y = ((s.x + 1) / pitch), ((s.y + 1) / (pitch * 1.15))
    random = s.dice(s.n, 40 * 40)
    index = (cells_x.floor().long() + 40 * cells_y.floor().long()).clamp(0, 1599)
    spark = random.gather(1, index.view(s.n, -1)).view(s.n, s.size, s.size)
    pane = smooth(0.15, 0.3, cells_x % 1) * smooth(0.15, 0.3, 1 - cells_x % 1) * smooth(0.2, 0.35, cells_y % 1)
    lit_panes = pane * (spark > density) * (0.6 + 0.3 * spark.clamp(0, 2))
    for layer, (count, tall) in enumerate([(9, 1.1), (8, 0.8)]):
        for k in range(count):
            cx = -1 + 2 * (k + 0.5) / count + s.u(-0.06, 0.06)
            half, height = s.u(0.08, 0.15), s.u(0.15, 1.0) ** 1.5 * tall + 0.08
            box = torch.minimum(half - (s.x - cx).abs(), s.y - (horizon - height))
            alpha = s.edge(box) * s.edge(horizon - s.y)
            wall = s.horizon * (0.30 - 0.16 * layer) + s.u(0.01, 0.06).unsqueeze(1)
            side = 1 + 0.35 * ((s.x - cx) / half).clamp(-1, 1) * s.light[0]
            s.lay(wall * side.unsqueeze(1) + lamps * (lit_panes * (0.55 + 0.4 * layer)).unsqueeze(1), alpha)
    water = s.chance(0.65).unsqueeze(1)
    dry = s.image
    paint_water(s, horizon, s.u(0.55, 0.9), sea(s) * 0.5)
    wet = s.image
    s.image = dry
    asphalt = s.tint((0.22, 0.22, 0.25))
    paint_ground(s, horizon, asphalt * 0.6, asphalt, 0.6, 0.3)
    glints = torch.exp(-(((s.y - horizon) / 0.25) ** 2)) * smooth(
        0.4, 1.6, perspective(s, horizon, s.noise((16, 16), 3))
    )
    s.image = s.image + lamps * (glints * s.edge(s.y - horizon) * 0.6).unsqueeze(1)
    s.image = mix(s.image, wet, water)


def paint_snow(s: Scene) -> None:
    """Snowfields under white mountains, blue shadows, a few dark spruces, now and then falling snow."""
    horizon = s.u(-0.25, 0.25)
    paint_sky(s, horizon)
    rock = s.tint((0.42, 0.42, 0.46), (0.36, 0.34, 0.36))
    paint_ridges(s, horizon, 3, 1.2, rock, s.u(0.8, 1.0))
    needles = s.tint((0.14, 0.20, 0.17), (0.22, 0.26, 0.26))
    paint_conifers(s, horizon + 0.03, 8, (0.12, 0.35), needles, s.u(0.2, 0.6).unsqueeze(1))
    white = s.tint((0.93, 0.95, 1.0), spread=0.02)
    for k in range(3):
        drift = s.noise((6, 4), 5, 0.6)
        top = horizon + 0.02 + 0.28 * k - 0.10 * s.profile(2, 3, 0.35) * (0.4 + 0.5 * k)
        face = s.lit(white, s.slope((3, 2)) * 0.6 + 0.07 * drift, 0.75 + 0 * drift, 0.35 + 0 * drift)
        s.lay(mix(face, s.horizon, 0.35 * (1 - k / 2)), s.edge(s.y - top, 2))
    some = s.chance(0.6)
    before = s.image
    paint_conifers(s, horizon + s.u(0.3, 0.6), 2, (0.5, 1.1), needles, 0.05)
    s.image = mix(before, s.image, some.unsqueeze(1))


def paint_road(s: Scene) -> None:
    """A road running to the horizon, straight or bending, with a centre line, verges and posts."""
    horizon = s.u(-0.35, 0.15)
    paint_sky(s, horizon)
    distance(s, horizon, 0.6, 3)
    earth = grass(s)
    earth = mix(earth, s.tint((0.80, 0.66, 0.46), (0.85, 0.88, 0.92)), s.chance(0.35).unsqueeze(1))
    paint_ground(s, horizon, earth * 0.7, earth, 1.0, 0.4)
    depth = (s.y - horizon).clamp(min=0.004)
    vanish, start = s.u(-0.5, 0.5), s.u(-0.35, 0.35)
    reach = 1 - horizon
    centre = vanish + (start - vanish) * (depth / reach) + s.u(-0.5, 0.5) * torch.exp(-depth * 3.5) * depth * 2
    half = depth * s.u(0.45, 0.85)
    off = s.x - centre
    tar = s.tint((0.34, 0.34, 0.36), (0.42, 0.40, 0.40), (0.28, 0.28, 0.31), (0.56, 0.48, 0.40))
    texture = perspective(s, horizon, s.noise((16, 16), 4, 0.8))
    face = s.lit(tar * (1 + 0.1 * texture).unsqueeze(1), 0 * texture, 0.9 + 0 * texture, 0.1 + 0 * texture)
    face = mix(face, s.horizon * 0.9, (torch.exp(-depth * 5) * 0.45).unsqueeze(1))
    inside = s.edge(half - off.abs()) * s.edge(s.y - horizon)
    s.lay(face, inside)
    dash = smooth(-0.15, 0.15, torch.sin(s.u(3.5, 6.0) / (depth + 0.05) + s.u(0, 6)))
    paint = s.lit(s.tint((0.95, 0.94, 0.90), (0.95, 0.78, 0.30)), s.x * 0, s.x * 0 + 1, s.x * 0)
    middle = s.edge(half * 0.035 + 0.002 - off.abs(), 1.5) * dash
    rim = s.edge(half * 0.03 + 0.001 - (off.abs() - half * 0.9).abs(), 1.5) * s.chance(0.6)
    s.lay(paint, torch.maximum(middle, rim) * inside * smooth(0.02, 0.15, depth) * 0.9)


def paint_boat(s: Scene) -> None:
    """A sailing boat under sail, and its reflection."""
    horizon = s.u(-0.2, 0.3)
    paint_sky(s, horizon)
    before = s.image
    distance(s, horizon, 0.3)
    s.image = mix(before, s.image, s.chance(0.5).unsqueeze(1))
    calm = s.u(0.1, 0.9)
    paint_water(s, horizon, calm, sea(s))
    size, cx = s.u(0.35, 0.75), s.u(-0.45, 0.45)
    line = horizon + s.u(0.08, 0.35)
    facing = 1 - 2 * (s.u(0, 1) < 0.5).float()  # a leap: half a boat would be none
    lean = s.u(-0.12, 0.12)
    hull = s.tint((0.60, 0.14, 0.12), (0.14, 0.20, 0.34), (0.92, 0.92, 0.90))
    cloth = s.tint((0.97, 0.95, 0.90), (0.97, 0.95, 0.90), (0.90, 0.76, 0.48), (0.75, 0.30, 0.20), spread=0.05)
    belly = s.u(0.1, 0.3)
    ripple = s.noise((24, 6), 3, 0.8) * 0.05 * (1.2 - calm)

    def draw(up: Tensor, sideways: Tensor | float, strength: Tensor | float) -> None:
        v = up / size
        h = ((s.x - cx + sideways) / size - lean * v) * facing
        mast_top = 1.55
        aft = torch.minimum(h + 0.62 * (1 - v / mast_top) - 0.02, -0.02 - h)
        main = torch.minimum(torch.minimum(aft, v - 0.22), mast_top - v)
        fore = torch.minimum(torch.minimum(h - 0.02, 0.55 * (1 - v / 1.35) - h), v - 0.18)
        round_main = ((h + 0.3) / 0.3).clamp(-1, 1)
        nx = facing * (0.35 - belly - 0.5 * round_main)
        face = s.lit(cloth, nx, 0.1 + 0 * nx, 0.6 + 0 * nx)
        s.lay(face, s.edge(main * size) * strength)
        nx = facing * (0.5 - 1.1 * (h / 0.55).clamp(0, 1))
        s.lay(s.lit(cloth * 0.96, nx, 0.1 + 0 * nx, 0.6 + 0 * nx), s.edge(fore * size) * strength)
        s.lay(
            hull * 0.3 * (s.ambient + s.sun),
            s.edge((0.014 - h.abs()) * size) * s.edge((mast_top + 0.05 - v) * size) * s.edge(v * size) * strength,
        )
        bottom = torch.minimum(
            torch.minimum(0.16 + 0.03 * h - v, v), torch.minimum(0.66 + 0.25 * v - h, h + 0.6 + 0.1 * v)
        )
        shade = (v / 0.16).clamp(0, 1)
        s.lay(s.lit(hull, h * 0.5, shade * 0.3, 0.7 + 0 * h), s.edge(bottom * size) * strength)

    draw(s.y - line + 0 * s.x, ripple, s.edge(s.y - line) * (0.25 + 0.4 * calm))
    draw(line - s.y + 0 * s.x, 0.0, 1.0)
    wake = torch.exp(-(((s.y - line - 0.01) / 0.02) ** 2) - ((s.x - cx) / (size * 0.8)) ** 4)
    s.lay((s.ambient + s.sun * 0.8).clamp(max=1), wake * 0.5)


def paint_lighthouse(s: Scene) -> None:
    """A lighthouse on a headland above the sea."""
    horizon = s.u(0.0, 0.45)
    paint_sky(s, horizon)
    paint_water(s, horizon, s.u(0.0, 0.6), sea(s))
    cx, size = s.u(-0.45, 0.45), s.u(0.55, 0.95)
    base = horizon + s.u(-0.1, 0.15)
    mound = base + 0.05 + ((s.x - cx).abs() - 0.2).clamp(min=0) * s.u(0.15, 0.5) + 0.05 * s.profile(4, 6, 0.6)
    texture = s.noise((8, 8), 5, 0.75)
    earth = mix(grass(s), stone(s) * 0.8, smooth(0.0, 0.3, s.y - mound + 0.15 * texture).unsqueeze(1))
    top = base - size * 1.25
    v = ((base - s.y) / (base - top)).clamp(0, 1)
    half = size * (0.15 - 0.055 * v)
    alpha = s.edge(half - (s.x - cx).abs()) * s.edge(s.y - top) * s.edge(mound + 0.05 - s.y)
    white = s.tint((0.95, 0.94, 0.91), spread=0.03)
    band = s.tint((0.75, 0.16, 0.13), (0.16, 0.17, 0.20), (0.18, 0.30, 0.50))
    stripes = smooth(-0.25, 0.25, torch.sin(v * s.u(10, 16) + s.u(-1.5, 1.5))) * s.chance(0.7)
    s.lay(columns(s, cx, half, mix(white, band, stripes.unsqueeze(1))), alpha)
    s.lay(
        s.lit(
            earth * (0.85 + 0.2 * texture).clamp(0.2, 1.4).unsqueeze(1),
            0.5 * texture,
            0.65 + 0 * texture,
            0.3 + 0 * texture,
        ),
        s.edge(s.y - mound),
    )
    gallery = torch.minimum(size * 0.13 - (s.x - cx).abs(), size * 0.025 - (s.y - top).abs())
    s.lay(columns(s, cx, size * 0.13, band * 0.6), s.edge(gallery))
    room = torch.minimum(size * 0.07 - (s.x - cx).abs(), size * 0.08 - (s.y - top + size * 0.1).abs())
    glow = s.u(0.1, 1.0)
    s.lay(mix(s.horizon * 0.6, colour(1.0, 0.93, 0.70), glow.unsqueeze(1)), s.edge(room))
    roof = torch.minimum(
        s.y - (top - size * 0.32), (size * 0.1) * ((s.y - (top - size * 0.32)) / (size * 0.15)) - (s.x - cx).abs()
    )
    s.lay(columns(s, cx, size * 0.12, band), s.edge(torch.minimum(roof, top - size * 0.17 - s.y)))
    halo = (
        torch.exp(-((s.x - cx) ** 2 + (s.y - top + size * 0.1) ** 2) / (0.03 * size))
        * glow
        * (1.0 - s.ambient.mean(1)) ** 2
    )
    s.image = s.image + colour(1.0, 0.85, 0.5) * (halo * 0.6).unsqueeze(1)


def paint_balloon(s: Scene) -> None:
    """A hot-air balloon, striped, above low hills."""
    horizon = s.u(0.45, 1.1)
    paint_sky(s, horizon, 0.75)
    distance(s, horizon, 0.4, 3)
    ground = grass(s)
    paint_ground(s, horizon, ground * 0.6, ground)
    cx, cy, size = s.u(-0.45, 0.45), s.u(-0.45, 0.05), s.u(0.28, 0.6)
    u, v = (s.x - cx) / size, (s.y - cy) / size
    taper = 1 - 0.42 * smooth(0.1, 1.35, v)
    neck = (1 - ((v - 0.1) / 1.15).clamp(-1.2, 1.2) ** 2).clamp(min=0).sqrt() * taper
    body = torch.minimum(torch.minimum(neck - u.abs(), 1.12 - v), v + 1.04)
    nx = (u / neck.clamp(min=0.05)).clamp(-1, 1)
    longitude = torch.asin(nx * 0.999)
    first = s.tint(
        (0.82, 0.16, 0.14),
        (0.92, 0.74, 0.20),
        (0.14, 0.40, 0.66),
    )
    second = s.tint((0.94, 0.92, 0.86), (0.14, 0.20, 0.42))
    stripes = smooth(-0.2, 0.2, torch.sin(longitude * s.u(4.5, 7) + s.u(-1, 1)))
    belt = torch.exp(-(((v - s.u(-0.4, 0.4)) / 0.18) ** 2)) * s.chance(0.5)
    albedo = mix(mix(first, second, stripes.unsqueeze(1)), second * 0.8, belt.unsqueeze(1))
    nz = (1 - nx**2).clamp(min=0).sqrt()
    face = s.lit(albedo, nx * 0.9, -v * 0.6, nz * 0.8) + albedo * 0.06
    s.lay(face, s.edge(body * size))
    basket = torch.minimum(0.13 - u.abs(), 0.11 - (v - 1.5).abs())
    ropes = torch.minimum(0.02 - (u.abs() - 0.14).abs(), torch.minimum(v - 1.1, 1.42 - v))
    dark = s.tint((0.42, 0.28, 0.16)) * (s.ambient + s.sun * 0.6)
    s.lay(dark * 0.7, s.edge(ropes * size) * 0.7)
    s.lay(dark, s.edge(basket * size))


def paint_tree(s: Scene) -> None:
    """A broad-leaved tree standing alone."""
    horizon = s.u(0.25, 0.6)
    paint_sky(s, horizon)
    distance(s, horizon, 0.35)
    ground = grass(s)
    paint_ground(s, horizon + 0.04 * s.profile(2, 3), ground * 0.6, ground, 1.1, 0.35)
    cx, size = s.u(-0.35, 0.35), s.u(0.65, 1.1)
    foot = horizon + s.u(0.1, 0.3)
    shadow(s, cx, foot, size * 0.5, size * 0.09, 0.55)
    top = foot - size * s.u(0.35, 0.55)
    up = ((foot - s.y) / (foot - top)).clamp(0, 1.6)
    half = size * (0.065 - 0.02 * up) + size * 0.05 * torch.exp(-up * 9)
    bend = s.u(-0.12, 0.12) * up**2
    bark = s.tint((0.30, 0.23, 0.17), (0.42, 0.38, 0.34), (0.24, 0.18, 0.14))
    s.lay(
        columns(s, cx + bend, half, bark),
        s.edge(half - (s.x - cx - bend).abs()) * s.edge(foot - s.y) * s.edge(1.5 - up),
    )
    leaves = s.tint(
        (0.70, 0.22, 0.12),
        (0.80, 0.62, 0.20),
        (0.22, 0.38, 0.16),
    )
    fringe = s.noise((12, 12), 4, 0.85)
    middle = top - size * 0.3
    for _ in range(9):
        bx, by, r = cx + bend + s.u(-0.48, 0.48) * size, middle + s.u(-0.38, 0.34) * size, s.u(0.18, 0.36) * size
        dx, dy = (s.x - bx) / r, (s.y - by) / r
        inside = 1 - (dx**2 + dy**2).sqrt() + 0.16 * fringe
        nx, ny = dx * 0.8 + 0.35 * fringe, -dy * 0.8 + 0.25 * fringe
        face = s.lit(leaves * (0.82 + 0.22 * fringe).clamp(0.3, 1.5).unsqueeze(1), nx, ny, 0.45 + 0 * nx)
        s.lay(face, s.edge(inside * r, 1.5))


def paint_tower(s: Scene) -> None:
    """A stone tower with battlements on a hill."""
    horizon = s.u(0.2, 0.6)
    paint_sky(s, horizon)
    distance(s, horizon, 0.5, 3)
    plain = grass(s)
    paint_ground(s, horizon, plain * 0.6, plain, 1.0, 0.7)
    cx, size = s.u(-0.4, 0.4), s.u(0.6, 1.0)
    base = horizon + s.u(-0.05, 0.15)
    wall = stone(s)
    half = size * s.u(0.2, 0.3)
    top = base - size * s.u(0.8, 1.15)
    courses = s.noise((24, 12), 3, 0.8)
    rough = 0.25 * courses
    cap = half * 1.15
    crown = s.edge(cap - (s.x - cx).abs()) * s.edge(s.y - top + 0.1 * size) * s.edge(top + 0.1 * size - s.y)
    teeth = torch.maximum((torch.cos((s.x - cx) / cap * 3.1416 * 2.5) > 0).float(), (s.y > top - 0.02 * size).float())
    albedo = wall * (0.9 + 0.12 * courses).clamp(0.3, 1.4).unsqueeze(1)
    s.lay(
        columns(s, cx, half, albedo, rough),
        s.edge(half - (s.x - cx).abs()) * s.edge(s.y - top) * s.edge(base + 0.1 - s.y),
    )
    s.lay(columns(s, cx, cap, albedo * 0.95, rough), crown * teeth)
    glow = s.chance(0.3).unsqueeze(1)
    for k in range(2):
        wx, wy = cx + half * (-0.3 + 0.5 * k) + s.u(-0.05, 0.05), top + size * (0.28 + 0.3 * k)
        slit = torch.minimum(0.03 * size - (s.x - wx).abs(), 0.075 * size - (s.y - wy).abs())
        s.lay(mix(wall * 0.12, colour(1.0, 0.8, 0.4), glow), s.edge(slit))
    hill = base + 0.03 + (s.x - cx) ** 2 * s.u(0.05, 0.45) + 0.04 * s.profile(4, 5, 0.5)
    texture = s.noise((10, 10), 5, 0.75)
    earth = grass(s) * (0.8 + 0.25 * texture).clamp(0.2, 1.4).unsqueeze(1)
    s.lay(s.lit(earth, 0.5 * texture - (s.x - cx) * -0.3, 0.75 + 0 * texture, 0.25 + 0 * texture), s.edge(s.y - hill))
    shadow(s, cx, hill.mean(2, keepdim=True) * 0 + base + 0.12, half * 1.4, size * 0.1, 0.35)


def paint_blur(s: Scene, *tones: Tensor) -> None:
    """An out-of-focus background: soft patches and discs of light."""
    s.image = mix(tones[0], tones[1], smooth(-1, 1, s.noise((3, 3), 2)).unsqueeze(1)) * (s.ambient * 1.1 + s.sun * 0.6)
    s.image = mix(
        s.image, s.horizon * 0.9, (smooth(0.5, -1.0, s.y + 0.4 * s.noise((2, 2), 2)) * s.u(0.1, 0.95)).unsqueeze(1)
    )
    for _ in range(5):
        r = s.u(0.08, 0.25)
        d = ((s.x - s.u(-1, 1)) ** 2 + (s.y - s.u(-1, 0.2)) ** 2).sqrt()
        s.lay((s.horizon * 0.7 + s.sun * 0.5).clamp(max=1), s.edge(r - d, 4) * s.u(0.0, 0.35))


def paint_mushroom(s: Scene) -> None:
    """A mushroom seen close to the mossy ground."""
    moss, litter = (
        s.tint((0.30, 0.40, 0.14), (0.24, 0.34, 0.16)),
        s.tint((0.40, 0.28, 0.16), (0.34, 0.30, 0.18), (0.5, 0.36, 0.2)),
    )
    paint_blur(s, moss * 0.6, litter * 0.8)
    ground = s.u(0.35, 0.7)
    texture = s.noise((12, 16), 4, 0.85)
    earth = mix(moss, litter, smooth(-1, 1, s.noise((4, 4), 3)).unsqueeze(1)) * (0.85 + 0.3 * texture).clamp(
        0.15, 1.6
    ).unsqueeze(1)
    s.lay(
        s.lit(earth, 0.5 * texture, 0.7 + 0 * texture, 0.4 + 0 * texture),
        s.edge(s.y - ground - 0.05 * s.profile(4, 5, 0.7), 5),
    )
    cx, size = s.u(-0.35, 0.35), s.u(0.6, 1.0)
    foot = ground + s.u(0.08, 0.25)
    top = foot - size * s.u(0.75, 1.05)
    shadow(s, cx, foot, size * 0.4, size * 0.1, 0.6)
    up = ((foot - s.y) / (foot - top)).clamp(0, 1)
    half = size * (0.15 - 0.05 * up + 0.05 * torch.exp(-up * 6))
    bend = s.u(-0.12, 0.12) * (up * (1 - up))
    pale = s.tint((0.92, 0.88, 0.78), (0.86, 0.78, 0.64), spread=0.05)
    s.lay(
        columns(s, cx + bend, half, pale, 0.1 * texture),
        s.edge(half - (s.x - cx - bend).abs()) * s.edge(foot - s.y) * s.edge(s.y - top),
    )
    wide, tall = size * s.u(0.45, 0.7), size * s.u(0.3, 0.6)
    rim = top + size * 0.2
    u, v = (s.x - cx) / wide, (rim - s.y) / tall
    under = s.edge((1 - u**2 - ((s.y - rim) / (tall * 0.28)) ** 2) * tall * 0.3)
    gills = 0.65 + 0.15 * torch.cos(torch.atan2(u, v + 0.5) * 40)
    s.lay(pale * gills.unsqueeze(1) * (s.ambient * 0.9 + s.sun * 0.2), under)
    dome = torch.minimum(1 - (u**2 + v.clamp(min=0) ** 2), v + 0.04 + 0.12 * (1 - u**2))
    nz = (1 - u**2 - v**2).clamp(min=0).sqrt()
    cap = s.tint((0.78, 0.14, 0.10), (0.50, 0.30, 0.18), (0.84, 0.64, 0.32))
    spots = smooth(0.75, 1.0, s.noise((10, 10), 2, 0.3)) * s.chance(0.5)
    skin = mix(cap, pale, spots.unsqueeze(1))
    gloss = torch.exp(-((u - s.light[0] * 0.5) ** 2 + (v - 0.6) ** 2) / 0.06) * s.u(0, 0.5)
    s.lay(s.lit(skin, u, 0.25 + 0.6 * v, nz) + s.sun * gloss.unsqueeze(1), s.edge(dome * tall * 0.6))


def paint_lamp(s: Scene) -> None:
    """A street lamp, lit or not, before a soft street."""
    paint_sky(s, s.u(0.4, 0.9))
    wall = s.tint((0.40, 0.36, 0.34), (0.32, 0.36, 0.30), (0.45, 0.40, 0.42))
    for k in range(3):
        line = s.u(-0.5, 0.7) + s.profile(2, 2) * 0.15
        shade = mix(wall * (s.ambient + s.sun * 0.5), s.horizon * 0.8, 0.6 - 0.25 * k)
        s.lay(shade * (0.8 + 0.1 * s.noise((6, 6), 3)).clamp(0.3, 1.2).unsqueeze(1), s.edge(s.y - line, 8))
    warm = s.tint((1.0, 0.82, 0.48), (1.0, 0.74, 0.36), (0.92, 0.96, 1.0), spread=0.05)
    for _ in range(5):
        r = s.u(0.03, 0.1)
        d = ((s.x - s.u(-1, 1)) ** 2 + (s.y - s.u(0.0, 0.8)) ** 2).sqrt()
        s.lay(warm, s.edge(r - d, 4) * s.u(0.0, 0.5))
    cx, size, head = s.u(-0.45, 0.45), s.u(0.7, 1.1), s.u(-0.35, 0.05)
    iron = s.tint((0.10, 0.11, 0.12), (0.16, 0.20, 0.18), (0.24, 0.22, 0.20))
    up = (s.y - head).clamp(min=0)
    half = size * (0.028 + 0.02 * smooth(0.75, 0.95, up) + 0.012 * torch.exp(-(((up - 0.25) / 0.03) ** 2)))
    s.lay(columns(s, cx, half, iron), s.edge(half - (s.x - cx).abs()) * s.edge(s.y - head))
    lit = s.u(0.0, 1.0).clamp(min=0) * s.chance(0.8)
    u, v = (s.x - cx) / size, (s.y - head) / size
    width = 0.17 + 0.22 * (-v - 0.18).clamp(-0.2, 0.2)
    glass = torch.minimum(width - u.abs(), torch.minimum(v + 0.42, -0.02 - v))
    inner = torch.exp(-(u**2 + (v + 0.2) ** 2) / 0.02)
    pane = mix(s.horizon * 0.6 + 0.08, warm * (0.75 + 0.5 * inner.unsqueeze(1)), lit.unsqueeze(1))
    s.lay(pane.clamp(max=1), s.edge(glass * size))
    bars = torch.minimum(
        torch.maximum(0.014 - (u.abs() - width * 0.97).abs(), torch.maximum(0.01 - u.abs(), 0.02 - (v + 0.02).abs())),
        glass + 0.02,
    )
    s.lay(iron * (s.ambient + s.sun), s.edge(bars * size))
    roof = torch.minimum(((v + 0.66) * 0.95).clamp(max=0.25) - u.abs(), torch.minimum(v + 0.64, -0.40 - v))
    s.lay(columns(s, cx, size * 0.25, iron * 1.3), s.edge(roof * size))
    halo = torch.exp(-((u**2 + (v + 0.2) ** 2).sqrt()) * 4.0) * lit * s.u(0.2, 0.7)
    s.image = s.image + warm * halo.unsqueeze(1)


def paint_shell(s: Scene) -> None:
    """A scallop shell lying on sand, pebbles about it."""
    dry = mix(sand(s), stone(s), (s.chance(0.35) * s.u(0.5, 1.0)).unsqueeze(1))
    texture = s.noise((12, 12), 4, 0.9)
    s.image = s.lit(
        dry * (1 + 0.07 * texture).unsqueeze(1),
        0.15 * texture + 0.45 * s.slope((2, 2)),
        0.7 + 0 * texture,
        0.5 + 0 * texture,
    )
    for _ in range(5):
        px, py, r = s.u(-1, 1), s.u(-1, 1), s.u(0.03, 0.09)
        dx, dy = (s.x - px) / r, (s.y - py) / (r * 0.75)
        shadow(s, px, py + r * 0.4, r, r * 0.8, 0.4)
        s.lay(s.lit(stone(s), dx, -dy, (1 - dx**2 - dy**2).clamp(min=0).sqrt()), s.edge((1 - dx**2 - dy**2) * r * 0.5))
    cx, cy, size, turn = s.u(-0.25, 0.25), s.u(-0.2, 0.25), s.u(0.5, 0.8), s.u(-0.5, 0.5) + s.u(-0.5, 0.5)
    shadow(s, cx, cy + size * 0.15, size * 0.75, size * 0.7, 0.55)
    dx, dy = s.x - cx, s.y - cy - 0
    a, b = (dx * torch.cos(turn) - dy * torch.sin(turn)) / size, (dx * torch.sin(turn) + dy * torch.cos(turn)) / size
    b = b - 0.6
    radius, angle = (a**2 + b**2).sqrt(), torch.atan2(a, -b)
    spread = s.u(0.95, 1.2)
    ribs = angle * s.u(12, 15)
    reach = 1.18 * (1 - 0.22 * (angle / spread) ** 2) + 0.02 * torch.cos(ribs)
    fan = torch.minimum(reach - radius, (spread - angle.abs()) * radius.clamp(min=0.05))
    ears = torch.minimum(torch.minimum(0.30 - a.abs(), 0.12 - (b + 0.10).abs()), 0.5 - radius)
    rib = torch.sin(ribs)
    rings = torch.sin(radius * s.u(13, 19) + s.u(-1.5, 1.5))
    first = s.tint((0.62, 0.44, 0.52), (0.90, 0.62, 0.48), (0.94, 0.86, 0.74))
    second = s.tint((0.97, 0.93, 0.86), (0.60, 0.34, 0.28))
    skin = mix(first, second, (0.5 + 0.5 * rings * smooth(0.2, 0.8, radius)).unsqueeze(1) * 0.8)
    skin = skin * (0.86 + 0.14 * torch.cos(ribs)).unsqueeze(1)
    across = 0.75 * a - 0.5 * rib * smooth(0.1, 0.6, radius)
    along = 0.7 * (radius - 0.45)
    nx, ny = across * torch.cos(turn) + along * torch.sin(turn), -(b + 0.6) * 0.7 + 0.1 * rib
    s.lay(s.lit(skin * 0.85, nx * 0.4, ny * 0.6 + 0.2, 0.5 + 0 * nx), s.edge(ears * size))
    s.lay(s.lit(skin, nx, ny + 0.35, 0.6 + 0 * nx), s.edge(fan * size))


PAINTERS: list[tuple[Callable[[Scene], None], list[int]]] = [
    (paint_shore, DAY),
    (paint_desert, DAY),
    (paint_forest, DAY),
    (paint_lake, DAY),
    (paint_field, DAY),
    (paint_city, EVENING),
    (paint_snow, DAY),
    (paint_road, DAY),
    (paint_boat, DAY),
    (paint_lighthouse, DAY),
    (paint_balloon, DAY),
    (paint_tree, DAY),
    (paint_tower, DAY),
    (paint_mushroom, DAY),
    (paint_lamp, DAY),
    (paint_shell, DAY),
]


# The numbers that mean the same in several classes lie in the same place of the latents: across, size, height (of the
# thing or its foot), first colour (red where it is low) and second. What the generator learns of one class then
# serves the others, and a change of class keeps the composition. Pairs of (place in the latents, turn in which the
# painter draws it), which change places.
COMMON = {
    "shore": [(110, 45), (112, 48)],
    "field": [(110, 45), (113, 40)],
    "road": [(110, 53), (111, 56), (113, 57)],
    "sailing boat": [(110, 46), (111, 45), (112, 47), (113, 50), (114, 52)],
    "lighthouse": [(110, 29), (111, 30), (112, 31), (113, 43)],
    "balloon": [(110, 50), (111, 52), (112, 51), (113, 53), (114, 55)],
    "tree": [(110, 45), (111, 46), (112, 47), (113, 52), (114, 50)],
    "tower": [(110, 50), (111, 51), (112, 52), (113, 53)],
    "mushroom": [(110, 39), (111, 40), (112, 41), (113, 48), (114, 44), (9, 34)],
    "lamp": [(110, 58), (111, 59), (112, 60), (113, 61)],
    "shell": [(110, 40), (111, 42), (112, 41), (113, 49), (114, 51)],
}


def arrange(label: int, latents: Tensor) -> Tensor:
    """Latents [n, 128] of a class in the order in which its painter draws them; and back again."""
    order = list(range(latents.shape[1]))
    for place, turn in COMMON.get(CLASSES[label], []):
        order[place], order[turn] = order[turn], order[place]
    return latents[:, order]


def paint(label: int, latents: Tensor, seed: int, size: int = 64) -> Tensor:
    """Paint pictures of one class, uint8 [n, 3, size, size]: a pure function of its arguments.

    label is an index into CLASSES. latents [n, 128], normals cut at two deviations, decide what a picture shows: light,
    weather, colours, places and sizes; the seed decides the rest, the grain of textures.
    """
    generator = torch.Generator().manual_seed((seed * len(CLASSES) + label) * 2654435761 % 2**63)
    painter, hours = PAINTERS[label]
    scene = Scene(arrange(label, latents), size * SUPERSAMPLING, generator, hours)
    painter(scene)
    exposure = scene.u(0.84, 1.18).unsqueeze(1)
    image = F.avg_pool2d(scene.image.clamp(0, 1), SUPERSAMPLING)
    image = 1 - (1 - (image * exposure).clamp(0, 1)) ** 1.08
    return (image * 255 + 0.5).to(torch.uint8)
