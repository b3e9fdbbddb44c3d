"""Passes as they are seen from a panorama's plane. No torch."""

from collections.abc import Mapping

import numpy as np


def passes_on_plane(passes: Mapping[str, np.ndarray], arrivals: np.ndarray) -> dict[str, np.ndarray]:
    """What the panorama draws of the passes between its three arrivals.

    The plane's axes are found again from the arrivals, which lie on it: they end the bands, in both coordinates.

    Args:
        passes: the arrays of passes.safetensors, of the pairs 1-2, 2-3 and 3-1.
        arrivals: [3, 2], on the plane.

    Returns:
        pass_bands [3, P, 2], pass_tops [3, 2], pass_profiles [3, T].
    """
    ends = passes["bands"][:, 0].astype(np.float64)
    middle, seen = ends.mean(axis=0), arrivals - arrivals.mean(axis=0)
    # Of three points in a plane, the map from the conditioning to it that is blind at right angles to it.
    onto = np.linalg.pinv(ends - middle) @ seen
    return {
        "pass_bands": (passes["bands"] - middle) @ onto + arrivals.mean(axis=0),
        "pass_tops": (passes["saddles"] - middle) @ onto + arrivals.mean(axis=0),
        "pass_profiles": passes["profiles"],
    }
