"""Where the cells of a phantom lie: discs that settle under soft repulsion, adhesion and thermal motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MARGIN = 0.4  # diameters that a centre may lie outside the field: such cells are cut by the border
N_STEPS = 80
REACH = 1.35  # contact distances over which two cells attract each other
STIFFNESS = 26.0  # of the soft core, thermal energies at full overlap


def settle(
    diameters: NDArray[np.float64], height: int, width: int, adhesion: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Let cells sink onto the slide: Brownian dynamics of soft, slightly sticky discs.

    The cells start from an uneven rain (a smear is thicker in places) and move for a fixed number of steps, too few
    to even the density out, enough to resolve deep overlaps and to form small clusters. The box is periodic and
    larger than the field by a margin on every side, so nothing gathers at the border. This process shares nothing
    with the mask sampler that is later judged on this data.

    Args:
        diameters: Diameter of each cell, pixels, float64 (n,).
        height: Rows of the field.
        width: Columns of the field.
        adhesion: Depth of the attraction, thermal energies.
        rng: Source of all draws.

    Returns:
        Centres as (row, column) in pixels of the field, float64 (n, 2); some lie a little outside.
    """
    mean = float(diameters.mean())
    box = np.array([height, width]) + 2 * MARGIN * mean
    centers = _uneven_rain(len(diameters), box, mean, rng)
    for step in range(N_STEPS):
        # Motion slows down as the film dries: large moves first, small ones to finish.
        mobility = 0.012 * (1.0 - 0.8 * step / N_STEPS)
        drift = mobility * _forces(centers, diameters, box, adhesion)
        drift *= np.minimum(1.0, 0.3 / np.maximum(np.linalg.norm(drift, axis=1, keepdims=True), 1e-9))
        noise = np.sqrt(2.0 * mobility) * rng.normal(0.0, 1.0, centers.shape)
        centers = np.mod(centers + mean * (drift + noise), box)
    return centers - MARGIN * mean


def _uneven_rain(n: int, box: NDArray[np.float64], mean: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw n points whose density varies over about ten cells, float64 (n, 2) in the box."""
    points = rng.uniform(0.0, 1.0, (4 * n, 2)) * box
    log_density = np.zeros(len(points))
    for _ in range(6):
        # Whole numbers of waves per side keep the density periodic like the box.
        waves = np.round(rng.normal(0.0, 1.0, 2) * box / (10.0 * mean))
        log_density += 0.2 * np.cos(2 * np.pi * (points / box @ waves + rng.uniform()))
    keys = rng.gumbel(size=len(points)) + log_density
    return points[np.argsort(-keys, kind="stable")[:n]]


def _forces(
    centers: NDArray[np.float64], diameters: NDArray[np.float64], box: NDArray[np.float64], adhesion: float
) -> NDArray[np.float64]:
    """Force on each cell in thermal energies per mean diameter, float64 (n, 2)."""
    reach = min(REACH * float(diameters.max()), 0.49 * float(box.min()))
    pairs = cKDTree(centers, boxsize=box).query_pairs(reach, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]  # sums in floating point depend on the order
    first, second = pairs[:, 0], pairs[:, 1]
    gap = centers[second] - centers[first]
    gap -= box * np.round(gap / box)
    length = np.maximum(np.linalg.norm(gap, axis=1), 1e-6)
    ratio = length / (0.5 * (diameters[first] + diameters[second]))
    push = -STIFFNESS * np.clip(1.0 - ratio, 0.0, None)
    # Beyond contact the energy rises from -adhesion to zero as a half cosine.
    phase = np.clip((ratio - 1.0) / (REACH - 1.0), 0.0, 1.0)
    pull = adhesion * 0.5 * np.pi / (REACH - 1.0) * np.sin(np.pi * phase)
    force = ((push + pull) / length)[:, None] * gap
    total = np.zeros_like(centers)
    for axis in range(2):
        total[:, axis] = np.bincount(first, force[:, axis], len(centers))
        total[:, axis] -= np.bincount(second, force[:, axis], len(centers))
    return total
