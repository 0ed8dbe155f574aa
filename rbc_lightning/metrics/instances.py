"""What was found in one image: cells with boxes, scores and label map, a table of them, the foreground they were read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("center_row", "center_column", "area", "major_axis", "minor_axis", "score")
_PIXEL_VARIANCE = 1 / 12
"""Second moment of a pixel's own square, so that a single pixel has an extent."""


@dataclass(frozen=True)
class Instances:
    """The cells found in one image.

    Attributes:
        boxes: float32 (n, 4) as (x1, y1, x2, y2), x2 and y2 exclusive, pixels.
        scores: float32 (n,) in [0, 1].
        label_map: int32 (H, W), the cell of row i has the id i + 1; None for a detector that finds boxes alone.
        classes: int32 (n,), from 1 on, of each; None where cells have none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    label_map: NDArray[np.int32] | None = None
    classes: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def as_detections(self) -> dict[str, Any]:
        """Boxes and scores as `average_precision` takes them."""
        return {"boxes": self.boxes, "scores": self.scores}

    @property
    def class_map(self) -> NDArray[np.int32] | None:
        """The class of each pixel, int32 (H, W), 0 = background; None where cells have none."""
        if self.classes is None or self.label_map is None:
            return None
        return np.concatenate([[0], self.classes]).astype(np.int32)[self.label_map]

    def at_least(self, score: float) -> Instances:
        """Only the cells of at least a score; ids of the label map stay without gaps.

        Raises:
            ValueError: the label map has an id without a row.
        """
        label_map = self.label_map
        if label_map is not None and label_map.size and not 0 <= label_map.min() <= label_map.max() <= len(self.scores):
            found = f"from {label_map.min()} to {label_map.max()}"
            raise ValueError(f"expected ids from 0 to {len(self)} for {len(self)} cells found, got ids {found}")
        kept = self.scores >= score
        if kept.all():
            return self
        if label_map is not None:
            label_map = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)[label_map]
        classes = None if self.classes is None else self.classes[kept]
        return Instances(self.boxes[kept], self.scores[kept], label_map, classes)


@dataclass(frozen=True)
class Prediction:
    """What a metric compares with the truth.

    Args:
        found: the cells, whatever their score; or a function that reads them when a metric asks.
        mask: bool (H, W), the foreground; None: the pixels of all cells.
        score_threshold: cells of at least this score are counted, or compared pixel by pixel.
        classes: integer (H, W), the value of each pixel, 0 = background; None where cells are found.
    """

    found: Instances | Callable[[], Instances]
    mask: NDArray[np.bool_] | None = None
    score_threshold: float = 0.5
    classes: NDArray[np.integer] | None = None

    @cached_property
    def cells(self) -> Instances:
        """All cells, for metrics that rank them."""
        return self.found() if callable(self.found) else self.found

    @cached_property
    def counted(self) -> Instances:
        """The cells of at least `score_threshold`."""
        return self.cells.at_least(self.score_threshold)

    @property
    def label_map(self) -> NDArray[np.int32]:
        """Of the counted cells, int32 (H, W).

        Raises:
            ValueError: a detector found boxes alone.
        """
        return _required(self.counted)

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Bool (H, W); raises as `label_map`."""
        return _required(self.cells) > 0 if self.mask is None else self.mask

    def outside(self, ignored: NDArray[np.bool_]) -> Prediction:
        """With background, for metrics of pixels, where `ignored`, (H, W), is true."""
        classes = None if self.classes is None else np.where(ignored, 0, self.classes)
        return replace(self, mask=self.foreground & ~ignored, classes=classes)


def _required(cells: Instances) -> NDArray[np.int32]:
    if cells.label_map is None:
        raise ValueError("the prediction has boxes alone; expected a label map: give the metric needs_label_map=True")
    return cells.label_map


def cell_table(found: Instances) -> list[tuple[float, ...]]:
    """One row per cell, in the order of `COLUMNS`; lengths and areas in pixels, to two decimals, the score to four.

    Axes are those of the ellipse with the second moments of the cell. A cell known by its box alone is taken for the ellipse
    inside the box.
    """
    boxes, scores = found.boxes.astype(np.float64), found.scores.tolist()
    values = _from_boxes(boxes) if found.label_map is None else _from_label_map(found.label_map, len(found))
    return [(*(round(v, 2) for v in row), round(score, 4)) for row, score in zip(values.tolist(), scores, strict=True)]


def _from_boxes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = boxes[:, 2:] - boxes[:, :2]
    # Boxes end behind their last pixel; centres are given at pixel centres.
    columns, rows = (boxes[:, axis] + sides[:, axis] / 2 - 0.5 for axis in (0, 1))
    return np.column_stack([rows, columns, np.pi / 4 * sides.prod(axis=1), sides.max(axis=1), sides.min(axis=1)])


def _from_label_map(label_map: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(label_map))
    ids = label_map[label_map > 0]

    def total(weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        return np.bincount(ids, weights=weights, minlength=count + 1)[1:].astype(np.float64)

    area = total()
    row, column = total(rows) / area, total(columns) / area
    # Deviations from each cell's own centre: squares of raw coordinates would cancel.
    down, across = rows - row[ids - 1], columns - column[ids - 1]
    variance_row, variance_column, covariance = total(down**2) / area, total(across**2) / area, total(down * across) / area
    middle = (variance_row + variance_column) / 2 + _PIXEL_VARIANCE
    half = np.hypot((variance_row - variance_column) / 2, covariance)
    return np.column_stack([row, column, area, 4 * np.sqrt(middle + half), 4 * np.sqrt(np.maximum(middle - half, 0))])
