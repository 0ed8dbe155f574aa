"""Metrics by name: what is measured of one image, and the column it gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.average_precision import (
    ImageDetections,
    Interpolation,
    detections_by_image,
    first_hits,
    pooled_precision,
)
from rbc_lightning.metrics.classes import Counts, accuracy, class_dice, class_iou, count_pixels, mean_present, nothing_found
from rbc_lightning.metrics.coco import best_free_hits, pooled_coco_precision
from rbc_lightning.metrics.instances import Prediction
from rbc_lightning.metrics.label_maps import Overlap, aggregated_jaccard_index, count_error, overlap, panoptic_quality
from rbc_lightning.metrics.metric import LabelMap, Metric
from rbc_lightning.metrics.scans import scan_metrics

__all__ = ["REGISTRY", "Metric", "choose_metrics", "class_metrics", "register"]

REGISTRY: dict[str, Metric] = {}
"""Every metric that tasks compute by themselves, in the order of columns; of data of classes those that `combine`."""


def register(metric: Metric) -> Metric:
    """Add a metric that every task computes which can.

    Raises:
        ValueError: there is one of this name.
    """
    if metric.name in REGISTRY:
        raise ValueError(f"a metric {metric.name!r} is registered already; give yours another name")
    REGISTRY[metric.name] = metric
    return metric


def choose_metrics(
    has_label_maps: bool, given: Mapping[str, Metric], classes: Sequence[str] | None = None
) -> dict[str, Metric]:
    """The metrics that a task can compute, and those given besides, by name.

    They are the registered ones; where `classes` are named, those of them that `combine`, and `class_metrics`.

    Raises:
        ValueError: what is given is no metric, has another name than its key or that of another one, or needs a label map
            that is not there; or two classes would have one column.
    """
    chosen = {name: metric for name, metric in REGISTRY.items() if has_label_maps or not metric.needs_label_map}
    if classes:
        chosen = {name: metric for name, metric in chosen.items() if metric.combine}
        for metric in class_metrics(classes):
            if metric.name in chosen:
                raise ValueError(
                    f"two metrics would be named {metric.name!r}; give the classes {', '.join(classes)} other names"
                )
            chosen[metric.name] = metric
    known = {*REGISTRY, *chosen, "sample_id", "group"}
    for name, metric in given.items():
        if not isinstance(metric, Metric):
            raise ValueError(f"metrics.{name} is a {type(metric).__name__}; expected a Metric, or a function that gives one")
        if metric.name != name:
            raise ValueError(
                f"metrics.{name} gives a metric named {metric.name!r}; expected one name: take metrics.{metric.name}"
            )
        if name in known:
            raise ValueError(f"metrics.{name}: there is a column of this name already; expected another name")
        if metric.needs_label_map and not has_label_maps:
            raise ValueError(f"metrics.{name} needs label maps, this task finds boxes alone; drop it for this model")
        chosen[name] = metric
    return chosen


@dataclass(frozen=True)
class PixelCounter:
    """What metrics of classes share: counts pixels by true and by given value, see `count_pixels`."""

    n_classes: int

    def __call__(self, prediction: Prediction, truth: LabelMap) -> Counts:
        """Counts of one image."""
        if prediction.classes is None:
            raise ValueError("the prediction has no classes; expected a task that was given them")
        return count_pixels(prediction.classes, truth, self.n_classes)


def class_metrics(classes: Sequence[str]) -> list[Metric]:
    """Metrics of data of classes, in the order of columns.

    Dice of each class, `dice_NAME`, 1.0 where neither map has it; `accuracy`; `mean_iou` and `mean_dice` over the classes that
    a map has, and the same with background as a class more; behind them as `nothing_NAME` what answering "background"
    everywhere scores. Of whole scans the measures of `metrics.scans`, of the first class.

    Args:
        classes: names of the values 1, 2, ...
    """

    def metric(name: str, title: str, value: Callable[[Counts], float], is_score: bool = True) -> Metric:
        counter = PixelCounter(len(classes))
        return Metric(name, title, True if is_score else None, counter, value, needs_label_map=True, combine=_added)

    names = [re.sub(r"\W+", "_", name) for name in classes]
    each = [
        metric(f"dice_{name}", f"Dice of {title}", partial(_dice_of, value))
        for value, (name, title) in enumerate(zip(names, classes, strict=True), start=1)
    ]
    means = [metric(*about) for about in _MEANS]
    nothing = [
        metric(f"nothing_{name}", f"{title}, nothing found", partial(_nothing, value), False) for name, title, value in _MEANS
    ]
    return [*each, *means, *nothing, *scan_metrics(names[0] if len(names) > 1 else None)]


def _dice_of(value: int, counts: Counts) -> float:
    found = float(class_dice(counts)[value])
    return 1.0 if np.isnan(found) else found


def _mean_dice(counts: Counts, background: bool = False) -> float:
    return mean_present(class_dice(counts), background=background)


def _mean_iou(counts: Counts, background: bool = False) -> float:
    return mean_present(class_iou(counts), background=background)


def _nothing(value: Callable[[Counts], float], counts: Counts) -> float:
    return value(nothing_found(counts))


def _added(slices: Sequence[Counts]) -> Counts:
    return np.asarray(np.sum(slices, axis=0))


_MEANS: tuple[tuple[str, str, Callable[[Counts], float]], ...] = (
    ("accuracy", "accuracy", accuracy),
    ("mean_iou", "mean IoU", _mean_iou),
    ("mean_dice", "mean Dice", _mean_dice),
    ("mean_iou_background", "mean IoU with background", partial(_mean_iou, background=True)),
    ("mean_dice_background", "mean Dice with background", partial(_mean_dice, background=True)),
)


class BoxMatch(NamedTuple):
    """Boxes of one image, found and true; which of those found are right at IoU 0.5 (VOC), and how many there are.

    Attributes:
        image: whatever the score.
        hits: bool (N,).
        n_true: true cells.
        n_found: cells found of at least the score threshold.
    """

    image: ImageDetections
    hits: NDArray[np.bool_]
    n_true: int
    n_found: int


class LevelMatch(NamedTuple):
    """Boxes of one image, found and true, whatever the score; `hits`, bool (T, N): right at COCO's T thresholds."""

    image: ImageDetections
    hits: NDArray[np.bool_]


def match_boxes(prediction: Prediction, truth: LabelMap) -> BoxMatch:
    """Compare the boxes found with those of the true label map."""
    image = _detections(prediction, truth)
    n_found = np.count_nonzero(prediction.cells.scores >= prediction.score_threshold)
    return BoxMatch(image, first_hits(image, iou_threshold=0.5), len(image.targets), int(n_found))


def match_levels(prediction: Prediction, truth: LabelMap) -> LevelMatch:
    """Compare the boxes found with those of the true label map at every threshold, once for all ways to pool images."""
    image = _detections(prediction, truth)
    return LevelMatch(image, best_free_hits(image))


def _detections(prediction: Prediction, truth: LabelMap) -> ImageDetections:
    (image,) = detections_by_image([prediction.cells.as_detections()], [{"boxes": label_map_to_boxes(truth)}])
    return image


def match_pixels(prediction: Prediction, truth: LabelMap) -> Overlap:
    """Count the foreground pixels of prediction and truth."""
    return overlap(prediction.foreground, truth > 0)


def _pooled(images: Sequence[Overlap]) -> Overlap:
    return Overlap(*np.sum(images, axis=0).tolist())


def _pooled_dice(images: Sequence[Overlap]) -> float:
    return _pooled(images).dice


def _voc(images: Sequence[BoxMatch], interpolation: Interpolation = "area") -> float:
    return pooled_precision([match.image for match in images], [match.hits for match in images], interpolation)


def _image_voc(match: BoxMatch) -> float:
    return _voc([match])


def _coco(images: Sequence[LevelMatch]) -> float:
    return pooled_coco_precision([match.image for match in images], [match.hits for match in images])


def _count_error(match: BoxMatch) -> float:
    return count_error(match.n_found, match.n_true)


def _aji(prediction: Prediction, truth: LabelMap) -> float:
    return aggregated_jaccard_index(prediction.label_map, truth)


def _pq(prediction: Prediction, truth: LabelMap) -> float:
    return panoptic_quality(prediction.label_map, truth).pq


# The order is that of columns and logged values.
for _metric in (
    Metric("dice", "Dice", True, match_pixels, attrgetter("dice"), needs_label_map=True, combine=_pooled),
    Metric("dice_pooled", "Dice, all pixels pooled", True, match_pixels, None, _pooled_dice, True, _pooled),
    Metric("iou", "IoU", True, match_pixels, attrgetter("iou"), needs_label_map=True, combine=_pooled),
    Metric("ap50", "AP50", True, match_boxes, _image_voc, _voc),
    Metric("ap50_11_point", "AP50, 11 points", True, match_boxes, None, partial(_voc, interpolation="11-point")),
    Metric("ap", "AP, IoU 0.5 to 0.95", True, match_levels, None, _coco),
    Metric("n_true", "true cells", None, match_boxes, attrgetter("n_true"), None),
    Metric("n_found", "cells found", None, match_boxes, attrgetter("n_found"), None),
    Metric("count_error", "count error", False, match_boxes, _count_error),
    Metric("aji", "AJI", True, _aji, needs_label_map=True),
    Metric("pq", "PQ", True, _pq, needs_label_map=True),
):
    register(_metric)
