"""Numbers of every cell found: centre, area, axes, score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.ops.instances import Instances

COLUMNS = ("center_row", "center_column", "area", "major_axis", "minor_axis", "score")
_PIXEL_VARIANCE = 1 / 12
"""Second moment of a pixel's own square, so that a single pixel has an extent."""


def cell_table(found: Instances) -> list[tuple[float, ...]]:
    """One row per cell, in the order of `COLUMNS`; lengths in pixels, areas in pixels.

    Axes are those of the ellipse with the second moments of the cell. A cell known by its box alone is taken for the ellipse
    inside the box.

    Args:
        found: the cells of one image.

    Returns:
        Rounded to two decimals, the score to four.
    """
    if found.label_map is None:
        values = _from_boxes(found.boxes.astype(np.float64))
    else:
        values = _from_label_map(found.label_map, len(found))
    rows = np.concatenate([values, found.scores[:, None].astype(np.float64)], axis=1)
    return [(*(round(float(value), 2) for value in row[:-1]), round(float(row[-1]), 4)) for row in rows]


def keep_scores(found: Instances, least: float) -> Instances:
    """Only the cells with a score of at least `least`; ids of the label map stay without gaps."""
    kept = found.scores >= least
    if kept.all():
        return found
    label_map = found.label_map
    if label_map is not None:
        ids = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
        label_map = ids[label_map]
    return Instances(found.boxes[kept], found.scores[kept], label_map)


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
