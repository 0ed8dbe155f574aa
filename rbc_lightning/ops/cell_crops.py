"""Crops of single cells on one small grid, and how near the nearest of other cells is: a check on copying."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 16
"""Side of a crop in pixels of the small grid."""
# Share of the crop's side that the cell's longer side takes: some of its surroundings are seen.
_FILL = 0.8
# Rows of the distance matrix computed at a time.
_CHUNK = 256
_FLAT = 1e-6


def cell_crops(image: NDArray[np.uint8], label_map: NDArray[np.integer], side: int = SIDE) -> NDArray[np.float32]:
    """Cut out every cell, centred on its centroid and scaled to one size.

    The crop is a square around the centroid whose side is the longer side of the cell's box over 0.8, averaged over areas
    down to `side` pixels. Cells whose square leaves the image are left out.

    Args:
        image: uint8 (H, W, 3).
        label_map: integer (H, W), 0 = background.
        side: of the result, pixels.

    Returns:
        float32 (n, side, side, 3) in grey levels, in order of id; n may be 0.

    Raises:
        ValueError: image and label map differ in size.
    """
    if image.shape[:2] != label_map.shape:
        raise ValueError(f"image {image.shape} and label map {label_map.shape} differ in size")
    crops = []
    for number, found in enumerate(ndimage.find_objects(label_map.astype(np.int32)), start=1):
        if found is None:
            continue
        rows, columns = np.nonzero(label_map[found] == number)
        half = max(1, round(max(np.ptp(rows), np.ptp(columns)) / _FILL / 2))
        top, left = (round(axis.mean()) + part.start - half for axis, part in zip((rows, columns), found, strict=True))
        bottom, right = top + 2 * half + 1, left + 2 * half + 1
        if min(top, left) < 0 or bottom > image.shape[0] or right > image.shape[1]:
            continue
        square = image[top:bottom, left:right].astype(np.float32)
        crops.append(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(crops) if crops else np.zeros((0, side, side, 3), dtype=np.float32)


def nearest_distances(queries: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance of every cell's pattern to that of the nearest reference cell, as it is or mirrored.

    A crop's pattern is the crop with mean 0 per channel and deviation 1: painted cells take their stain from training cells
    by design, and smoother ones would be nearer to everything. The distance is the root mean square difference of two
    patterns, which is sqrt(2 (1 - correlation)): 0 for a copy, 1.41 for unrelated patterns.

    Args:
        queries: (n, h, w, 3), see `cell_crops`.
        references: (m, h, w, 3), m of 1 or more.

    Returns:
        float64 (n,).

    Raises:
        ValueError: crops of different size, or no reference.
    """
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(f"crops must have one size, got {queries.shape[1:]} and {references.shape[1:]}")
    if len(references) == 0:
        raise ValueError("expected at least one reference cell, got none")
    known = _patterns(references)
    squares = (known**2).sum(axis=1)
    nearest = np.full(len(queries), np.inf)
    # Mirroring the queries alone covers mirrored references too.
    for mirrored in (queries, queries[:, ::-1], queries[:, :, ::-1], queries[:, ::-1, ::-1]):
        rows = _patterns(mirrored)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            distances = (part**2).sum(axis=1)[:, None] + squares[None] - 2 * part @ known.T
            nearest[start : start + _CHUNK] = np.minimum(nearest[start : start + _CHUNK], distances.min(axis=1))
    return np.asarray(np.sqrt(np.clip(nearest, 0, None) / known.shape[1]))


def _patterns(crops: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = crops - crops.mean(axis=(1, 2), keepdims=True)
    scaled = centred / np.maximum(centred.std(axis=(1, 2, 3), keepdims=True), _FLAT)
    return np.asarray(scaled.reshape(len(crops), math.prod(crops.shape[1:])), dtype=np.float32)
