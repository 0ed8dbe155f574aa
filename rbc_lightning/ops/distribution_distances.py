"""Distances between two sets of samples: Wasserstein distance of values, kernel distance of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

Floats = NDArray[np.floating[Any]]


class KernelDistances(NamedTuple):
    """Kernel distance of other images to real ones, beside that among real ones; means and spreads over splits.

    Attributes:
        distance: between the real images of one half and the other images of the other half.
        deviation: its standard deviation over the splits.
        halves: between the real images of both halves.
        halves_deviation: its standard deviation over the splits.
    """

    distance: float
    deviation: float
    halves: float
    halves_deviation: float


def channel_wasserstein(first: Floats, second: Floats) -> float:
    """One-dimensional Wasserstein (earth mover's) distance of every channel, averaged over channels.

    Args:
        first: (n, C), one row per sample; in any unit, which the distance shares.
        second: (m, C).

    Raises:
        ValueError: shapes disagree, or a set is empty.
    """
    _check_sets(first, second, least=1)
    channels = range(first.shape[1])
    return float(np.mean([wasserstein_distance(first[:, channel], second[:, channel]) for channel in channels]))


def polynomial_kernel(first: Floats, second: Floats) -> NDArray[np.float64]:
    """Kernel (x . y / d + 1)^3 of all pairs of rows (Binkowski et al. 2018, section 4).

    Args:
        first: (n, d).
        second: (m, d).

    Returns:
        float64 (n, m).
    """
    product = np.asarray(first, dtype=np.float64) @ np.asarray(second, dtype=np.float64).T
    return np.asarray((product / first.shape[1] + 1.0) ** 3)


def kernel_distance(first: Floats, second: Floats) -> float:
    """Unbiased squared maximum mean discrepancy under `polynomial_kernel`: the KID of two sets of features.

    Args:
        first: (n, d), n of 2 or more.
        second: (m, d), m of 2 or more.

    Returns:
        About 0 for two samples of one distribution, and then as often negative as positive.

    Raises:
        ValueError: shapes disagree, or a set has fewer than two rows.
    """
    _check_sets(first, second, least=2)
    kernels = (polynomial_kernel(a, b) for a, b in ((first, first), (second, second), (first, second)))
    return _discrepancy(*kernels)


def kernel_distance_over_splits(
    real: Sequence[Floats], other: Sequence[Floats], seed: int, n_splits: int = 50
) -> KernelDistances:
    """Kernel distance of two sets of images, and the same between real images, over random halves of the images.

    Windows of one image resemble each other, which raises the distance of any two sets of few images. So image i of both
    sets counts as one unit, and either distance is that of one half of the units to the other: other images that cannot
    be told from real ones have the distance that real ones have among themselves, whatever the number of images.

    Args:
        real: per image, features (windows, d).
        other: the same for the other images, made for the same masks in the same order.
        seed: of the splits.
        n_splits: how many.

    Returns:
        Means and standard deviations over the splits; NaN for fewer than two images, or an image of fewer than two windows.

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
            values[split, column] = _discrepancy(*(kernels[np.ix_(a, b)] for a, b in pairs))
    (distance, halves), (deviation, halves_deviation) = values.mean(axis=0).tolist(), values.std(axis=0).tolist()
    return KernelDistances(distance, deviation, halves, halves_deviation)


def _discrepancy(within: NDArray[np.float64], within_other: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Means of the kernel over distinct pairs of each set, minus twice that over pairs of both."""
    means = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in (within, within_other)]
    return float(sum(means) - 2 * across.mean())


def _check_sets(first: Floats, second: Floats, least: int) -> None:
    for values in (first, second):
        if values.ndim != 2 or len(values) < least:
            raise ValueError(f"expected at least {least} rows in an array (n, C), got shape {values.shape}")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"both sets need as many columns, got {first.shape[1]} and {second.shape[1]}")
