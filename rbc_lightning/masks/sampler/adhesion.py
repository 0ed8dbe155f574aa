"""The excitation z of Bailo et al. 2019, eq. 3, draws from the probability map P(i) it adds up to, and the map itself."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.jit import kernel

# Beyond five cell sizes lie 4e-8 of the mass of z (share of the plane: 1 - F(25) = 2^-25 / ln 2).
TRUNCATION = 5.0


class OffsetTable(NamedTuple):
    """Alias table over the quadrant row >= 0, column >= 0 of the lattice, for draws in constant time.

    A drawn entry is kept with probability ``keep``, else ``alias`` is taken; entry k is the offset (k // side, k % side).
    """

    keep: NDArray[np.float64]
    alias: NDArray[np.int32]
    side: int


def excitation(distance: NDArray[np.float64], cell_size: float, tail: float = 1.0) -> NDArray[np.float64]:
    """Evaluate z at some distance from a cell's centre, in pixels (Bailo et al. 2019, Sec. 4.1.2).

    A Gaussian of peak 1 whose half width at half maximum is ``cell_size``, so sigma = cell_size / sqrt(2 ln 2), and
    1 minus it ("reverted") up to ``cell_size``: 0 in the centre, continuous and largest, 1/2, at one cell diameter.
    ``tail`` stretches the distances beyond it: 1 is the paper's z, whose integral is pi cell_size^2; less draws cells closer.
    """
    beyond = np.exp2(-np.square(1.0 + (distance / cell_size - 1.0) / tail))
    return np.where(distance <= cell_size, 1.0 - np.exp2(-np.square(distance / cell_size)), beyond)


def lattice_kernel(cell_size: float, tail: float = 1.0) -> NDArray[np.float64]:
    """Evaluate z on the integer lattice, scaled to unit mass and cut beyond five cell sizes; arguments as of `excitation`.

    Returns:
        float64 (2 k + 1, 2 k + 1), centre at (k, k), k = floor(5 cell_size).

    Raises:
        ValueError: ``cell_size`` is below one pixel or not finite, or ``tail`` is not in (0, 1].
    """
    if not (math.isfinite(cell_size) and cell_size >= 1):
        raise ValueError(f"cell_size must be a finite number of pixels >= 1, got {cell_size}")
    if not 0 < tail <= 1:
        raise ValueError(f"the kernel's tail must be in (0, 1], got {tail}")
    reach = math.floor(TRUNCATION * cell_size)
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    distance = np.hypot(steps[:, None], steps[None, :])
    values = np.where(distance <= TRUNCATION * cell_size, excitation(distance, cell_size, tail), 0.0)
    return np.asarray(values / values.sum())


def offset_table(lattice: NDArray[np.float64]) -> OffsetTable:
    """Prepare constant-time draws from a kernel that is symmetric in both axes, as `lattice_kernel` gives it.

    One quadrant is enough: entries off an axis stand for two or four lattice points, whose signs are drawn apart.
    """
    reach = lattice.shape[0] // 2
    quadrant = lattice[reach:, reach:] * 4.0
    quadrant[0] /= 2.0
    quadrant[:, 0] /= 2.0
    keep, alias = _alias(quadrant.ravel() / quadrant.sum())
    return OffsetTable(keep, alias, reach + 1)


@kernel
def _alias(probability: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Split every entry's share of 1/n between itself and one donor (Vose 1991)."""
    n = len(probability)
    keep = probability * n
    alias = np.arange(n).astype(np.int32)
    small, large = np.empty(n, np.int32), np.empty(n, np.int32)
    n_small, n_large = 0, 0
    for entry in range(n):
        if keep[entry] < 1.0:
            small[n_small] = entry
            n_small += 1
        else:
            large[n_large] = entry
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        entry, donor = small[n_small], large[n_large - 1]
        alias[entry] = donor
        keep[donor] -= 1.0 - keep[entry]
        if keep[donor] < 1.0:
            n_large -= 1
            small[n_small] = donor
            n_small += 1
    # What is left over differs from 1 by rounding only.
    keep[small[:n_small]] = 1.0
    keep[large[:n_large]] = 1.0
    return keep, alias


@kernel
def draw_parent(rng: np.random.Generator, placed: int, n_init: int, exact_mean: bool) -> int:
    """Draw a placed cell by its weight in P(i); with the offset, this is a draw from P(i) without the map.

    A mixture is sampled by choosing the component first. With the printed a_i the ``n_init`` initial cells share a
    weight of n_init + 1 and every later one has 1 (`parent_weights`).
    """
    if exact_mean:
        return int(rng.random() * placed)
    share = rng.random() * (placed + 1)
    if share < n_init + 1:
        return min(int(share * n_init / (n_init + 1)), n_init - 1)
    return int(share) - 1


@kernel
def draw_offset(rng: np.random.Generator, keep: NDArray[np.float64], alias: NDArray[np.int32], side: int) -> tuple[int, int]:
    """Draw a lattice offset: an entry of the quadrant by the alias method, and two signs."""
    # One number serves for signs, entry and the choice between entry and alias: of its 53 bits 2, then 16 or so.
    where = rng.random() * (4 * len(keep))
    whole = int(where)
    signs, entry = whole & 3, whole >> 2
    if where - whole >= keep[entry]:
        entry = alias[entry]
    row, column = entry // side, entry % side
    return (-row if signs & 1 else row), (-column if signs & 2 else column)


@kernel
def draw_place(
    rng: np.random.Generator,
    centers: NDArray[np.int64],
    placed: int,
    keep: NDArray[np.float64],
    alias: NDArray[np.int32],
    side: int,
    n_init: int,
    exact_mean: bool,
    low: int,
    bottom: int,
    right: int,
) -> tuple[int, int]:
    """Draw from P(i) within rows low..bottom-1 and columns low..right-1, without the map.

    The parent is kept while the offset leaves the image: so each z is cut at the border and scaled to sum 1, as in
    `adhesion_map`. Drawing both again would weigh the parents by how much of their z lies inside.
    """
    parent = draw_parent(rng, placed, n_init, exact_mean)
    while True:
        row, column = draw_offset(rng, keep, alias, side)
        row += centers[parent, 0]
        column += centers[parent, 1]
        if low <= row < bottom and low <= column < right:
            return row, column


def parent_weights(n_placed: int, n_init: int, exact_mean: bool = False) -> NDArray[np.float64]:
    """Weights of the placed cells, at least ``n_init``, in P(n_placed + 1): equation 3 in closed form, float64 (n_placed,).

    With the printed a_i = 1/i each of the first ``n_init`` cells counts (n_init + 1) / n_init times; with a_i = 1/(i-1)
    the map is the exact running mean.
    """
    weights = np.ones(n_placed)
    if not exact_mean:
        weights[:n_init] = (n_init + 1) / n_init
    return np.asarray(weights / weights.sum())


def adhesion_map(
    centers: NDArray[np.integer], height: int, width: int, cell_size: float, n_init: int = 20, exact_mean: bool = False
) -> NDArray[np.float64]:
    """Probability map of the next cell's centre after the given ones: P(n + 1) of Bailo et al. 2019, eq. 3.

    Every z is cut at the image border and scaled to sum 1 there, so that each printed formula holds word for word and
    every P(i) sums to 1. Until ``n_init`` cells are placed the map is uniform. ``centers``, integer (n, 2), are row and
    column of the placed cells in the order of placing; the other arguments are those of `MaskSampler`.

    Returns:
        float64 (height, width), summing to 1.

    Raises:
        ValueError: a size is not positive, ``n_init`` is below 1, or a centre lies outside the image.
    """
    places = np.asarray(centers, dtype=np.int64).reshape(-1, 2)
    if height < 1 or width < 1 or n_init < 1:
        raise ValueError(f"height, width and n_init must be at least 1, got {height}, {width} and {n_init}")
    if len(places) and not ((places >= 0) & (places < [height, width])).all():
        raise ValueError(f"centres must lie inside the {height} x {width} image, got {places.min(0)} to {places.max(0)}")
    lattice = lattice_kernel(cell_size)
    if len(places) < n_init:
        return np.full((height, width), 1.0 / (height * width))
    reach = lattice.shape[0] // 2
    probability = np.zeros((height, width))
    for (row, column), weight in zip(places, parent_weights(len(places), n_init, exact_mean), strict=True):
        top, left = max(row - reach, 0), max(column - reach, 0)
        bottom, right = min(row + reach + 1, height), min(column + reach + 1, width)
        cut = lattice[top - row + reach : bottom - row + reach, left - column + reach : right - column + reach]
        probability[top:bottom, left:right] += cut * (weight / cut.sum())
    return probability
