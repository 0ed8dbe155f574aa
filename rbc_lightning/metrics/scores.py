"""Values of metrics over a set of images: a row of each image or whole scan, and what stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.instances import Prediction
from rbc_lightning.metrics.registry import Metric

LabelMap = NDArray[np.integer]


class ScoredImage(NamedTuple):
    """One image of some `Scores`, as processes send it to each other.

    Attributes:
        name: its sample_id; of a whole scan the scan's.
        units: what each function measured, in the order of the functions.
        values: further numbers of the image.
        volume: the scan that it is a slice of; empty for none.
    """

    name: str
    units: tuple[Any, ...]
    values: Mapping[str, float]
    volume: str = ""


class Scores:
    """The values of some metrics, in the order of columns, over a set of images; slices of one scan count as one.

    What was measured of the slices of a scan is put together by the metric's `combine` before anything is made of it. A metric
    without is left out where an image is a slice.

    Attributes:
        images: those added, in their order.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = tuple(metrics)
        # Of metrics that share a function, the first asks it, and puts slices together.
        self._functions = tuple(dict.fromkeys(metric.per_unit for metric in self.metrics))
        self._combine = [next(m.combine for m in self.metrics if m.per_unit == each) for each in self._functions]
        self.images: list[ScoredImage] = []

    def update(
        self, prediction: Prediction, label_map: LabelMap, name: str = "", volume: str = "", **values: float
    ) -> dict[str, float]:
        """Add one image with its true label map, integer (H, W); give its row: every metric that has a value, by name.

        `name` is its sample_id, `volume` the scan that it is a slice of, `values` are numbers of the image, such as its loss,
        whose means `compute` gives as well.

        Raises:
            TypeError: a label map is not an integer array.
            ValueError: the label maps differ in shape, the map found has an id without a row, or boxes or scores have
                another shape than `Instances` says. Nothing is kept of such an image.
        """
        image = ScoredImage(name, tuple(function(prediction, label_map) for function in self._functions), values, volume)
        row = self._row(image)
        self.images.append(image)
        return row

    def join(self, parts: Sequence[Sequence[ScoredImage]]) -> None:
        """Take the images of all processes instead: each once, in the order in which they were dealt out in turn."""
        dealt = (image for turn in zip_longest(*parts) for image in turn if image is not None)
        self.images = list({image.name: image for image in dealt}.values())

    def rows(self) -> list[dict[str, float | str]]:
        """One row for each image, or for each whole scan: `sample_id`, and every metric that has a value."""
        return [{"sample_id": image.name, **self._row(image)} for image in self._whole()]

    def compute(self) -> dict[str, float]:
        """The value over all images or scans of every metric that has one, by name, and the means of further numbers.

        Raises:
            ValueError: no image was added.
        """
        if not self.images:
            raise ValueError("No image was added, so there is no score: call update() first.")
        whole = self._whole()
        means = {name: float(np.mean([image.values[name] for image in whole])) for name in whole[0].values}
        return {m.name: self._over_images(m, whole) for m in self._measured() if m.aggregate is not None} | means

    def left_out(self, units: Sequence[str]) -> dict[str, dict[str, float]]:
        """The value over all images but those of one unit, of every metric whose `aggregate` is a function: by name and unit.

        Nothing is measured anew: n units cost n calls of `aggregate`. With a single unit no image is left, and no metric.

        Args:
            units: of each of `rows`, in their order, what it shares with those that go with it, such as a patient.

        Raises:
            ValueError: another number of units than of images.
        """
        whole = self._whole()
        if len(units) != len(whole):
            raise ValueError(f"expected the unit of each of {len(whole)} images, got {len(units)}")
        # By unit, the images of all others.
        others = {
            left: [image for image, unit in zip(whole, units, strict=True) if unit != left] for left in dict.fromkeys(units)
        }
        pooled = [metric for metric in self._measured() if callable(metric.aggregate) and len(others) > 1]
        return {m.name: {left: self._over_images(m, images) for left, images in others.items()} for m in pooled}

    def _measured(self) -> list[Metric]:
        """The metrics that there is a value of."""
        has_slices = any(image.volume for image in self.images)
        return [metric for metric in self.metrics if not has_slices or metric.combine]

    def _whole(self) -> list[ScoredImage]:
        """The images, the slices of a scan as one."""
        slices: dict[str | int, list[ScoredImage]] = {}
        for number, image in enumerate(self.images):
            slices.setdefault(image.volume or number, []).append(image)
        return [self._put_together(images) if images[0].volume else images[0] for images in slices.values()]

    def _put_together(self, slices: Sequence[ScoredImage]) -> ScoredImage:
        """A scan, from its slices; nothing of a metric that cannot be put together."""
        measured = zip(*(image.units for image in slices), strict=True)
        units = tuple(combine(each) if combine else None for each, combine in zip(measured, self._combine, strict=True))
        values = {name: float(np.mean([image.values[name] for image in slices])) for name in slices[0].values}
        return ScoredImage(slices[0].volume, units, values, slices[0].volume)

    def _row(self, image: ScoredImage) -> dict[str, float]:
        measured = (m for m in self.metrics if m.value is not None and (m.combine or not image.volume))
        return {m.name: float(m.value(self._unit(image, m))) for m in measured if m.value is not None}

    def _unit(self, image: ScoredImage, metric: Metric) -> Any:  # noqa: ANN401 (the metric knows)
        return image.units[self._functions.index(metric.per_unit)]

    def _over_images(self, metric: Metric, images: Sequence[ScoredImage]) -> float:
        units = [self._unit(image, metric) for image in images]
        if callable(metric.aggregate):
            return float(metric.aggregate(units))
        assert metric.value is not None  # checked by Metric
        return float(np.mean([metric.value(unit) for unit in units]))
