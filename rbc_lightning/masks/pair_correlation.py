"""The pair correlation g(r) of cell centres in a rectangular window, edge-corrected."""

import numpy as np
from numpy.typing import NDArray

BIN_WIDTH = 0.1
MAX_DISTANCE = 4.0
EDGES: NDArray[np.float64] = np.linspace(0.0, MAX_DISTANCE, round(MAX_DISTANCE / BIN_WIDTH) + 1)
CENTRES: NDArray[np.float64] = (EDGES[1:] + EDGES[:-1]) / 2


def pair_sums(
    centers: NDArray[np.float64], height: int, width: int, diameter: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum pairs of centres per distance bin, and what complete randomness would give.

    Every ordered pair counts A / ((H - |dy|) (W - |dx|)), the translation correction (Ohser and Stoyan 1981), so that
    its expectation under complete randomness is n (n - 1) ring / A whatever the window. Over several images both sums
    are added before they are divided.

    Args:
        centers: float64 (n, 2), row and column in pixels.
        height: window height in pixels.
        width: window width in pixels.
        diameter: length unit of the bins in pixels.

    Returns:
        Two float64 (bins,) arrays over `EDGES`: observed and expected; g(r) is their ratio.
    """
    bins = len(CENTRES)
    n = len(centers)
    # A distance the window hardly holds has no stable correction.
    if n < 2 or MAX_DISTANCE * diameter > 0.9 * min(height, width):
        return np.zeros(bins), np.zeros(bins)
    first, second = np.triu_indices(n, 1)
    step = np.abs(centers[first] - centers[second])
    distance = np.hypot(step[:, 0], step[:, 1]) / diameter
    near = distance < MAX_DISTANCE
    weight = 2.0 * height * width / ((height - step[near, 0]) * (width - step[near, 1]))
    observed, _ = np.histogram(distance[near], EDGES, weights=weight)
    ring = np.pi * (EDGES[1:] ** 2 - EDGES[:-1] ** 2) * diameter**2
    return observed, n * (n - 1) * ring / (height * width)
