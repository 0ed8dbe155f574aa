"""Stateless functions on label maps: edges, instance means, boxes, contours, colour masks.

A label map is an integer array (H, W), or (B, H, W) for a batch; 0 is background, every other value one cell.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as connected_components
from torch import Tensor

from rbc_lightning.core.instance_means import check_integer, instance_mean, instance_table, paint_table

__all__ = [
    "colors_to_label_map",
    "instance_edges",
    "instance_mean",
    "instance_table",
    "label_map_to_boxes",
    "label_map_to_contours",
    "paint_table",
    "semantic_condition",
]

IntArray = NDArray[np.integer]


def instance_edges(label_map: Tensor) -> Tensor:
    """Mark the pixels on both sides of every border between two ids (4-neighbourhood).

    Two touching cells are thus parted by a line two pixels wide; so are a cell and the background.

    Args:
        label_map: integer (..., H, W).

    Returns:
        bool (..., H, W).

    Raises:
        TypeError: the label map is not an integer tensor.
    """
    check_integer(label_map)
    edges = torch.zeros(label_map.shape, dtype=torch.bool, device=label_map.device)
    across = label_map[..., :, 1:] != label_map[..., :, :-1]
    down = label_map[..., 1:, :] != label_map[..., :-1, :]
    edges[..., :, 1:] |= across
    edges[..., :, :-1] |= across
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    return edges


def semantic_condition(label_map: Tensor) -> Tensor:
    """Encode a label map as the GAN sees it: one-hot (background, cell), then the edge map.

    Args:
        label_map: integer (B, H, W).

    Returns:
        float32 (B, 3, H, W).
    """
    edges = instance_edges(label_map)
    cell = label_map > 0
    return torch.stack((~cell, cell, edges), dim=1).float()


def label_map_to_boxes(label_map: IntArray) -> NDArray[np.float32]:
    """Bound every cell.

    Args:
        label_map: integer (H, W).

    Returns:
        float32 (n, 4), one row (x1, y1, x2, y2) per id present, in order of id; pixels, x2 and y2 exclusive.

    Raises:
        TypeError, ValueError: not an integer array, or not two-dimensional.
    """
    array = _check_array(label_map)
    slices = [found for found in ndimage.find_objects(array) if found is not None]
    boxes = [(cols.start, rows.start, cols.stop, rows.stop) for rows, cols in slices]
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def label_map_to_contours(label_map: IntArray, thickness: int = 1) -> NDArray[np.bool_]:
    """Draw the outline of every cell, inside the cell: the second target of contour-aware networks (DCAN).

    Args:
        label_map: integer (H, W).
        thickness: width of the line in pixels.

    Returns:
        bool (H, W), a subset of the foreground. The image border is no outline.

    Raises:
        TypeError, ValueError: not an integer array, not two-dimensional, or `thickness` below 1.
    """
    array = _check_array(label_map)
    if thickness < 1:
        raise ValueError(f"thickness must be at least 1 pixel, got {thickness}")
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
    # A pixel is inside when the ids in its neighbourhood agree: 32-bit floats hold every id below 2**24 exactly.
    values = array.astype(np.float32)
    lowest = cv2.erode(values, kernel, borderType=cv2.BORDER_REPLICATE)
    highest = cv2.dilate(values, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray((array > 0) & (lowest != highest))


def colors_to_label_map(colors: IntArray) -> NDArray[np.int32]:
    """Turn a colour mask (Bailo et al. 2019, Sec. 4.1) into a label map by connected components per colour.

    Cells of one colour never touch (8-neighbourhood), so every 8-connected patch of one colour is one cell.

    Args:
        colors: palette indices (H, W), 0 = background; or RGB (H, W, 3), black = background.

    Returns:
        int32 (H, W), ids 1..n without gaps, numbered in raster order.

    Raises:
        TypeError, ValueError: not an integer array, or neither (H, W) nor (H, W, 3).
    """
    array = np.asarray(colors)
    if array.dtype.kind not in "iu":
        raise TypeError(f"expected an integer colour mask, got dtype {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 3:
        array = array.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    if array.ndim != 2:
        raise ValueError(f"expected a colour mask (H, W) or (H, W, 3), got shape {np.asarray(colors).shape}")
    return np.asarray(connected_components(array, background=0, connectivity=2), dtype=np.int32)


def _check_array(label_map: IntArray) -> IntArray:
    array = np.asarray(label_map)
    if array.dtype.kind not in "iu":
        raise TypeError(f"expected an integer label map, got dtype {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"expected a label map (H, W), got shape {array.shape}")
    return array.astype(np.int32) if array.dtype.itemsize != 4 else array
