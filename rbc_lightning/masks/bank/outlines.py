"""Outlines of binary shapes as short polygons that give the shape back exactly."""

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.jit import kernel

# Pixels that one straight side of the polygon may cut off or add.
AREA_TOLERANCE = 0.6


def outline(shape: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Polygon around a 4-connected shape without holes.

    Its corners are midpoints of pixel edges, relative to the rounded centroid floor(centroid + 1/2), few, but such
    that every pixel centre is on its side: filling it at pixel centres gives the shape back exactly.

    Args:
        shape: with a background margin of one pixel.

    Returns:
        int16 (n, 2), doubled row and column, so that half pixels are integers; the polygon is closed.

    Raises:
        ValueError: the shape is too large for 16-bit coordinates.
    """
    if max(shape.shape) > np.iinfo(np.int16).max // 2:
        raise ValueError(f"a shape of {shape.shape} pixels is too large for the bank; reduce the image first")
    # A pixel has at most four edges.
    midpoints = trace(shape, np.empty((4 * int(shape.sum()), 2), np.int64))
    return np.asarray(midpoints[thin_out(midpoints)] - 2 * shape_centre(shape), np.int16)


def shape_centre(shape: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Row and column of a non-empty shape's rounded centroid, floor(centroid + 1/2), int64 (2,): the origin of outlines."""
    rows, columns = np.nonzero(shape)
    return np.floor(np.array([rows.mean(), columns.mean()]) + 0.5).astype(np.int64)


@kernel
def trace(shape: NDArray[np.bool_], midpoints: NDArray[np.int64]) -> NDArray[np.int64]:
    """Walk clockwise along the pixel edges of a shape; return their midpoints, doubled."""
    width = shape.shape[1]
    row, column = 0, 0
    while not shape[row, column]:
        row, column = (row, column + 1) if column + 1 < width else (row + 1, 0)
    first_row, first_column = row, column
    # Corner (r, c) is the upper left one of pixel (r, c); the walk starts east, with the shape on its right.
    step_row, step_column, n = 0, 1, 0
    while n == 0 or row != first_row or column != first_column or step_row != 0 or step_column != 1:
        midpoints[n, 0], midpoints[n, 1] = 2 * row - 1 + step_row, 2 * column - 1 + step_column
        n += 1
        row, column = row + step_row, column + step_column
        right = shape[row + (step_row + step_column - 1) // 2, column + (step_column - step_row - 1) // 2]
        left = shape[row + (step_row - step_column - 1) // 2, column + (step_column + step_row - 1) // 2]
        # Right first: pixels that meet only at a corner are not connected.
        if not right:
            step_row, step_column = step_column, -step_row
        elif left:
            step_row, step_column = -step_column, step_row
    return midpoints[:n]


@kernel
def thin_out(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose corners of the midpoint polygon greedily, each as far along as the straight line allows."""
    n = len(points)
    kept = np.zeros(n, np.int64)
    n_kept, start = 1, 0
    while start < n:
        stop = start + 1
        while stop < n and _separates(points, start, stop + 1):
            stop += 1
        start = stop
        if start < n:
            kept[n_kept] = start
            n_kept += 1
    return kept[:n_kept]


@kernel
def _separates(points: NDArray[np.int64], start: int, stop: int) -> bool:
    """Tell whether the segment from one point to another (``stop`` may wrap to 0) parts the pixels as the points do.

    It must also cut off next to nothing: chords of a round shape all lie inside it.
    """
    n = len(points)
    row, column = points[start]
    step_row, step_column = points[stop % n, 0] - row, points[stop % n, 1] - column
    last_row, last_column, doubled_area = 0, 0, 0
    for between in range(start + 1, stop):
        here_row, here_column = points[between, 0] - row, points[between, 1] - column
        # Forward only, or a chord could close over a thin arm of the shape.
        if here_row * step_row + here_column * step_column <= 0:
            return False
        # A midpoint with an odd row lies between two pixels above each other, doubled distance 1 to either centre.
        apart_row, apart_column = points[between, 0] & 1, points[between, 1] & 1
        side = here_row * step_column - here_column * step_row
        reach = abs(apart_row * step_column - apart_column * step_row)
        if abs(side) >= reach:
            return False
        doubled_area += last_row * here_column - last_column * here_row
        last_row, last_column = here_row, here_column
    doubled_area += last_row * step_column - last_column * step_row
    # Coordinates are doubled too, which makes an area of 1 a number of 8.
    return bool(abs(doubled_area) <= 8 * AREA_TOLERANCE)
