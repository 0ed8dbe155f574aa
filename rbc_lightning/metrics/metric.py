"""`Metric`: what is measured of one image, and the column it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.instances import Prediction

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
        aggregate: over images: "mean" of `value`; "mean_defined" of those that are not NaN, with the number of the others
            beside it as `undefined_NAME`; a function of the list of what `per_unit` gave, to pool all cells or pixels; None: no
            value over images.
        needs_label_map: a detector that finds boxes alone cannot be measured.
        combine: gives of what `per_unit` gave of the slices of one scan what it would have given of the scan; None: it cannot
            be measured on scans, nor on classes, which are no cells.
        placed: `combine` is given the `SlicePlace` of each slice as well; measured where all are known, of whole scans alone.

    Raises:
        ValueError: the name is no identifier, or nothing is measured.
    """

    name: str
    title: str
    higher_is_better: bool | None
    per_unit: Callable[[Prediction, LabelMap], Any]
    value: Callable[[Any], float] | None = float
    aggregate: Callable[[Sequence[Any]], float] | Literal["mean", "mean_defined"] | None = "mean"
    needs_label_map: bool = False
    combine: Callable[..., Any] | None = None
    placed: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"a metric's name is a column's: expected letters, digits and _, got {self.name!r}")
        if self.value is None and not callable(self.aggregate):
            raise ValueError(f"metric {self.name!r} has neither a value of an image nor a function over images")
