"""Scores of label maps, masks and counts: aggregated Jaccard index, panoptic quality, Dice, IoU, counting error.

A label map is an integer array (H, W); 0 is background, every other value one cell. Ids may have gaps, and renumbering the
cells changes no score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LabelMap = NDArray[np.integer]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_] | Tensor


class Overlap(NamedTuple):
    """Pixel counts of two masks: in both, in the prediction, in the target."""

    both: int
    prediction: int
    target: int

    @property
    def dice(self) -> float:
        """Dice score of the counts; 1.0 if both masks are empty."""
        total = self.prediction + self.target
        return 2 * self.both / total if total else 1.0

    @property
    def iou(self) -> float:
        """Intersection over union of the counts; 1.0 if both masks are empty."""
        union = self.prediction + self.target - self.both
        return self.both / union if union else 1.0


def overlap(prediction: Mask, target: Mask) -> Overlap:
    """Count the foreground pixels of two boolean masks of one shape, NumPy arrays or tensors.

    Raises:
        TypeError: a mask is not boolean.
        ValueError: the shapes differ.
    """
    for name, mask in (("prediction", prediction), ("target", target)):
        if mask.dtype not in (torch.bool, np.bool_):
            raise TypeError(f"{name} must be a boolean mask (compare with a threshold first), got dtype {mask.dtype}.")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction and target must have one shape, got {tuple(prediction.shape)} and {tuple(target.shape)}.")
    return Overlap(int((prediction & target).sum()), int(prediction.sum()), int(target.sum()))


def dice_score(prediction: Mask, target: Mask) -> float:
    """Dice score over all pixels given, 2 |A and B| / (|A| + |B|) (Bailo et al. 2019, Eq. 8); see `overlap`."""
    return overlap(prediction, target).dice


class PanopticQuality(NamedTuple):
    """Panoptic quality and its two factors, each in [0, 1]: `pq` = `sq` x `rq`."""

    pq: float
    sq: float
    rq: float


class Intersections(NamedTuple):
    """Which cells of two label maps share pixels; cells are numbered 0, 1, ... by their first pixel in raster order.

    Attributes:
        pred_areas: int64 (P,), pixels of every predicted cell.
        true_areas: int64 (T,), pixels of every true cell.
        pred_cells: int64 (K,), the predicted cell of every pair that shares pixels.
        true_cells: int64 (K,), the true cell of the pair.
        pixels: int64 (K,), how many they share.
    """

    pred_areas: Counts
    true_areas: Counts
    pred_cells: Counts
    true_cells: Counts
    pixels: Counts

    @property
    def iou(self) -> NDArray[np.float64]:
        """IoU of every pair, float64 (K,)."""
        union = self.pred_areas[self.pred_cells] + self.true_areas[self.true_cells] - self.pixels
        return np.asarray(self.pixels / union)


def aggregated_jaccard_index(pred: LabelMap, true: LabelMap) -> float:
    """Pixels shared by every true cell and its best predicted cell, over the pixels of their unions and of unused cells.

    The best predicted cell is the one of highest IoU, however low; it may serve several true cells, and is counted each
    time (Kumar et al. 2017, algorithm 1; the variant with one partner each is known as AJI+). A true cell without a partner
    adds its own area to the unions, as does a predicted cell that is nobody's best. Of equally good cells the larger one is
    taken, then the one whose first pixel comes first in raster order.

    Returns:
        Score in [0, 1]; 1.0 if both maps are empty, 0.0 if one of them is.

    Raises:
        TypeError: a map is not an integer array.
        ValueError: a map is not two-dimensional, the shapes differ, or an id is outside [0, 2**31).
    """
    table = intersections(pred, true)
    if not len(table.pred_areas) and not len(table.true_areas):
        return 1.0
    # By true cell, the best pair first: highest IoU, then most pixels, then raster order.
    order = np.lexsort((table.pred_cells, -table.pixels, -table.iou, table.true_cells))
    chosen = order[np.unique(table.true_cells[order], return_index=True)[1]]
    partners, shared = table.pred_cells[chosen], int(table.pixels[chosen].sum())
    unions = int(table.true_areas.sum() + table.pred_areas[partners].sum()) - shared
    unused = np.ones(len(table.pred_areas), dtype=np.bool_)
    unused[partners] = False
    return shared / (unions + int(table.pred_areas[unused].sum()))


def panoptic_quality(pred: LabelMap, true: LabelMap) -> PanopticQuality:
    """Sum of the IoUs of matched cells over (matched + half of the unmatched found + half of the unmatched true).

    Cells match if their IoU exceeds 0.5, which leaves each at most one partner. `sq`, the segmentation quality, is the mean
    IoU of the matched cells; `rq`, the recognition quality, is the F1 score of the matching (Kirillov et al. 2019,
    section 4). All are 1.0 if both maps are empty; 0.0 if nothing matches, so also if one map is empty. Arguments and
    errors are those of `aggregated_jaccard_index`.
    """
    table = intersections(pred, true)
    n_cells = len(table.pred_areas) + len(table.true_areas)
    if not n_cells:
        return PanopticQuality(1.0, 1.0, 1.0)
    iou = table.iou
    matched = iou[iou > 0.5]
    if not len(matched):
        return PanopticQuality(0.0, 0.0, 0.0)
    # TP + FP / 2 + FN / 2 is half of all cells, since every match uses up two.
    return PanopticQuality(float(matched.sum() * 2 / n_cells), float(matched.mean()), 2 * len(matched) / n_cells)


def count_error(n_found: int, n_true: int) -> float:
    """Relative error of a count, |found - true| / max(true, 1): two cells found in an empty image are an error of 2.

    Raises:
        ValueError: a count is negative.
    """
    if n_found < 0 or n_true < 0:
        raise ValueError(f"counts must be at least 0, got {n_found} found and {n_true} true cells")
    return abs(n_found - n_true) / max(n_true, 1)


def intersections(pred: LabelMap, true: LabelMap) -> Intersections:
    """Count the pixels every two cells share; arguments and errors are those of `aggregated_jaccard_index`."""
    for name, label_map in (("pred", pred), ("true", true)):
        if label_map.dtype.kind not in "iu":
            raise TypeError(f"expected an integer label map, got {name} of dtype {label_map.dtype}")
        if label_map.ndim != 2:
            raise ValueError(f"expected a label map (H, W), got {name} of shape {label_map.shape}")
    if pred.shape != true.shape:
        raise ValueError(f"pred and true must have one shape, got {pred.shape} and {true.shape}")
    pred_ids, true_ids, pixels, starts = _common_runs(pred.ravel(), true.ravel())
    for name, ids in (("pred", pred_ids), ("true", true_ids)):
        if ids.min(initial=0) < 0 or ids.max(initial=0) >= 2**31:
            raise ValueError(f"ids must lie in [0, 2**31), got {name} with ids from {ids.min()} to {ids.max()}")
    codes, runs, pair = np.unique((pred_ids << 31) | true_ids, return_index=True, return_inverse=True)
    # Sums of whole numbers below 2**53 are exact in double precision.
    shared = np.bincount(pair, weights=pixels, minlength=len(codes)).astype(np.int64)
    pred_cells, pred_areas = _number(codes >> 31, shared, starts[runs])
    true_cells, true_areas = _number(codes & (2**31 - 1), shared, starts[runs])
    both = (pred_cells >= 0) & (true_cells >= 0)
    return Intersections(pred_areas, true_areas, pred_cells[both], true_cells[both], shared[both])


def _common_runs(pred: LabelMap, true: LabelMap) -> tuple[Counts, Counts, Counts, Counts]:
    """Id in either map, length and start of the stretches of pixels where both ids stay the same."""
    # Runs are a tenth of the pixels or fewer, so that the sorting behind `unique` costs milliseconds.
    changes = np.flatnonzero((pred[1:] != pred[:-1]) | (true[1:] != true[:-1])) + 1
    starts = np.concatenate(([0], changes)) if len(pred) else changes
    return pred[starts].astype(np.int64), true[starts].astype(np.int64), np.diff(starts, append=len(pred)), starts


def _number(ids: Counts, pixels: Counts, starts: Counts) -> tuple[Counts, Counts]:
    """Number the ids of all pairs by first pixel, background as -1; and every cell's area."""
    foreground = np.flatnonzero(ids)
    by_start = foreground[np.argsort(starts[foreground], kind="stable")]
    found, first, inverse = np.unique(ids[by_start], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    cells = np.full(len(ids), -1, dtype=np.int64)
    cells[by_start] = rank[inverse]
    areas = np.bincount(cells[by_start], weights=pixels[by_start], minlength=len(found))
    return cells, areas.astype(np.int64)
