"""Distances between two sets: Wasserstein distance of values, kernel distance of features, of cells to the nearest others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import wasserstein_distance

Floats = NDArray[np.floating[Any]]

# Rows of the distance matrix of cells computed at a time.
_CHUNK = 256
_FLAT = 1e-6


class KernelDistances(NamedTuple):
    """Kernel distance of other images to real ones, beside that among real ones; means and standard deviations over splits.

    Attributes:
        distance, deviation: between the real images of one half and the other images of the other half.
        halves, halves_deviation: between the real images of both halves.
    """

    distance: float
    deviation: float
    halves: float
    halves_deviation: float


def channel_wasserstein(first: Floats, second: Floats) -> float:
    """One-dimensional Wasserstein (earth mover's) distance of every channel of two sets (n, C), averaged over channels.

    Raises:
        ValueError: shapes disagree, or a set is empty.
    """
    for values in (first, second):
        if values.ndim != 2 or len(values) < 1:
            raise ValueError(f"expected at least 1 row in an array (n, C), got shape {values.shape}")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"both sets need as many columns, got {first.shape[1]} and {second.shape[1]}")
    return float(np.mean([wasserstein_distance(*channel) for channel in zip(first.T, second.T, strict=True)]))


def polynomial_kernel(first: Floats, second: Floats) -> NDArray[np.float64]:
    """Kernel (x . y / d + 1)^3 of all pairs of rows (n, d) and (m, d), float64 (n, m) (Binkowski et al. 2018, section 4)."""
    product = np.asarray(first, dtype=np.float64) @ np.asarray(second, dtype=np.float64).T
    return np.asarray((product / first.shape[1] + 1.0) ** 3)


def discrepancy(within: NDArray[np.float64], within_other: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Unbiased squared maximum mean discrepancy of two sets of two or more, from kernels of all their pairs.

    Under `polynomial_kernel` it is the KID: about 0 for two samples of one distribution, and then as often negative.
    """
    means = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in (within, within_other)]
    return float(sum(means) - 2 * across.mean())


def kernel_distance_over_splits(
    real: Sequence[Floats], other: Sequence[Floats], seed: int, n_splits: int = 50
) -> KernelDistances:
    """Kernel distance of two sets of images, and the same between real images, over random halves of the images.

    Windows of one image resemble each other, which raises the distance of any two sets of few images. So image i of both
    sets counts as one unit, and either distance is that of one half of the units to the other: other images that cannot
    be told from real ones have the distance that real ones have among themselves, whatever the number of images.

    Given are features (windows, d) per image, of both sets for the same masks in the same order. The result is NaN for fewer
    than two images, or an image of fewer than two windows.

    Raises:
        ValueError: the lists differ in length.
    """
    if len(real) != len(other):
        raise ValueError(f"expected as many other images as real ones, got {len(other)} and {len(real)}")
    if len(real) < 2 or min(map(len, (*real, *other))) < 2:
        return KernelDistances(*[float("nan")] * 4)
    units = [np.repeat(np.arange(len(part)), [len(rows) for rows in part]) for part in (real, other)]
    everything = np.concatenate([*real, *other])
    # All kernels at once; a split is a choice of rows and columns.
    kernels = polynomial_kernel(everything, everything)
    rng = np.random.default_rng(seed)
    values = np.empty((n_splits, 2))
    for split in range(n_splits):
        here, there = np.array_split(rng.permutation(len(real)), 2)
        reference = np.flatnonzero(np.isin(units[0], here))
        rivals = (np.flatnonzero(np.isin(units[1], there)) + len(units[0]), np.flatnonzero(np.isin(units[0], there)))
        for column, rival in enumerate(rivals):
            pairs = ((reference, reference), (rival, rival), (reference, rival))
            values[split, column] = discrepancy(*(kernels[np.ix_(a, b)] for a, b in pairs))
    (distance, halves), (deviation, halves_deviation) = values.mean(axis=0).tolist(), values.std(axis=0).tolist()
    return KernelDistances(distance, deviation, halves, halves_deviation)


@dataclass(frozen=True)
class NearestPatterns:
    """For every query the distance to the nearest reference, float64 (n,), and the index of that one, int64 (n,)."""

    distance: NDArray[np.float64]
    index: NDArray[np.int64]


def nearest_distances(queries: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance of every cell's pattern to that of the nearest reference cell, as it is or mirrored; see `nearest_patterns`."""
    return nearest_patterns(queries, references).distance


def nearest_patterns(queries: NDArray[np.float32], references: NDArray[np.float32], shift: int = 0) -> NearestPatterns:
    """The nearest reference of every query, as it is or mirrored, by their patterns.

    A crop's pattern is the crop with mean 0 per channel and deviation 1: generated cells take their stain from training
    cells by design, and smoother ones would be nearer to everything. The distance is the root mean square difference of two
    patterns, which is sqrt(2 (1 - correlation)): 0 for a copy, 1.41 for unrelated patterns.

    Args:
        queries: cells or whole images, (n, H, W, C).
        references: (m, H, W, C).
        shift: queries are moved by up to so many pixels in each direction as well; the outer pixels then do not count.

    Raises:
        ValueError: crops of different size, or no reference.
    """
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(f"crops must have one size, got {queries.shape[1:]} and {references.shape[1:]}")
    if len(references) == 0:
        raise ValueError("expected at least one reference cell, got none")
    height, width = (side - 2 * shift for side in queries.shape[1:3])
    known = patterns(references[:, shift : shift + height, shift : shift + width])
    squares = (known**2).sum(axis=1)
    nearest, index = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    moves = range(2 * shift + 1)
    # Mirroring the queries alone covers mirrored references too.
    for mirrored in (queries, queries[:, ::-1], queries[:, :, ::-1], queries[:, ::-1, ::-1]):
        for top, left in ((top, left) for top in moves for left in moves):
            rows = patterns(mirrored[:, top : top + height, left : left + width])
            for start in range(0, len(rows), _CHUNK):
                part = rows[start : start + _CHUNK]
                distances = (part**2).sum(axis=1)[:, None] + squares[None] - 2 * part @ known.T
                best = distances.argmin(axis=1)
                found = np.asarray(distances[np.arange(len(part)), best])
                nearer = np.flatnonzero(found < nearest[start : start + _CHUNK])
                nearest[start + nearer], index[start + nearer] = found[nearer], best[nearer]
    return NearestPatterns(np.sqrt(np.clip(nearest, 0, None) / known.shape[1]), index)


def pattern_distances(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances of the patterns of all pairs of images (n, H, W, C), as they are: float64 (n (n - 1) / 2,), as `pdist`'s."""
    rows = patterns(images)
    return np.asarray(pdist(rows) / math.sqrt(rows.shape[1]))


def patterns(crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows float32 (n, H W C) of crops (n, H, W, C): mean 0 in each channel and deviation 1; 0 of flat ones."""
    centred = crops - crops.mean(axis=(1, 2), keepdims=True)
    scaled = centred / np.maximum(centred.std(axis=(1, 2, 3), keepdims=True), _FLAT)
    return np.asarray(scaled.reshape(len(crops), math.prod(crops.shape[1:])), dtype=np.float32)
