"""Which step of a trajectory each frame shows: frame numbers to (fractional) steps. Pure NumPy."""

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import numpy as np

from approach.errors import UserError

ROUNDS = 300
EVEN_ENOUGH = 0.01  # coefficient of variation of the change from frame to frame
SHARINGS = 4  # of a ring's frames among its legs
MOST_MOMENTS = 20_000  # more frames than that lie between them


def progress(video: dict) -> np.ndarray:
    """How far the film has come in each frame, 0 at the start and 1 at the arrival.

    Args:
        video: `fps`, `seconds` (from start to arrival), `hold` (seconds of stillness, at the start and at the arrival
            each), `ease` (0 none to 1: how much of a cosine is mixed into the even pace) and `loop` (back to the start
            in as many seconds, so that the last frame leads into the first).

    Returns:
        One float64 a frame.

    Raises:
        UserError: the film would be shorter than two frames.
    """
    fps = video["fps"]
    moving, held = round(video["seconds"] * fps), round(video.get("hold", 0) * fps)
    if moving < 2:
        raise UserError(f"video.seconds={video['seconds']} at video.fps={fps} is less than two frames: lengthen it")
    forward = np.linspace(0, 1, moving)
    # Neither end is shown twice when the film returns: they are the frames before and after it.
    back = np.linspace(1, 0, moving + 2)[1:-1] if video.get("loop") else np.empty(0)
    share = np.concatenate([np.zeros(held), forward, np.ones(held), back])
    ease = video.get("ease", 0)
    return (1 - ease) * share + ease * (1 - np.cos(np.pi * share)) / 2


def distances(pictures: np.ndarray) -> np.ndarray:
    """Root mean square difference of each picture, or its sketch, to the next: [P, ...] to [P - 1]."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    return np.sqrt(np.square(np.diff(flat, axis=0)).mean(axis=1)).astype(float)


def equal_change(trajectories: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Moments between which the picture changes equally, for one trajectory or for several on a common clock.

    What is made equal is the difference of one frame to the next itself, not the length of the curve between them:
    where the picture trembles on the spot, the two are far apart. Several trajectories count alike, however much they
    change.

    Args:
        trajectories: the sketches [S+1, D] of each one's pictures, step by step (`sketch.sketch`); between two steps
            they are mixed linearly.
        count: how many moments.

    Returns:
        [count] fractional steps, from 0 to the longest trajectory's last; equal steps where nothing changes.
    """
    last = max(map(len, trajectories)) - 1
    even = np.linspace(0, last, count)
    lengths = [float(distances(one).sum()) for one in trajectories]
    moving = [(length, _products(one)) for length, one in zip(lengths, trajectories, strict=True) if length > 0]
    if not moving:
        return even
    moving.sort(key=itemgetter(0))  # sums depend on their order: the same three in another film, the same moments
    at, best, best_spread = even, even, np.inf
    for done in range(ROUNDS):
        change = np.mean([_change(products, at) / length for length, products in moving], axis=0)
        spread = change.std() / change.mean()
        if spread < best_spread:
            best, best_spread = at, spread
        if spread < EVEN_ENOUGH:
            break
        # Pieces that change too much are shortened, less and less eagerly: where the picture trembles, what a piece
        # changes says little about its half.
        eagerness = 0.5 / (1 + done / 30)
        pieces = np.diff(at) * np.clip(change / change.mean(), 0.05, 20) ** -eagerness
        covered = np.concatenate([[0], np.cumsum(pieces)])
        at = last * covered / covered[-1]
    return best


def ring_positions(video: dict, stops: Sequence[int], sketches: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """The step of a ring that each frame shows. The film rests at every stop, and its last frame is its first.

    Equal change is sought between two stops at a time, so that no stop is passed over where pictures come back to what
    they were; frames are shared out among these legs until all change equally.

    Args:
        video: as in `progress`; `seconds` is what a trajectory takes on average, with the way to the next one.
        stops: the steps of starts and arrivals, rising from 0: four for every two trajectories, and the last step.
        sketches: as in `equal_change`, of one ring or several that share a clock; without them frames show equal steps.

    Returns:
        One float64 a frame.

    Raises:
        UserError: the film would have fewer frames than legs.
    """
    fps, ease = video["fps"], video.get("ease", 0)
    legs, held = list(pairwise(stops)), round(video.get("hold", 0) * fps)
    moving = round(len(legs) / 2 * video["seconds"] * fps) - (not held)  # the first frame is one of the rest
    if moving < len(legs):
        raise UserError(f"video.seconds={video['seconds']} at video.fps={fps} is too short for a ring: lengthen it")
    parts = [[one[begin : end + 1] for begin, end in legs] for one in sketches or []]
    lengths = [[float(distances(part).sum()) for part in one] for one in parts] or [np.diff(stops)]
    for _ in range(SHARINGS if parts else 1):
        shares = np.mean([np.divide(one, max(np.sum(one), 1e-12)) for one in lengths], axis=0)
        counts = 1 + np.diff(np.round(np.cumsum([0, *shares]) / shares.sum() * (moving - len(legs)))).astype(int)
        if parts:
            known = [equal_change(leg, count + 1) for leg, count in zip(zip(*parts, strict=True), counts, strict=True)]
            lengths = [
                [_change(_products(part), at).sum() for part, at in zip(one, known, strict=True)] for one in parts
            ]
        else:
            known = [np.linspace(0, end - begin, count + 1) for (begin, end), count in zip(legs, counts, strict=True)]
    positions = [np.full(max(1, held), float(stops[0]))]
    for (begin, end), count, at in zip(legs, counts, known, strict=True):
        along = np.arange(1, count + 1) / count
        along = (1 - ease) * along + ease * (1 - np.cos(np.pi * along)) / 2
        positions.append(begin + np.interp(along * count, np.arange(count + 1), at))
        if end != stops[-1]:
            positions.append(np.full(held, float(end)))
    return np.concatenate(positions)


def film_timing(
    video: dict,
    steps: Sequence[int],
    sketches: Sequence[np.ndarray] | None = None,
    stops: Sequence[int] | None = None,
) -> dict:
    """The clock of a film: what every later stage needs to know about time.

    With `clock` common all channels show the same step at the same moment (a shorter trajectory waits at its arrival;
    perceived change is the mean of the channels' shares); with `own` each has its own pace and all arrive together.

    Args:
        video: as in `progress`, with `time` (steps | perceived) and `clock` (common | own).
        steps: the last step that each channel shows.
        sketches: as in `equal_change`, of each channel; needed for perceived time.
        stops: of a ring, the steps at which every channel rests.

    Returns:
        {fps, frames, time, clock, steps, positions: a list of `frames` floats a channel}.
    """
    time, clock = video.get("time", "steps"), video.get("clock", "common")
    if time == "perceived" and sketches is None:
        raise ValueError("video.time=perceived needs the sketches of each trajectory")
    shown = [one[: last + 1] for one, last in zip(sketches, steps, strict=True)] if sketches else []

    def moments(of: Sequence[np.ndarray], last: int) -> np.ndarray:
        if stops:
            return ring_positions(video, stops, of if time == "perceived" else None)
        share = progress(video)
        if time == "steps":
            return share * last
        count = min(MOST_MOMENTS, round(video["seconds"] * video["fps"]))
        return np.interp(share, np.linspace(0, 1, count), equal_change(of, count))

    if clock == "own":
        alone = [[one] for one in shown] or [[]] * len(steps)
        positions = [moments(of, last) for of, last in zip(alone, steps, strict=True)]
    else:
        common = moments(shown, max(steps))
        positions = [np.minimum(common, last) for last in steps]
    return {
        "fps": video["fps"],
        "frames": len(positions[0]),
        "time": time,
        "clock": clock,
        "steps": [int(last) for last in steps],
        "positions": [[round(float(position), 6) for position in channel] for channel in positions],
    }


def _products(sketches: np.ndarray) -> np.ndarray:
    """The mean product of every two steps' sketches, [S+1, S+1]: all that distances between mixtures of them need."""
    centred = sketches.astype(np.float64) - sketches.mean(axis=0, dtype=np.float64)
    return centred @ centred.T / centred.shape[1]


def _change(products: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How much the picture changes from each moment [M] to the next; after the last step no more.

    A frame and its follower are mixtures of two steps each, so their distance is a form of four steps' products.
    """
    last = len(products) - 1
    places = np.minimum(at, last)
    before = np.minimum(places.astype(int), max(0, last - 1))
    share = places - before
    which = np.stack([before, np.minimum(before + 1, last)], axis=1)
    weights = np.stack([1 - share, share], axis=1)
    which = np.concatenate([which[:-1], which[1:]], axis=1)
    weights = np.concatenate([-weights[:-1], weights[1:]], axis=1)
    squares = np.einsum("mi,mj,mij->m", weights, weights, products[which[:, :, None], which[:, None, :]])
    return np.sqrt(np.maximum(squares, 0))
