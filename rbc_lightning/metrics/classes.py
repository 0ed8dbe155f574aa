"""Scores of label maps of classes from counts of their pixels: accuracy, IoU and Dice of classes, and their means.

A label map of classes is an integer array (H, W): 0 is background, the value c the c-th of K classes. Counts are int64
(K + 1, K + 1): how many pixels of each true value (row) were given each value (column); those of several images add up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def count_pixels(found: NDArray[np.integer], truth: NDArray[np.integer], n_classes: int) -> Counts:
    """Count the pixels of two label maps (H, W) of `n_classes` classes by true and by given value.

    Raises:
        TypeError: a map is not an integer array.
        ValueError: the shapes differ, or a value is no class.
    """
    for name, label_map in (("found", found), ("truth", truth)):
        if label_map.dtype.kind not in "iu":
            raise TypeError(f"expected an integer label map, got {name} of dtype {label_map.dtype}")
        if label_map.size and not 0 <= label_map.min() <= label_map.max() <= n_classes:
            values = f"{label_map.min()} to {label_map.max()}"
            raise ValueError(
                f"expected values from 0 to {n_classes}, the number of classes, got {name} with values from {values}"
            )
    if found.shape != truth.shape:
        raise ValueError(f"found and truth must have one shape, got {found.shape} and {truth.shape}")
    size = n_classes + 1
    codes = truth.astype(np.int64).ravel() * size + found.astype(np.int64).ravel()
    return np.bincount(codes, minlength=size * size).astype(np.int64).reshape(size, size)


def nothing_found(counts: Counts) -> Counts:
    """The counts of the answer "background" everywhere, to the same truth: what every mean over classes stands beside."""
    answer = np.zeros_like(counts)
    answer[:, 0] = counts.sum(axis=1)
    return answer


def accuracy(counts: Counts) -> float:
    """Share of pixels whose value is right, (TP + TN) / all; 1.0 of no pixel."""
    total = int(counts.sum())
    return int(np.trace(counts)) / total if total else 1.0


def class_dice(counts: Counts) -> NDArray[np.float64]:
    """Dice of each value, 2 TP / (2 TP + FP + FN), float64 (K + 1,); NaN of a value that neither map has."""
    return _over(2 * np.diagonal(counts), counts.sum(axis=0) + counts.sum(axis=1))


def class_iou(counts: Counts) -> NDArray[np.float64]:
    """IoU of each value, TP / (TP + FP + FN), float64 (K + 1,); NaN of a value that neither map has."""
    return _over(np.diagonal(counts), counts.sum(axis=0) + counts.sum(axis=1) - np.diagonal(counts))


def mean_present(values: NDArray[np.float64], *, background: bool) -> float:
    """Mean over the values that a map has, those which are not NaN, with that of the background or without.

    1.0 where there is none: nothing was found of nothing. Novoselov and Smirnov 2024 call such means "mean IoU" and "Dice",
    and say neither whether background counts nor over how many classes; Dice is a sum there, by its formula.
    """
    chosen = values if background else values[1:]
    present = chosen[~np.isnan(chosen)]
    return float(present.mean()) if len(present) else 1.0


def _over(part: Counts, whole: Counts) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
