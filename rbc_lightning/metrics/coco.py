"""Average precision of boxes as COCO counts it, for images with any number of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numba
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.average_precision import Boxes, Floats, ImageDetections, detections_by_image

# Spelled as the reference does, since 0.9 and its 0.8999999999999999 are not the same number.
COCO_IOU_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
_RECALL_POINTS = np.linspace(0, 1, 101)


def coco_average_precision(
    predictions: Sequence[Boxes],
    targets: Sequence[Boxes],
    iou_thresholds: Sequence[float] = COCO_IOU_THRESHOLDS,
) -> float:
    """Mean over IoU thresholds of the interpolated precision at the 101 recalls 0, 0.01, ..., 1 (Lin et al. 2014).

    At each threshold, the detections of an image choose in order of score: each takes, of the targets still free, the one
    it overlaps most, if their IoU reaches the threshold; else it is a false alarm. All images are ranked together. Unlike
    COCO's own evaluation, which looks at the best 100 detections of an image, this one counts them all, and objects of
    all sizes. Equal scores rank as in the reference: in the order given, so make scores distinct where it matters.

    Predictions and targets are those of `average_precision`; an IoU equal to a threshold is a hit (VOC wants more).

    Returns:
        Average precision in [0, 1]; without any target 1.0 if nothing was detected either, else 0.0 (COCO: undefined).

    Raises:
        ValueError: as `average_precision`; or there is no threshold, or one outside (0, 1].
    """
    thresholds = np.asarray(iou_thresholds, dtype=np.float64)
    if thresholds.ndim != 1 or not len(thresholds) or not ((thresholds > 0) & (thresholds <= 1)).all():
        raise ValueError(f"expected at least one IoU threshold, each in (0, 1], got {iou_thresholds}")
    images = detections_by_image(predictions, targets)
    return pooled_coco_precision(images, [best_free_hits(image, thresholds.tolist()) for image in images])


def best_free_hits(image: ImageDetections, iou_thresholds: Sequence[float] = COCO_IOU_THRESHOLDS) -> NDArray[np.bool_]:
    """Which detections of an image COCO counts as right at each threshold, in their own order: bool (T, N)."""
    ranked = np.argsort(-image.scores, kind="stable")
    hits = np.zeros((len(iou_thresholds), len(ranked)), dtype=np.bool_)
    # The reference lowers the threshold 1 by as much, so that rounding does not cost a perfect box its hit.
    _match(image.boxes[ranked], image.targets, np.minimum(iou_thresholds, 1 - 1e-10), hits)
    return hits[:, np.argsort(ranked)]


def pooled_coco_precision(images: Sequence[ImageDetections], hits: Sequence[NDArray[np.bool_]]) -> float:
    """Average precision, as `coco_average_precision` explains, of images whose `best_free_hits` are known, bool (T, N) each."""
    n_targets = sum(len(image.targets) for image in images)
    if n_targets == 0:
        return 0.0 if any(len(image.scores) for image in images) else 1.0
    ranked = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    return float(np.mean([_at_recall_points(row[ranked], n_targets) for row in np.concatenate(hits, axis=1)]))


def _at_recall_points(hits: NDArray[np.bool_], n_targets: int) -> float:
    """Mean precision at the recall points of detections in order of score: bool (N,)."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Floating-point recalls, with COCO's 0.07000000000000001: 7 of 100 do not reach it in the reference either.
    reached = np.searchsorted(right / n_targets, _RECALL_POINTS)
    return float(envelope[reached[reached < len(hits)]].sum() / len(_RECALL_POINTS))


def _match_boxes(boxes: Floats, targets: Floats, thresholds: Floats, hits: NDArray[np.bool_]) -> None:
    """Let each detection, the highest score first, take the best free target, at every threshold for itself: `hits` (T, N)."""
    taken = np.zeros((len(thresholds), len(targets)), np.bool_)
    best_iou = np.empty(len(thresholds))
    best = np.empty(len(thresholds), np.int64)
    lowest = thresholds.min()
    for row in range(len(boxes)):
        x1, y1, x2, y2 = boxes[row]
        best_iou[:] = thresholds
        best[:] = -1
        for column in range(len(targets)):
            u1, v1, u2, v2 = targets[column]
            width, height = min(x2, u2) - max(x1, u1), min(y2, v2) - max(y1, v1)
            if width <= 0 or height <= 0:
                continue
            both = width * height
            iou = both / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - both)
            if iou < lowest:
                continue
            for level in range(len(thresholds)):
                # Of equal overlaps the last target wins, as in the reference.
                if iou >= best_iou[level] and not taken[level, column]:
                    best_iou[level], best[level] = iou, column
        for level in range(len(thresholds)):
            if best[level] >= 0:
                hits[level, row] = taken[level, best[level]] = True


# Compiled: which target is free depends on every detection before, so that no array operation does it.
_match = cast("Callable[[Floats, Floats, Floats, NDArray[np.bool_]], None]", numba.njit(nogil=True, cache=True)(_match_boxes))
