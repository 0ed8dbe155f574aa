"""Values of metrics over a set of images: a row of each image or whole scan, and what stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.instances import Prediction
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.metrics.scans import SlicePlace

UNDEFINED = "undefined_"
"""Before the name of a metric: of how many images or scans it has no value."""
LabelMap = NDArray[np.integer]


class ScoredImage(NamedTuple):
    """One image of some `Scores`, as processes send it to each other.

    Attributes:
        name: its sample_id; of a whole scan the scan's.
        units: what each function measured, in the order of the functions.
        values: further numbers of the image.
        volume: the scan that it is a slice of; empty for none.
        place: where in the scan; of a scan that of its first slice; None where it is not known.
    """

    name: str
    units: tuple[Any, ...]
    values: Mapping[str, float]
    volume: str = ""
    place: SlicePlace | None = None


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
        self._of_function = [next(m for m in self.metrics if m.per_unit == each) for each in self._functions]
        self.images: list[ScoredImage] = []
        self._together: list[ScoredImage] = []

    def update(
        self,
        prediction: Prediction,
        label_map: LabelMap,
        name: str = "",
        volume: str = "",
        place: SlicePlace | None = None,
        ignored: NDArray[np.bool_] | None = None,
        **values: float,
    ) -> dict[str, float]:
        """Add one image with its true label map, integer (H, W); give its row: every metric that has a value, by name.

        `name` is its sample_id, `volume` the scan that it is a slice of, at its `place`, `values` are numbers of the image,
        such as its loss, whose means `compute` gives as well. A slice's row is that of a scan of this slice alone. Where
        `ignored`, bool (H, W), whatever is predicted counts as background.

        Raises:
            TypeError: a label map is not an integer array.
            ValueError: the label maps differ in shape, the map found has an id without a row, or boxes or scores have
                another shape than `Instances` says. Nothing is kept of such an image.
        """
        counted = prediction if ignored is None else prediction.outside(ignored)
        units = tuple(function(counted, label_map) for function in self._functions)
        image = ScoredImage(name, units, values, volume, place)
        row = self._row(self._put_together([image]) if volume else image)
        self.images.append(image)
        self._together = []
        return row

    def join(self, parts: Sequence[Sequence[ScoredImage]]) -> None:
        """Take the images of all processes instead: each once, in the order in which they were dealt out in turn."""
        dealt = (image for turn in zip_longest(*parts) for image in turn if image is not None)
        self.images = list({image.name: image for image in dealt}.values())
        self._together = []

    def rows(self) -> list[dict[str, float | str]]:
        """One row for each image, or for each whole scan: `sample_id`, and every metric that has a value."""
        return [{"sample_id": image.name, **self._row(image)} for image in self._whole()]

    def compute(self) -> dict[str, float]:
        """The value over all images or scans of every metric that has one, by name, and the means of further numbers.

        Behind one that is a mean of what is defined stands of how many it is not, see `UNDEFINED`.

        Raises:
            ValueError: no image was added.
        """
        if not self.images:
            raise ValueError("No image was added, so there is no score: call update() first.")
        whole = self._whole()
        means = {name: float(np.mean([image.values[name] for image in whole])) for name in whole[0].values}
        found: dict[str, float] = {}
        for metric in (m for m in self._measured() if m.aggregate is not None):
            found[metric.name] = self._over_images(metric, whole)
            if metric.aggregate == "mean_defined":
                found[f"{UNDEFINED}{metric.name}"] = float(np.isnan(self._values(metric, whole)).sum())
        return found | means

    def units(self, name: str) -> dict[str, Any]:
        """What the function of a metric gave of each image or whole scan, by sample_id; nothing of one that is not measured."""
        metric = next((m for m in self._measured() if m.name == name), None)
        return {image.name: self._unit(image, metric) for image in self._whole()} if metric else {}

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
        return [metric for metric in self.metrics if all(_is_measured(metric, image) for image in self.images)]

    def _whole(self) -> list[ScoredImage]:
        """The images, the slices of a scan as one."""
        if not self._together:
            slices: dict[str | int, list[ScoredImage]] = {}
            for number, image in enumerate(self.images):
                slices.setdefault(image.volume or number, []).append(image)
            self._together = [self._put_together(some) if some[0].volume else some[0] for some in slices.values()]
        return self._together

    def _put_together(self, slices: Sequence[ScoredImage]) -> ScoredImage:
        """A scan, from its slices; nothing of a metric that cannot be put together."""
        places = [image.place for image in slices if image.place is not None]
        known = len(places) == len(slices)

        def combined(metric: Metric, units: Sequence[Any]) -> Any:  # noqa: ANN401 (the metric knows)
            if metric.combine is None or (metric.placed and not known):
                return None
            return metric.combine(units, places) if metric.placed else metric.combine(units)

        measured = zip(*(image.units for image in slices), strict=True)
        units = tuple(combined(metric, each) for metric, each in zip(self._of_function, measured, strict=True))
        values = {name: float(np.mean([image.values[name] for image in slices])) for name in slices[0].values}
        return ScoredImage(slices[0].volume, units, values, slices[0].volume, places[0] if known else None)

    def _row(self, image: ScoredImage) -> dict[str, float]:
        measured = (m for m in self.metrics if m.value is not None and _is_measured(m, image))
        return {m.name: float(m.value(self._unit(image, m))) for m in measured if m.value is not None}

    def _unit(self, image: ScoredImage, metric: Metric) -> Any:  # noqa: ANN401 (the metric knows)
        return image.units[self._functions.index(metric.per_unit)]

    def _over_images(self, metric: Metric, images: Sequence[ScoredImage]) -> float:
        units = [self._unit(image, metric) for image in images]
        if callable(metric.aggregate):
            return float(metric.aggregate(units))
        values = self._values(metric, images)
        if metric.aggregate == "mean_defined":
            defined = values[~np.isnan(values)]
            return float(defined.mean()) if len(defined) else float("nan")
        return float(np.mean(values))

    def _values(self, metric: Metric, images: Sequence[ScoredImage]) -> NDArray[np.float64]:
        assert metric.value is not None  # checked by Metric
        return np.array([metric.value(self._unit(image, metric)) for image in images], dtype=np.float64)


def _is_measured(metric: Metric, image: ScoredImage) -> bool:
    """Whether a metric has a unit of an image or scan."""
    if metric.placed:
        return bool(image.volume) and image.place is not None
    return metric.combine is not None or not image.volume
