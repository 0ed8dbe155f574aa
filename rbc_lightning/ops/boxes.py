"""Boxes as (x1, y1, x2, y2) in pixels, x2 and y2 exclusive: checks, and the union of what tiles found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbc_lightning.ops.instances import Instances
from rbc_lightning.ops.tiles import Tile


def check_boxes(boxes: Tensor | NDArray[np.floating], height: int, width: int) -> None:
    """Refuse boxes that are none, or lie outside their image.

    Args:
        boxes: (n, 4); n may be 0, and a box may be empty (x1 = x2).
        height: Of the image, pixels.
        width: Of the image, pixels.

    Raises:
        ValueError: If the shape is another one, a coordinate is not finite, corners are in the wrong order, or a box
            reaches outside the image; the first such box is named.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"expected boxes of shape (n, 4), got {tuple(boxes.shape)}.")
    array = boxes.detach().cpu().numpy() if isinstance(boxes, Tensor) else boxes
    x1, y1, x2, y2 = array.T
    # Comparisons with NaN are false, so that it is caught as well.
    inside = (x1 >= 0) & (y1 >= 0) & (x1 <= x2) & (y1 <= y2) & (x2 <= width) & (y2 <= height)
    if not inside.all():
        first = int(np.argmin(inside))
        raise ValueError(
            f"box {first} is ({', '.join(f'{value:g}' for value in array[first])}); expected 0 <= x1 <= x2 <= {width} and "
            f"0 <= y1 <= y2 <= {height} in an image of {width} x {height} px: scale or clip the boxes with their image."
        )


def merge_tiles(
    parts: Sequence[Instances], windows: Sequence[Tile], size: tuple[int, int], nms_threshold: float, margin: float = 0.0
) -> Instances:
    """Unite the boxes found in overlapping tiles, each cell once.

    A box at a tile's border that lies inside the image is of a cut cell, and dropped: where tiles overlap by twice the
    margin more than a cell measures, the cell is whole in another tile. Boxes of one cell found in several tiles overlap
    nearly wholly, and non-maximum suppression keeps the best.

    Args:
        parts: What was found in each tile, in its own coordinates.
        windows: The tiles.
        size: (height, width) of the image.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        margin: A box so near to the border, in pixels, counts as touching it.

    Returns:
        Boxes in the image's coordinates and scores, best first; no label map.
    """
    # Only merging needs torchvision, which takes seconds to import.
    from torchvision.ops import nms

    boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
    for part, window in zip(parts, windows, strict=True):
        origin = np.array([window.columns.start, window.rows.start] * 2, dtype=np.float32)
        moved = part.boxes + origin
        whole = _clear_of_seams(moved, window, size, margin)
        boxes.append(moved[whole])
        scores.append(part.scores[whole])
    all_boxes, all_scores = np.concatenate(boxes), np.concatenate(scores)
    kept = nms(torch.from_numpy(all_boxes), torch.from_numpy(all_scores), nms_threshold).numpy()
    return Instances(all_boxes[kept], all_scores[kept])


def _clear_of_seams(boxes: NDArray[np.float32], window: Tile, size: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    rows, columns = window
    height, width = size
    clear = np.ones(len(boxes), dtype=np.bool_)
    if columns.start > 0:
        clear &= boxes[:, 0] > columns.start + margin
    if rows.start > 0:
        clear &= boxes[:, 1] > rows.start + margin
    if columns.stop < width:
        clear &= boxes[:, 2] < columns.stop - margin
    if rows.stop < height:
        clear &= boxes[:, 3] < rows.stop - margin
    return clear
