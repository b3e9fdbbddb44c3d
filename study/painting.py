"""Draw the embedded target: a study after the composition of Friedrich's "Wanderer above the Sea of Fog" (c. 1818).

A study, and no more: every shape is placed by hand in this file and every texture is seeded noise; nothing of the
painting, of any photograph or of any model is in it. A figure stands with his back to us on a dark rock; below him a
sea of fog with rocks breaking through, ridges that fall towards the middle, a peak, a table mountain, a pale sky.

    python study/painting.py resources/study/target.png

The picture is painted back to front at twice its size and reduced. Coordinates are fractions of the square, x to the
right, y down. The same code gives the same picture (to rounding, across versions of NumPy and Pillow).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 512
SUPERSAMPLING = 2
SIDE = SIZE * SUPERSAMPLING

Array = np.ndarray
Points = Sequence[tuple[float, float]]

Y, X = (np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5) / SIDE


# --- brushes ---------------------------------------------------------------------------------------------------------


def noise(seed: int, across: float, down: float, octaves: int = 5, gain: float = 0.5) -> Array:
    """Fractal noise in 0..1, mean about 0.5: ``across`` and ``down`` cells in the coarsest octave."""
    rng = np.random.default_rng(seed)
    total, weight, sum_of_weights = np.zeros((SIDE, SIDE), np.float32), 1.0, 0.0
    for _ in range(octaves):
        grid = rng.random((int(down) + 4, int(across) + 4), dtype=np.float32)
        box = (1.5, 1.5, 1.5 + across, 1.5 + down)
        total += weight * np.asarray(Image.fromarray(grid).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
        sum_of_weights += weight
        weight, across, down = weight * gain, across * 2, down * 2
    return np.clip((total / sum_of_weights - 0.5) * 1.6 + 0.5, 0, 1)


def warped(field: Array, seed: int, amount: float) -> Array:
    """The field drawn along swirls, as wind draws fog."""
    dx, dy = noise(seed, 4, 5, 3) - 0.5, noise(seed + 1, 4, 5, 3) - 0.5
    column = np.clip((X + amount * dx) * SIDE, 0, SIDE - 1).astype(int)
    row = np.clip((Y + amount * 0.6 * dy) * SIDE, 0, SIDE - 1).astype(int)
    return field[row, column]


def smooth(field: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, soft between (also falling, where low > high)."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blur(field: Array, radius: float) -> Array:
    """Gaussian blur, radius in px of the finished picture."""
    picture = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius * SUPERSAMPLING)), dtype=np.float32) / 255


def lay(canvas: Array, colour: Sequence[float] | Array, cover: Array) -> None:
    """Paint a colour (or a picture) over the canvas where ``cover`` says, 0 to 1."""
    canvas += (np.asarray(colour, np.float32) - canvas) * cover[..., None]


def mix(dark: Sequence[float], light: Sequence[float], t: Array) -> Array:
    """Colours between two, [SIDE, SIDE, 3]."""
    a, b = np.asarray(dark, np.float32), np.asarray(light, np.float32)
    return a + (b - a) * np.clip(t, 0, 1)[..., None]


def curve(points: Points, closed: bool = True, steps: int = 12) -> list[tuple[float, float]]:
    """A Catmull-Rom spline through the points."""
    p = np.asarray(points, float)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    if not closed:
        before[0], after[-1], beyond[-1], beyond[-2] = p[0], p[-1], p[-1], p[-1]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    line = 0.5 * (
        2 * p
        + (after - before) * t
        + (2 * before - 5 * p + 4 * after - beyond) * t**2
        + (3 * p - before - 3 * after + beyond) * t**3
    )
    line = line.transpose(1, 0, 2).reshape(-1, 2)
    return [tuple(q) for q in (line if closed else np.vstack([line[: -steps + 1], p[-1:]]))]


def shape(points: Points, rounded: bool = True, soft: float = 0.35) -> Array:
    """The cover of a closed outline."""
    picture = Image.new("L", (SIDE, SIDE))
    outline = curve(points) if rounded else points
    ImageDraw.Draw(picture).polygon([(x * SIDE, y * SIDE) for x, y in outline], fill=255)
    return blur(np.asarray(picture, np.float32) / 255, soft)


def land(points: Points, seed: int, rough: float, soft: float = 0.4, cells: float = 14) -> Array:
    """The cover of everything below a skyline through the points, roughened by noise."""
    xs, ys = zip(*curve(points, closed=False), strict=True)
    order = np.argsort(xs)
    line = np.interp(X[0], np.asarray(xs)[order], np.asarray(ys)[order])
    line = line + rough * (noise(seed, cells, 1, 5, 0.6)[SIDE // 2] - 0.5)
    return blur((line[None] < Y).astype(np.float32), soft)


def facets(seed: int, count: int, stretch: float = 1.0) -> tuple[Array, Array]:
    """Broken stone: a light value for each facet (0..1), and the cracks between facets (1 in the crack).

    Worley noise, computed at half the size: each pixel belongs to the nearest of ``count`` random points.
    """
    rng = np.random.default_rng(seed)
    x = (X + 0.045 * (noise(seed + 1, 11, 11, 5) - 0.5))[::2, ::2]
    y = (Y + 0.045 * (noise(seed + 2, 11, 11, 5) - 0.5))[::2, ::2]
    nearest, second = np.full((2, *x.shape), np.inf, np.float32)
    light = np.zeros_like(x)
    for px, py, tilt_x, tilt_y, tone in rng.random((count, 5), dtype=np.float32):
        dx, dy = x - px, (y - py) * stretch
        distance = dx * dx + dy * dy
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        # a facet is lit from the upper left, and turns away from the light towards its lower right
        light = np.where(closer, 0.8 * tone + 0.1 - (2 + 5 * tilt_x) * dx - (5 + 5 * tilt_y) * dy, light)
    cracks = smooth(np.sqrt(second) - np.sqrt(nearest), 0.006, 0.0)
    return enlarged(np.clip(light, 0, 1)), enlarged(cracks)


def enlarged(field: Array) -> Array:
    """To the canvas's size."""
    return np.asarray(Image.fromarray(field).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


# --- the picture, back to front --------------------------------------------------------------------------------------


def sky(canvas: Array) -> None:
    """Grey blue above, a warm light low over the ridges, torn clouds and long bars."""
    stops = [0.0, 0.16, 0.30, 0.42, 1.0]
    colours = [(0.49, 0.53, 0.61), (0.63, 0.65, 0.72), (0.81, 0.79, 0.80), (0.92, 0.87, 0.81), (0.86, 0.86, 0.86)]
    for channel in range(3):
        canvas[..., channel] = np.interp(Y, stops, [colour[channel] for colour in colours])
    torn = warped(noise(11, 4, 9, 6, 0.55), 12, 0.22)
    lit = warped(noise(16, 5, 9, 6, 0.60), 17, 0.20)
    lay(canvas, (0.42, 0.46, 0.55), 0.62 * smooth(torn, 0.58, 0.30) * smooth(Y, 0.27, 0.02))
    lay(canvas, (0.90, 0.88, 0.87), 0.66 * smooth(lit, 0.44, 0.78) * smooth(Y, 0.28, 0.04))
    bars = noise(14, 2, 40, 4, 0.6)
    band = smooth(Y, 0.12, 0.22) * smooth(Y, 0.38, 0.27)
    lay(canvas, (0.98, 0.90, 0.80), 0.70 * smooth(bars, 0.52, 0.72) * band)
    lay(canvas, (0.66, 0.66, 0.75), 0.55 * smooth(bars, 0.47, 0.28) * band)
    glow = np.exp(-(((X - 0.52) / 0.34) ** 2) - ((Y - 0.31) / 0.09) ** 2)
    lay(canvas, (1.0, 0.94, 0.84), 0.55 * glow)


def distance(canvas: Array) -> None:
    """The peak on the left, the table mountain on the right, and hills that fall from both sides to the middle."""
    haze = (0.87, 0.86, 0.88)
    peak = [(-0.05, 0.335), (0.08, 0.325), (0.17, 0.275), (0.235, 0.222), (0.285, 0.205), (0.33, 0.222)]
    peak += [(0.41, 0.285), (0.50, 0.335), (0.62, 0.37), (1.05, 0.39)]
    cover = land(peak, 21, 0.012, 0.7)
    slope = mix((0.52, 0.57, 0.69), haze, smooth(Y + 0.10 * (noise(22, 8, 10, 5) - 0.5), 0.20, 0.36))
    lay(canvas, slope, 0.92 * cover)

    cone = [(0.55, 0.40), (0.66, 0.362), (0.73, 0.325), (0.775, 0.308), (0.82, 0.325), (0.90, 0.362), (1.05, 0.38)]
    lay(canvas, mix((0.60, 0.63, 0.73), haze, smooth(Y, 0.29, 0.39)), 0.85 * land(cone, 23, 0.008, 0.7))
    table = [
        (0.742, 0.315),
        (0.746, 0.285),
        (0.744, 0.257),
        (0.752, 0.250),
        (0.766, 0.252),
        (0.771, 0.247),
        (0.794, 0.247),
    ]
    table += [(0.800, 0.260), (0.801, 0.285), (0.812, 0.315), (0.845, 0.345), (0.710, 0.345)]
    stone = noise(24, 45, 9, 4)
    lay(canvas, mix((0.47, 0.51, 0.61), (0.62, 0.64, 0.72), stone), 0.92 * shape(table, soft=0.5))
    lay(canvas, haze, 0.85 * smooth(Y, 0.285, 0.345) * land([(0.5, 0.30), (0.75, 0.285), (1.05, 0.30)], 25, 0.03, 5))

    near_left = [
        (-0.05, 0.315),
        (0.06, 0.322),
        (0.17, 0.352),
        (0.28, 0.378),
        (0.38, 0.402),
        (0.50, 0.425),
        (1.05, 0.46),
    ]
    near_right = [
        (-0.05, 0.46),
        (0.48, 0.425),
        (0.58, 0.398),
        (0.70, 0.378),
        (0.82, 0.352),
        (0.93, 0.330),
        (1.05, 0.312),
    ]
    for points, seed in ((near_left, 26), (near_right, 27)):
        cover = land(points, seed, 0.016, 0.4, 60)
        wood = noise(seed + 2, 40, 30, 4)
        tone = mix((0.30, 0.36, 0.47), (0.45, 0.50, 0.60), wood)
        line = np.interp(X[0], *zip(*points, strict=True))[None]
        lay(canvas, tone, 0.9 * cover * smooth(Y - line, 0.075 + 0.02, 0.015))


def fog(canvas: Array) -> None:
    """The sea: bright, drawn out by the wind, with cold hollows; calm far away, tossed below."""
    far = smooth(Y, 0.385, 0.47)
    swell = warped(noise(31, 3, 11, 6, 0.55), 32, 0.16)
    tossed = warped(noise(34, 5, 9, 6, 0.6), 35, 0.30)
    wave = swell + (tossed - swell) * smooth(Y, 0.45, 0.66)
    colour = mix((0.55, 0.61, 0.72), (0.96, 0.95, 0.93), smooth(wave, 0.26, 0.70))
    lay(canvas, colour, far)
    lay(canvas, (0.37, 0.43, 0.54), 0.65 * smooth(wave, 0.38, 0.20) * smooth(Y, 0.50, 0.70))
    lay(canvas, (0.99, 0.95, 0.88), 0.5 * smooth(wave, 0.62, 0.82) * far)


def islands(canvas: Array) -> None:
    """Rocks breaking through the fog, each dissolving at its foot; firs on the right one."""
    stone, cracks = facets(41, 500, 0.55)
    rocks = [
        # skyline points, foot, stone in shadow and in light, how much of it shows
        ([(0.05, 0.56), (0.068, 0.50), (0.085, 0.485), (0.10, 0.462), (0.125, 0.455), (0.15, 0.485), (0.175, 0.56)],
         0.53, (0.47, 0.48, 0.53), (0.66, 0.63, 0.62), 0.75),
        ([(0.07, 0.70), (0.085, 0.60), (0.10, 0.565), (0.125, 0.555), (0.15, 0.523), (0.185, 0.52), (0.205, 0.55),
          (0.222, 0.59), (0.235, 0.553), (0.262, 0.535), (0.29, 0.545), (0.302, 0.60), (0.32, 0.545), (0.342, 0.55),
          (0.352, 0.61), (0.38, 0.70)],
         0.645, (0.20, 0.17, 0.17), (0.55, 0.46, 0.40), 0.97),
        ([(0.57, 0.60), (0.62, 0.563), (0.66, 0.535), (0.70, 0.53), (0.745, 0.50), (0.79, 0.495), (0.82, 0.522),
          (0.86, 0.55), (0.90, 0.562), (0.96, 0.60)],
         0.575, (0.30, 0.31, 0.35), (0.56, 0.54, 0.53), 0.93),
    ]  # fmt: skip
    wisp = warped(noise(42, 7, 14, 5, 0.6), 43, 0.2)
    for points, foot, dark, light, strength in rocks:
        rough = 0.012 * (noise(44, 60, 60, 3) - 0.5)
        cover = shape(points)
        rows = np.clip((Y + rough) * SIDE, 0, SIDE - 1).astype(int)
        cover = cover[rows, np.clip((X + rough) * SIDE, 0, SIDE - 1).astype(int)]
        shade = 0.75 * stone + 0.6 * (noise(45, 60, 16, 4) - 0.5) - 0.3 * cracks + 0.12
        cover = strength * cover * smooth(Y + 0.13 * (wisp - 0.5), foot + 0.035, foot - 0.03)
        lay(canvas, mix(dark, light, shade), cover)
    firs(canvas)


def firs(canvas: Array) -> None:
    """A few wind-worn trees on the right island and at the left edge."""
    rng = np.random.default_rng(47)
    stands = [(0.652, 0.540), (0.668, 0.534), (0.681, 0.533), (0.697, 0.530), (0.722, 0.514), (0.768, 0.498)]
    stands += [(0.788, 0.496), (0.846, 0.543), (0.872, 0.554), (0.894, 0.561), (0.906, 0.566)]
    picture = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    for x, ground in stands:
        height, foot = rng.uniform(0.014, 0.033), ground + 0.004
        lean = rng.normal(0, 0.003)
        draw.line([(x * SIDE, foot * SIDE), ((x + lean) * SIDE, (foot - height) * SIDE)], fill=200, width=2)
        for _ in range(34):  # the crown: dabs that thin out upwards
            t = rng.uniform(0.35, 1.0)
            px = x + lean * t + rng.normal(0, 0.0055 * (1.15 - t))
            py, reach = foot - height * t, rng.uniform(0.0012, 0.0032)
            draw.ellipse(
                [(px - reach) * SIDE, (py - 0.0013) * SIDE, (px + reach) * SIDE, (py + 0.0013) * SIDE], fill=225
            )
    lay(canvas, (0.30, 0.32, 0.35), 0.80 * blur(np.asarray(picture, np.float32) / 255, 0.5))


def veils(canvas: Array) -> None:
    """Fog again, in front of the islands: thrown up in diagonal wisps."""
    drawn = warped(noise(51, 5, 8, 6, 0.58), 52, 0.34)
    depth = smooth(Y, 0.52, 0.66) * smooth(Y, 0.98, 0.74)
    lay(canvas, (0.95, 0.94, 0.93), 0.80 * smooth(drawn, 0.50, 0.74) * depth)
    lay(canvas, (0.44, 0.50, 0.61), 0.40 * smooth(drawn, 0.40, 0.22) * depth)


def rock(canvas: Array) -> None:
    """The dark rock that he stands on, rising to a step in the middle, the grassy slope at its foot."""
    slope = [(-0.05, 0.935), (0.04, 0.905), (0.10, 0.875), (0.20, 0.845), (0.30, 0.80), (0.45, 0.78), (0.60, 0.80)]
    slope += [(0.74, 0.835), (0.84, 0.85), (0.93, 0.86), (1.05, 0.88)]
    body = [
        (0.245, 0.90),
        (0.262, 0.81),
        (0.285, 0.775),
        (0.262, 0.742),
        (0.247, 0.712),
        (0.275, 0.692),
        (0.325, 0.688),
    ]
    body += [(0.365, 0.676), (0.41, 0.681), (0.455, 0.678), (0.462, 0.642), (0.49, 0.63), (0.54, 0.637), (0.585, 0.652)]
    body += [(0.612, 0.69), (0.655, 0.715), (0.672, 0.752), (0.705, 0.79), (0.73, 0.90)]
    boulders = [
        [(0.05, 0.90), (0.065, 0.868), (0.10, 0.855), (0.13, 0.868), (0.135, 0.90)],
        [(0.125, 0.89), (0.13, 0.845), (0.165, 0.825), (0.205, 0.838), (0.215, 0.89)],
        [(0.70, 0.86), (0.715, 0.80), (0.765, 0.785), (0.825, 0.80), (0.84, 0.84), (0.83, 0.87)],
        [(0.845, 0.87), (0.86, 0.83), (0.885, 0.815), (0.93, 0.835), (0.95, 0.86), (0.94, 0.88)],
    ]
    cover = land(slope, 61, 0.02, cells=40)
    for outline in [body, *boulders]:
        cover = np.maximum(cover, shape(outline))
    rough = 0.010 * (noise(62, 45, 45, 4, 0.6) - 0.5)
    cover = cover[
        np.clip((Y + rough) * SIDE, 0, SIDE - 1).astype(int), np.clip((X + rough) * SIDE, 0, SIDE - 1).astype(int)
    ]

    coarse, deep = facets(63, 150, 1.5)
    fine, thin = facets(66, 700, 1.3)
    grain = noise(69, 90, 90, 4, 0.7)
    lumps = noise(65, 9, 11, 4) - 0.5
    shade = 0.62 * coarse + 0.34 * fine + 0.45 * (grain - 0.5) + 0.6 * lumps - 0.30 * deep - 0.14 * thin - 0.12
    shade = shade - 0.35 * smooth(Y, 0.78, 1.0)
    stone = mix((0.055, 0.042, 0.040), (0.47, 0.335, 0.245), shade)
    grass = smooth(noise(70, 30, 50, 4, 0.7) + 0.6 * (Y - 0.9), 0.50, 0.72) * smooth(Y, 0.80, 0.90)
    stone += (np.asarray((0.17, 0.13, 0.07), np.float32) - stone) * (0.5 * grass)[..., None]
    lay(canvas, stone, cover)
    rim = np.clip(cover - np.roll(cover, SIDE // 160, axis=0), 0, 1)
    lay(canvas, (0.52, 0.40, 0.30), 0.45 * blur(rim, 0.8) * cover * smooth(grain, 0.35, 0.6))


def figure(canvas: Array) -> None:
    """The wanderer: left foot forward on the lower step, right leg straight, hand on hip, stick to the right."""
    folds = noise(81, 26, 5, 4, 0.6)
    cloth = noise(82, 70, 70, 3)
    coat_dark, coat_light = (0.035, 0.060, 0.052), (0.165, 0.225, 0.185)

    stick = Image.new("L", (SIDE, SIDE))
    ends = [(0.571 * SIDE, 0.535 * SIDE), (0.622 * SIDE, 0.715 * SIDE)]
    ImageDraw.Draw(stick).line(ends, fill=255, width=round(0.0055 * SIDE))
    lay(canvas, (0.30, 0.19, 0.11), blur(np.asarray(stick, np.float32) / 255, 0.4))

    left_leg = [
        (0.430, 0.55),
        (0.472, 0.55),
        (0.464, 0.60),
        (0.447, 0.645),
        (0.437, 0.676),
        (0.413, 0.676),
        (0.414, 0.635),
    ]
    left_leg += [(0.412, 0.590)]
    right_leg = [
        (0.470, 0.54),
        (0.540, 0.54),
        (0.540, 0.60),
        (0.527, 0.66),
        (0.520, 0.715),
        (0.512, 0.733),
        (0.492, 0.731),
    ]
    right_leg += [(0.492, 0.69), (0.490, 0.63)]
    trousers = mix(
        (0.030, 0.050, 0.048), (0.115, 0.155, 0.140), 0.9 * folds + 0.4 * (cloth - 0.5) + 0.2 * (0.5 - X) * 4
    )
    for leg in (left_leg, right_leg):
        lay(canvas, trousers, shape(leg))
    left_boot = [(0.410, 0.667), (0.438, 0.668), (0.437, 0.686), (0.415, 0.692), (0.388, 0.688), (0.388, 0.680)]
    right_boot = [(0.490, 0.715), (0.518, 0.717), (0.520, 0.738), (0.508, 0.750), (0.490, 0.746), (0.486, 0.732)]
    for boot in (left_boot, right_boot):
        lay(canvas, (0.045, 0.036, 0.034), shape(boot))

    coat = [
        (0.476, 0.337),
        (0.500, 0.333),
        (0.522, 0.337),
        (0.546, 0.348),
        (0.559, 0.366),
        (0.573, 0.400),
        (0.597, 0.440),
    ]
    coat += [
        (0.601, 0.458),
        (0.586, 0.484),
        (0.570, 0.508),
        (0.558, 0.503),
        (0.562, 0.478),
        (0.572, 0.458),
        (0.553, 0.428),
    ]
    coat += [
        (0.543, 0.445),
        (0.543, 0.475),
        (0.553, 0.530),
        (0.562, 0.592),
        (0.538, 0.600),
        (0.510, 0.593),
        (0.490, 0.599),
    ]
    coat += [
        (0.450, 0.596),
        (0.410, 0.586),
        (0.409, 0.560),
        (0.416, 0.525),
        (0.419, 0.490),
        (0.420, 0.455),
        (0.424, 0.405),
    ]
    coat += [(0.434, 0.366), (0.450, 0.348)]
    cover = shape(coat)
    back = np.exp(-(((X - 0.475) / 0.035) ** 2) - ((Y - 0.40) / 0.10) ** 2)
    light = 0.60 * smooth(folds, 0.30, 0.75) + 0.3 * (cloth - 0.5) + 0.45 * back - 0.25 * smooth(X, 0.50, 0.56)
    lay(canvas, mix(coat_dark, coat_light, light), cover)
    # a light from the sky along both shoulders, the back seam, the belt's two buttons, the vent
    inner = np.clip(cover - np.roll(np.roll(cover, SIDE // 130, 0), SIDE // 200, 1), 0, 1)
    lay(canvas, (0.34, 0.40, 0.34), 0.50 * blur(inner, 0.9) * cover * smooth(Y, 0.52, 0.36))
    seams = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(seams)
    for line in (
        [(0.493, 0.352), (0.489, 0.42), (0.489, 0.47)], [(0.489, 0.475), (0.493, 0.59)],
        [(0.452, 0.352), (0.440, 0.42), (0.450, 0.462)], [(0.531, 0.352), (0.543, 0.42), (0.531, 0.462)],
        [(0.446, 0.464), (0.489, 0.470), (0.536, 0.464)],
    ):  # fmt: skip
        draw.line([(x * SIDE, y * SIDE) for x, y in curve(line, closed=False)], fill=255, width=3)
    lay(canvas, (0.015, 0.028, 0.026), 0.50 * blur(np.asarray(seams, np.float32) / 255, 0.5) * cover)
    for x in (0.476, 0.503):
        dot = (X - x) ** 2 + (Y - 0.478) ** 2
        lay(canvas, (0.42, 0.40, 0.30), 0.7 * smooth(dot, 0.0028**2, 0.0012**2))

    hand = [(0.556, 0.500), (0.568, 0.503), (0.574, 0.517), (0.570, 0.531), (0.562, 0.528), (0.556, 0.515)]
    lay(canvas, (0.50, 0.36, 0.28), 0.9 * shape(hand))
    neck = [(0.482, 0.300), (0.514, 0.300), (0.516, 0.338), (0.480, 0.338)]
    lay(canvas, (0.62, 0.45, 0.36), shape(neck))
    collar = [
        (0.473, 0.333),
        (0.482, 0.325),
        (0.500, 0.329),
        (0.515, 0.325),
        (0.525, 0.333),
        (0.517, 0.346),
        (0.481, 0.346),
    ]
    lay(canvas, coat_dark, shape(collar))
    linen = [(0.481, 0.324), (0.499, 0.328), (0.516, 0.324), (0.516, 0.328), (0.499, 0.332), (0.480, 0.328)]
    lay(canvas, (0.86, 0.85, 0.82), 0.85 * shape(linen, soft=0.3))
    head(canvas)


def head(canvas: Array) -> None:
    """Seen from behind: tousled fair hair, an ear on either side."""
    for x in (0.4755, 0.5205):
        ear = ((X - x) / 0.0055) ** 2 + ((Y - 0.297) / 0.010) ** 2
        lay(canvas, (0.62, 0.44, 0.35), smooth(ear, 1.2, 0.8))
    skull = [
        (0.479, 0.312),
        (0.472, 0.292),
        (0.471, 0.272),
        (0.480, 0.255),
        (0.498, 0.249),
        (0.516, 0.254),
        (0.526, 0.272),
    ]
    skull += [(0.525, 0.292), (0.517, 0.312), (0.498, 0.319)]
    rng = np.random.default_rng(91)
    locks = Image.new("L", (SIDE, SIDE))
    lights = Image.new("L", (SIDE, SIDE))
    for _ in range(520):
        angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        x, y = 0.4985 + 0.0255 * radius * np.cos(angle), 0.281 + 0.031 * radius * np.sin(angle)
        turn, length = angle + rng.normal(0.9, 0.7), rng.uniform(0.006, 0.013)
        line = [(x, y), (x + 0.5 * length * np.cos(turn), y + 0.5 * length * np.sin(turn))]
        line += [(x + length * np.cos(turn + 0.7), y + length * np.sin(turn + 0.7))]
        ends = [(px * SIDE, py * SIDE) for px, py in line]
        ImageDraw.Draw(locks).line(ends, fill=255, width=3)
        if rng.random() < 0.25 + 0.5 * (0.285 - y) / 0.03:
            ImageDraw.Draw(lights).line(ends, fill=220, width=2)
    cover = np.maximum(shape(skull), 0.9 * blur(np.asarray(locks, np.float32) / 255, 0.4))
    lay(canvas, mix((0.20, 0.12, 0.06), (0.46, 0.31, 0.16), noise(92, 60, 60, 3)), cover)
    lay(canvas, (0.74, 0.56, 0.32), 0.75 * blur(np.asarray(lights, np.float32) / 255, 0.35) * cover)


def finish(canvas: Array) -> None:
    """The hand's unevenness over all, a warm varnish, and corners that fall back a little."""
    stroke = warped(noise(95, 30, 70, 3, 0.7), 96, 0.08) - 0.5
    canvas *= 1 + 0.05 * stroke[..., None]
    grey = canvas.mean(axis=-1, keepdims=True)
    canvas += 0.16 * (grey - canvas)
    canvas *= np.asarray((1.015, 1.0, 0.965), np.float32)
    corner = smooth((X - 0.5) ** 2 + (Y - 0.45) ** 2, 0.20, 0.62)
    canvas *= 1 - 0.16 * corner[..., None]


def paint() -> Image.Image:
    """The whole study, RGB, SIZE x SIZE px."""
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    for part in (sky, distance, fog, islands, veils, rock, figure, finish):
        part(canvas)
    picture = Image.fromarray(np.round(np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    return picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python study/painting.py OUT.png")
    paint().save(Path(sys.argv[1]), optimize=True)
