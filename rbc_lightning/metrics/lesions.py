"""The five measures of the WMH segmentation challenge (Kuijf et al. 2019, IEEE TMI 38:2556) of one scan, and lesions by size.

As the challenge's script computes them from a reference that is stored as float (hjkuijf/wmhchallenge, 2e628cb). From one of
integers that script takes what is no lesion for one, because it casts its thresholds of 0.5 and 1.5 to the type of the
pixels: to compare, store the reference as float32.

A reference is an integer array (Z, Y, X): 1 lesion, 2 other pathology, under which no result counts, else background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

LESION, OTHER = 1, 2
"""Values of a reference."""
_LARGEST = 1000
_TOUCHING = np.ones((3, 3, 3), dtype=np.bool_)
_IN_PLANE = np.ones((1, 3, 3), dtype=np.bool_)
Mask = NDArray[np.bool_]


class WmhScores(NamedTuple):
    """The five measures; NaN where one is not defined, which no mean may take for a number.

    Attributes:
        dice: 2 TP / (2 TP + FP + FN) of voxels; NaN if both masks are empty.
        h95: mm, see `hausdorff_95`; NaN if a mask is empty.
        avd: absolute volume difference, percent of the reference's volume; NaN if the reference is empty.
        lesion_recall: share of the reference's lesions that the result touches; 1 if there are none.
        lesion_f1: of that recall and of the share of the result's lesions that touch the reference; 0 if both are 0.
    """

    dice: float
    h95: float
    avd: float
    lesion_recall: float
    lesion_f1: float


class LesionCounts(NamedTuple):
    """Lesions of the reference within a range of sizes, and how many of them the result touches."""

    n_true: int
    n_touched: int


def wmh_scores(
    reference: NDArray[np.integer], result: NDArray[np.bool_ | np.number], spacing: tuple[float, float, float]
) -> WmhScores:
    """The five measures of one scan.

    Args:
        reference: integer (Z, Y, X), see the module.
        result: (Z, Y, X), booleans, integers or floats such as probabilities: values from 1, of floats from 0.5, to 1000 are
            lesion, as the challenge has it.
        spacing: mm between voxels along x, y, z; x and y lie in the slices.

    Raises:
        TypeError: the reference is not an integer array, or the result holds no numbers.
        ValueError: the shapes differ or are not (Z, Y, X), or a spacing is not positive.
    """
    true, found = _masks(reference, result)
    if len(spacing) != true.ndim or not all(mm > 0 for mm in spacing):
        raise ValueError(f"expected a spacing of three positive numbers of mm, got {tuple(spacing)}")
    n_true, n_found, n_both = (int(np.count_nonzero(mask)) for mask in (true, found, true & found))
    recall, precision = _share_touched(true, found), _share_touched(found, true)
    return WmhScores(
        dice=2 * n_both / (n_true + n_found) if n_true + n_found else float("nan"),
        h95=hausdorff_95(true, found, spacing),
        avd=100 * abs(n_true - n_found) / n_true if n_true else float("nan"),
        lesion_recall=recall,
        lesion_f1=2 * recall * precision / (recall + precision) if recall + precision else 0.0,
    )


def hausdorff_95(true: Mask, found: Mask, spacing: tuple[float, float, float]) -> float:
    """The larger of both directed 95th percentiles of the distances from one mask's border to the other's, mm.

    The border is what a 3 x 3 erosion of each slice takes away, with foreground outside the volume; percentiles are
    interpolated linearly. NaN if a mask has no border: it is empty, or fills whole slices.

    Args:
        true: bool (Z, Y, X).
        found: likewise.
        spacing: mm along x, y, z.
    """
    borders = [_border(mask) * np.asarray(spacing[::-1]) for mask in (true, found)]
    if not all(map(len, borders)):
        return float("nan")
    directed = [KDTree(there).query(here)[0] for here, there in (borders, borders[::-1])]
    return float(max(np.percentile(distances, 95) for distances in directed))


def by_size(
    reference: NDArray[np.integer],
    result: NDArray[np.bool_ | np.number],
    spacing: tuple[float, float, float],
    limits: Sequence[float],
) -> tuple[LesionCounts, ...]:
    """Lesions found, counted by size.

    Args:
        reference: see `wmh_scores`.
        result: likewise.
        spacing: likewise.
        limits: ml, increasing: the first range ends below the first, the last begins at the last.

    Returns:
        One more than limits.
    """
    ml, touched = lesions_found(reference, result, spacing)
    ranges = np.digitize(ml, limits)
    return tuple(
        LesionCounts(int((ranges == index).sum()), int(touched[ranges == index].sum())) for index in range(len(limits) + 1)
    )


def lesions_found(
    reference: NDArray[np.integer], result: NDArray[np.bool_ | np.number], spacing: tuple[float, float, float]
) -> tuple[NDArray[np.float64], Mask]:
    """The size of every lesion of the reference in ml, float64 (n,), and which of them the result touches, bool (n,).

    Args:
        reference: see `wmh_scores`.
        result: likewise.
        spacing: likewise.
    """
    true, found = _masks(reference, result)
    patches, n_patches = ndimage.label(true, structure=_TOUCHING)
    ml = np.bincount(patches.ravel(), minlength=n_patches + 1)[1:] * float(np.prod(spacing)) / 1000
    return ml, np.isin(np.arange(1, n_patches + 1), np.unique(patches[found]))


def _masks(reference: NDArray[np.integer], result: NDArray[np.bool_ | np.number]) -> tuple[Mask, Mask]:
    """What is true, and what is found where it counts."""
    if reference.dtype.kind not in "iu" or result.dtype.kind not in "biuf":
        raise TypeError(f"expected a reference of integers and a result of numbers, got {reference.dtype} and {result.dtype}")
    if reference.ndim != 3 or reference.shape != result.shape:
        raise ValueError(f"expected reference and result of one shape (Z, Y, X), got {reference.shape} and {result.shape}")
    least = 0.5 if result.dtype.kind == "f" else 1
    values = result.astype(np.uint8) if result.dtype.kind == "b" else result
    found = np.greater_equal(values, least) & np.less_equal(values, _LARGEST)
    return np.asarray(reference == LESION), np.asarray(found & (reference != OTHER))


def _border(mask: Mask) -> NDArray[np.int64]:
    """Voxels (N, 3) that a 3 x 3 erosion of each slice takes away."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask, structure=_IN_PLANE, border_value=1))


def _share_touched(mask: Mask, by: Mask) -> float:
    """Share of the 26-connected patches of a mask that another touches; 1 of none."""
    patches, n_patches = ndimage.label(mask, structure=_TOUCHING)
    return np.count_nonzero(np.unique(patches[by])) / n_patches if n_patches else 1.0
