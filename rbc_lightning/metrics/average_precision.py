"""Average precision of boxes as PASCAL VOC counts it, for images with any number of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

Interpolation = Literal["area", "11-point"]
Boxes = Mapping[str, Any]
Floats = NDArray[np.float64]


def average_precision(
    predictions: Sequence[Boxes],
    targets: Sequence[Boxes],
    iou_threshold: float = 0.5,
    interpolation: Interpolation = "area",
) -> float:
    """Mean precision over recall, precision lifted to its envelope, all images ranked together (Everingham et al. 2010).

    A detection is compared with the one target of its image that it overlaps most and is right if their IoU exceeds
    the threshold and no detection of a higher score took that target; a second hit is a false alarm. Precision and recall
    are read where the score changes, so that detections of equal score count as one step, whatever their order.
    There is no limit to the number of boxes.

    Args:
        predictions: one per image: `boxes` (N, 4) as (x1, y1, x2, y2), x2 and y2 exclusive, in pixels, and `scores` (N,);
            arrays or tensors.
        targets: one per image: `boxes` (M, 4).
        iou_threshold: an IoU above it, not equal to it, is a hit (VOC).
        interpolation: "area" under the envelope of the precision-recall curve (VOC 2010 on), or the "11-point" mean
            of that envelope at recalls 0, 0.1, ..., 1 (VOC before 2010).

    Returns:
        Average precision in [0, 1]; without any target 1.0 if nothing was detected either, else 0.0.

    Raises:
        ValueError: the lists differ in length, boxes or scores have another shape, a score or box is not finite, or an
            option is out of its range.
    """
    if not 0 <= iou_threshold < 1:
        raise ValueError(f"iou_threshold must lie in [0, 1), got {iou_threshold}")
    images = detections_by_image(predictions, targets)
    return pooled_precision(images, [first_hits(image, iou_threshold) for image in images], interpolation)


class ImageDetections(NamedTuple):
    """One image's detections and targets, checked: float64 boxes (N, 4), scores (N,), targets (M, 4)."""

    boxes: Floats
    scores: Floats
    targets: Floats


def detections_by_image(predictions: Sequence[Boxes], targets: Sequence[Boxes]) -> list[ImageDetections]:
    """Check and convert what `average_precision` takes; arguments and errors are explained there."""
    if len(predictions) != len(targets):
        raise ValueError(f"expected one entry per image in both lists, got {len(predictions)} and {len(targets)}")
    return [
        ImageDetections(_boxes(predicted), _scores(predicted), _boxes(target))
        for predicted, target in zip(predictions, targets, strict=True)
    ]


def first_hits(image: ImageDetections, iou_threshold: float) -> NDArray[np.bool_]:
    """Which detections of an image VOC counts as right, in their own order: bool (N,)."""
    boxes, scores, targets = image
    hits = np.zeros(len(boxes), dtype=np.bool_)
    if not len(boxes) or not len(targets):
        return hits
    iou = box_iou(boxes, targets)
    best = iou.argmax(axis=1)
    order = np.argsort(-scores, kind="stable")
    order = order[iou[order, best[order]] > iou_threshold]
    # Of the detections that chose one target, the first in the ranking has it.
    hits[order[np.unique(best[order], return_index=True)[1]]] = True
    return hits


def pooled_precision(
    images: Sequence[ImageDetections], hits: Sequence[NDArray[np.bool_]], interpolation: Interpolation = "area"
) -> float:
    """Average precision, as `average_precision` explains, of images whose `first_hits` are known, bool (N,) each."""
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation must be one of {', '.join(get_args(Interpolation))}, got {interpolation!r}")
    scores = np.concatenate([np.zeros(0), *(image.scores for image in images)])
    n_targets = sum(len(image.targets) for image in images)
    if n_targets == 0:
        return 0.0 if len(scores) else 1.0
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(np.concatenate(hits)[order], dtype=np.int64)
    # Read at every distinct score from the highest down.
    steps = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    recalled, precision = right[steps], right[steps] / (steps + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation == "area":
        return float(np.diff(recalled, prepend=0) @ envelope / n_targets)
    # Whole numbers: 3 of 10 is a recall of 0.3 exactly, which no floating-point comparison would grant.
    reached = [envelope[recalled * 10 >= tenth * n_targets] for tenth in range(11)]
    return float(np.mean([values.max(initial=0.0) for values in reached]))


def box_iou(first: Floats, second: Floats) -> Floats:
    """IoU, float64 (N, M), of all pairs of boxes (N, 4) and (M, 4); 0 where both boxes are empty."""
    # One coordinate at a time: 1,200 x 1,200 tables of pairs of numbers would cost three times as long.
    x1, y1 = (np.maximum(first[:, None, side], second[None, :, side]) for side in (0, 1))
    x2, y2 = (np.minimum(first[:, None, side], second[None, :, side]) for side in (2, 3))
    both = np.clip(x2 - x1, 0, None) * np.clip(y2 - y1, 0, None)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))


def _boxes(entry: Boxes) -> Floats:
    boxes = _finite(entry, "boxes")
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must have the shape (N, 4), got {boxes.shape}")
    return boxes


def _scores(entry: Boxes) -> Floats:
    scores, n_boxes = _finite(entry, "scores"), len(entry["boxes"])
    if scores.shape != (n_boxes,):
        raise ValueError(f"expected one score per box, got scores of shape {scores.shape} for {n_boxes} boxes")
    return scores


def _finite(entry: Boxes, name: str) -> Floats:
    values = entry[name]
    if isinstance(values, torch.Tensor):
        # NumPy knows no bfloat16.
        values = values.detach().double().cpu().numpy()
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array
