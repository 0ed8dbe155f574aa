"""Metrics by name: what is measured of one image, the column it gives, and their values over a set of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from operator import attrgetter
from typing import Any, Literal, NamedTuple

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
from rbc_lightning.metrics.coco import best_free_hits, pooled_coco_precision
from rbc_lightning.metrics.instances import Prediction
from rbc_lightning.metrics.label_maps import Overlap, aggregated_jaccard_index, count_error, overlap, panoptic_quality

LabelMap = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Metric:
    """A score of segmentation or detection; an instance of it, or of a subclass, is all that a new one takes.

    Functions are defined at the top of a module, since a task is sent to the processes that share its training.

    Args:
        name: of its column in per_image.csv, and behind "test/" of the value over all images.
        title: in tables and figures.
        higher_is_better: None for a count, which is no score.
        per_unit: measures one image, from its prediction and its true label map, integer (H, W); called once for all metrics
            that share it.
        value: the image's number, from what `per_unit` gave; None: no column.
        aggregate: over images: "mean" of `value`; a function of the list of what `per_unit` gave, to pool all cells or pixels;
            None: no value over images.
        needs_label_map: a detector that finds boxes alone cannot be measured.

    Raises:
        ValueError: the name is no identifier, or nothing is measured.
    """

    name: str
    title: str
    higher_is_better: bool | None
    per_unit: Callable[[Prediction, LabelMap], Any]
    value: Callable[[Any], float] | None = float
    aggregate: Callable[[Sequence[Any]], float] | Literal["mean"] | None = "mean"
    needs_label_map: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"a metric's name is a column's: expected letters, digits and _, got {self.name!r}")
        if self.value is None and not callable(self.aggregate):
            raise ValueError(f"metric {self.name!r} has neither a value of an image nor a function over images")


REGISTRY: dict[str, Metric] = {}
"""Every metric that tasks compute by themselves, in the order of columns."""


def register(metric: Metric) -> Metric:
    """Add a metric that every task computes which can.

    Raises:
        ValueError: there is one of this name.
    """
    if metric.name in REGISTRY:
        raise ValueError(f"a metric {metric.name!r} is registered already; give yours another name")
    REGISTRY[metric.name] = metric
    return metric


def choose_metrics(has_label_maps: bool, given: Mapping[str, Metric]) -> dict[str, Metric]:
    """The registered metrics that a task can compute, and those given besides, by name.

    Raises:
        ValueError: what is given is no metric, has another name than its key or that of a registered one, or needs a label map
            that is not there.
    """
    chosen = {name: metric for name, metric in REGISTRY.items() if has_label_maps or not metric.needs_label_map}
    for name, metric in given.items():
        if not isinstance(metric, Metric):
            raise ValueError(f"metrics.{name} is a {type(metric).__name__}; expected a Metric, or a function that gives one")
        if metric.name != name:
            raise ValueError(
                f"metrics.{name} gives a metric named {metric.name!r}; expected one name: take metrics.{metric.name}"
            )
        if name in REGISTRY or name in ("sample_id", "group"):
            raise ValueError(f"metrics.{name}: there is a column of this name already; expected another name")
        if metric.needs_label_map and not has_label_maps:
            raise ValueError(f"metrics.{name} needs label maps, this task finds boxes alone; drop it for this model")
        chosen[name] = metric
    return chosen


class ScoredImage(NamedTuple):
    """One image of some `Scores`, as processes send it to each other.

    Attributes:
        name: its sample_id.
        units: what each function measured, in the order of the functions.
        values: further numbers of the image.
    """

    name: str
    units: tuple[Any, ...]
    values: Mapping[str, float]


class Scores:
    """The values of some metrics, in the order of columns, over a set of images.

    Attributes:
        images: those added, in their order.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = tuple(metrics)
        # Of metrics that share a function, the first asks it.
        self._functions = tuple(dict.fromkeys(metric.per_unit for metric in self.metrics))
        self.images: list[ScoredImage] = []

    def update(self, prediction: Prediction, label_map: LabelMap, name: str = "", **values: float) -> dict[str, float]:
        """Add one image with its true label map, integer (H, W); give its row: every metric that has a value, by name.

        `name` is its sample_id, `values` are numbers of the image, such as its loss, whose means `compute` gives as well.

        Raises:
            TypeError: a label map is not an integer array.
            ValueError: the label maps differ in shape, the map found has an id without a row, or boxes or scores have
                another shape than `Instances` says. Nothing is kept of such an image.
        """
        image = ScoredImage(name, tuple(function(prediction, label_map) for function in self._functions), values)
        row = {m.name: float(m.value(self._unit(image, m))) for m in self.metrics if m.value is not None}
        self.images.append(image)
        return row

    def join(self, parts: Sequence[Sequence[ScoredImage]]) -> None:
        """Take the images of all processes instead: each once, in the order in which they were dealt out in turn."""
        dealt = (image for turn in zip_longest(*parts) for image in turn if image is not None)
        self.images = list({image.name: image for image in dealt}.values())

    def compute(self) -> dict[str, float]:
        """The value over all images of every metric that has one, by name, and the means of further numbers.

        Raises:
            ValueError: no image was added.
        """
        if not self.images:
            raise ValueError("No image was added, so there is no score: call update() first.")
        means = {name: float(np.mean([image.values[name] for image in self.images])) for name in self.images[0].values}
        return {m.name: self._over_images(m, self.images) for m in self.metrics if m.aggregate is not None} | means

    def left_out(self, units: Sequence[str]) -> dict[str, dict[str, float]]:
        """The value over all images but those of one unit, of every metric whose `aggregate` is a function: by name and unit.

        Nothing is measured anew: n units cost n calls of `aggregate`. With a single unit no image is left, and no metric.

        Args:
            units: of each image, in the order of `update`, what it shares with those that go with it, such as a patient.

        Raises:
            ValueError: another number of units than of images.
        """
        if len(units) != len(self.images):
            raise ValueError(f"expected the unit of each of {len(self.images)} images, got {len(units)}")
        # By unit, the images of all others.
        others = {
            left: [image for image, unit in zip(self.images, units, strict=True) if unit != left]
            for left in dict.fromkeys(units)
        }
        pooled = [metric for metric in self.metrics if callable(metric.aggregate) and len(others) > 1]
        return {m.name: {left: self._over_images(m, images) for left, images in others.items()} for m in pooled}

    def _unit(self, image: ScoredImage, metric: Metric) -> Any:  # noqa: ANN401 (the metric knows)
        return image.units[self._functions.index(metric.per_unit)]

    def _over_images(self, metric: Metric, images: Sequence[ScoredImage]) -> float:
        units = [self._unit(image, metric) for image in images]
        if callable(metric.aggregate):
            return float(metric.aggregate(units))
        assert metric.value is not None  # checked by Metric
        return float(np.mean([metric.value(unit) for unit in units]))


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


def _pooled_dice(images: Sequence[Overlap]) -> float:
    return Overlap(*np.sum(images, axis=0).tolist()).dice


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
    Metric("dice", "Dice", True, match_pixels, attrgetter("dice"), needs_label_map=True),
    Metric("dice_pooled", "Dice, all pixels pooled", True, match_pixels, None, _pooled_dice, needs_label_map=True),
    Metric("iou", "IoU", True, match_pixels, attrgetter("iou"), needs_label_map=True),
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
