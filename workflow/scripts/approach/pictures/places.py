"""A census of places: which arrivals are one place, how many places there are, what drains to each. No torch."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

SIDE = 64  # pixels of the pictures that are compared
MOST_STARTS = 200  # that say how far apart starts are
SURE = 1.96  # standard deviations of a 95 % interval


def small(pictures: np.ndarray) -> np.ndarray:
    """Pictures [N, H, W, 3] uint8, averaged to at most SIDE px, float32 in [-1, 1]."""
    factor = max(1, pictures.shape[1] // SIDE)
    side = pictures.shape[1] // factor
    cut = pictures[:, : side * factor, : side * factor]
    blocks = cut.reshape(len(cut), side, factor, side, factor, 3)
    return blocks.mean(axis=(2, 4), dtype=np.float32) / 127.5 - 1


def pixel_differences(pictures: np.ndarray) -> np.ndarray:
    """Root mean square differences between every two of `small` pictures, [N, N]."""
    flat = pictures.reshape(len(pictures), -1)
    return differences(flat @ flat.T / flat.shape[1])


def differences(products: np.ndarray) -> np.ndarray:
    """Distances between every two of N vectors, from their products [N, N]."""
    own = np.diag(products)
    squares = own[:, None] + own[None, :] - 2 * products
    np.fill_diagonal(squares, 0)
    return np.sqrt(np.maximum(squares, 0))


def typical(distances: np.ndarray) -> float:
    """The median distance between two different ones of N, from [N, N]."""
    return float(np.median(distances[np.triu_indices(len(distances), 1)]))


def place_numbers(distances: np.ndarray, apart: float) -> np.ndarray:
    """To which place each arrival belongs: clusters whose mean distance to one another is more than `apart`.

    Average linkage (Sokal and Michener 1958).

    Args:
        distances: [N, N].
        apart: in the same unit.

    Returns:
        [N] numbers from 0, the largest place first.
    """
    if len(distances) < 2:
        return np.zeros(len(distances), int)
    merged = linkage(squareform((distances + distances.T) / 2, checks=False), "average")
    found = fcluster(merged, apart, "distance")
    labels, firsts, counts = np.unique(found, return_index=True, return_counts=True)
    order = labels[np.lexsort((firsts, -counts))]
    return np.argsort(order)[np.searchsorted(labels, found)]


def chao1(sizes: Sequence[int]) -> dict[str, float]:
    """How many places there are at least, from those that were found once and twice.

    Chao (1984), bias-corrected; its interval of 95 % as Chao (1987), log-normal above what was found.

    Args:
        sizes: how many arrivals each place has.

    Returns:
        {found, once, twice, estimate, low, high, covered: the share of all starts that lead to places found (Good
        1953)}.
    """
    sizes = np.asarray(sizes)
    found, total = len(sizes), int(sizes.sum())
    once, twice = int((sizes == 1).sum()), int((sizes == 2).sum())
    scale = (total - 1) / total
    unseen = scale * once * (once - 1) / (2 * (twice + 1))
    spread = scale * once * (once - 1) / (2 * (twice + 1))
    spread += scale**2 * once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
    spread += scale**2 * once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
    if not twice:
        spread -= scale**2 * once**4 / (4 * (found + unseen))
    low = high = float(found)
    if unseen > 0:
        reach = math.exp(SURE * math.sqrt(math.log(1 + spread / unseen**2)))
        low, high = found + unseen / reach, found + unseen * reach
    covered = 1 - once / total
    told = {"found": found, "once": once, "twice": twice, "estimate": found + unseen, "low": low, "high": high}
    return {**told, "covered": covered}


def promised(sizes: Sequence[int], times: float) -> float:
    """How many places `times` as many arrivals are likely to show, from Chao1 (Colwell and others 2012)."""
    told, total = chao1(sizes), int(np.sum(sizes))
    unseen = told["estimate"] - told["found"]
    if unseen <= 0:
        return float(told["found"])
    share = told["once"] / (total * unseen + told["once"])
    return told["found"] + unseen * (1 - (1 - share) ** (total * (times - 1)))


def split_check(numbers: np.ndarray) -> dict[str, float]:
    """What half of the arrivals, drawn at random, promise of them all, beside what all showed.

    At random, since named start classes follow the seeds in turn.

    Args:
        numbers: as `place_numbers` gives them.

    Returns:
        {half: arrivals, found, estimate, low, high, promised: places among all arrivals, shown: by all}.
    """
    half = np.random.default_rng(0).permutation(numbers)[::2]
    sizes = np.unique(half, return_counts=True)[1]
    told = chao1(sizes)
    kept = {key: told[key] for key in ("found", "estimate", "low", "high")}
    shown = len(np.unique(numbers))
    return {"half": len(half), **kept, "promised": promised(sizes, len(numbers) / len(half)), "shown": shown}


def places_table(numbers: np.ndarray, distances: np.ndarray, arrivals: pd.DataFrame, by: str) -> pd.DataFrame:
    """A row per place, the largest basin first.

    Args:
        numbers: as `place_numbers` gives them.
        distances: [N, N].
        arrivals: N rows of trajectories.csv, with `trajectory`.
        by: the metric of nearness.

    Returns:
        place (from 1), arrivals, share of all, trajectory (the arrival that the others are nearest to), nearest and
        mean_{by} of its arrivals, by_closeness (its place by that mean), start_classes ("shore 12, lamp 3").
    """
    rows = []
    far = arrivals[f"final_{by}"].to_numpy()
    for number in range(numbers.max() + 1):
        members = np.flatnonzero(numbers == number)
        middle = members[distances[np.ix_(members, members)].sum(axis=1).argmin()]
        classes = arrivals["start_class"].iloc[members].value_counts()
        rows.append(
            {
                "place": number + 1,
                "arrivals": len(members),
                "share": len(members) / len(numbers),
                "trajectory": arrivals["trajectory"].iloc[middle],
                f"nearest_{by}": far[members].min(),
                f"mean_{by}": far[members].mean(),
                "start_classes": ", ".join(f"{name} {count}" for name, count in classes.items()),
            }
        )
    table = pd.DataFrame(rows)
    table.insert(3, "by_closeness", table[f"mean_{by}"].rank(method="first").astype(int))
    return table


def by_start_class(numbers: np.ndarray, classes: Sequence[str]) -> dict[str, dict]:
    """Where starts of each class lead: class -> {starts, places, most: {place, share}}."""
    found = {}
    for name, part in pd.Series(numbers).groupby(np.asarray(classes)):
        counts = part.value_counts()
        most = {"place": int(counts.index[0]) + 1, "share": float(counts.iloc[0] / len(part))}
        found[str(name)] = {"starts": len(part), "places": len(counts), "most": most}
    return found


def what_the_loss_does_not_say(table: pd.DataFrame, by: str) -> dict:
    """Whether large basins are near: the largest place, the nearest one, and the rank correlation of size and distance.

    Args:
        table: as `places_table` gives it.
        by: the metric of nearness.
    """
    largest, nearest = table.iloc[0], table.sort_values("by_closeness").iloc[0]
    found = {}
    for name, row in (("largest", largest), ("nearest", nearest)):
        found[name] = {
            "place": int(row["place"]),
            "share": float(row["share"]),
            "by_closeness": int(row["by_closeness"]),
        }
        found[name][by] = float(row[f"mean_{by}"])
    if table["arrivals"].nunique() > 1:
        rank = spearmanr(table["arrivals"], table[f"mean_{by}"])
        found["size_and_distance"] = {"spearman": float(rank.statistic), "p": float(rank.pvalue)}
    return found


def census_words(told: Mapping, by: str) -> list[str]:
    """The census in sentences."""
    count, chao, check, asked = told["starts"], told["places"], told["check"], told["basins"]
    largest, nearest = asked["largest"], asked["nearest"]
    said = [
        f"{count} starts came to {chao['found']} places, {chao['once']} of them once and {chao['twice']} twice. "
        f"There may be {chao['estimate']:.0f} at least ({chao['low']:.0f} to {chao['high']:.0f}, Chao1); "
        f"{chao['covered']:.0%} of all starts lead to places that were found.",
        f"The largest basin takes {largest['share']:.1%} of the starts and is place {largest['by_closeness']} of "
        f"{chao['found']} by {by}; the nearest takes {nearest['share']:.1%}.",
        f"Half of the starts, {check['half']}, promised {check['promised']:.0f} places for all; "
        f"{check['shown']} were found.",
    ]
    if "size_and_distance" in asked:
        rho = asked["size_and_distance"]["spearman"]
        how = "the larger a basin, the nearer it is" if rho < 0 else "the larger a basin, the farther it is"
        said[1] += f" Rank correlation of size and distance: {rho:+.2f} ({how})."
    return said
