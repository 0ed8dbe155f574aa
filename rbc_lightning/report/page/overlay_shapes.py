"""Lines, dashes and colours of neighbours: where the marks over an image lie."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.label_maps import LabelMap

_PIXELS_PER_LINE = 300  # a line is one pixel wide for each so many pixels of the image's shorter side
DASH = 5
"""Length of dashes and gaps, in line widths."""


def line_width(shape: tuple[int, ...]) -> int:
    """Width in pixels of the lines over an image (H, W)."""
    return max(1, round(min(shape[:2]) / _PIXELS_PER_LINE))


def dashes(label_map: LabelMap, width: int) -> NDArray[np.bool_]:
    """Sectors around the centre of each cell, bool (H, W), such that its outline comes in dashes of about one length."""
    chosen = np.zeros(label_map.shape, dtype=np.bool_)
    rows, columns = np.nonzero(label_map)
    ids = label_map[rows, columns]
    areas = np.maximum(np.bincount(ids), 1)
    middle = [np.bincount(ids, weights=places)[ids] / areas[ids] for places in (rows, columns)]
    turns = np.arctan2(rows - middle[0], columns - middle[1]) / (2 * np.pi) + 0.5
    # The perimeter of a disc of the cell's area, in pairs of dash and gap.
    pairs = np.maximum(np.round(2 * np.sqrt(np.pi * areas) / (2 * DASH * width)), 2)[ids]
    chosen[rows, columns] = (turns * pairs) % 1 < 0.5
    return chosen


def distinct_colors(label_map: LabelMap, reach: int, n_colors: int) -> NDArray[np.uint8]:
    """A colour, 0 to `n_colors` - 1, for each id (n + 1,) that no cell within `reach` pixels has, as far as they last."""
    pairs = _near_pairs(label_map, reach)
    colors = np.zeros(int(label_map.max(initial=0)) + 1, dtype=np.uint8)
    for cell in range(1, len(colors)):
        # Those with smaller ids have their colours.
        taken = np.bincount(colors[pairs[pairs[:, 1] == cell, 0]], minlength=n_colors)
        colors[cell] = np.argmin(taken)
    return colors


def _near_pairs(label_map: LabelMap, reach: int) -> NDArray[np.integer]:
    """Ids (n, 2), the smaller first, of cells that have pixels within `reach` along a row, a column or a diagonal."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for step in range(1, min(reach, *(side - 1 for side in label_map.shape)) + 1):
        for first, second in (
            (label_map[:, :-step], label_map[:, step:]),
            (label_map[:-step], label_map[step:]),
            (label_map[:-step, :-step], label_map[step:, step:]),
            (label_map[:-step, step:], label_map[step:, :-step]),
        ):
            near = (first > 0) & (second > 0) & (first != second)
            found.append(np.sort(np.stack((first[near], second[near]), axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def wide(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """The parts of a mask into which a disc of this diameter fits."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0)
