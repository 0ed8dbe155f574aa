"""Per-cell moments and neighbour relations of a label map, each in one pass over the pixels."""

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.errors import InputError
from rbc_lightning.masks.jit import kernel

# Columns of the table that `cell_moments` returns.
AREA, SUM_ROW, SUM_COLUMN, SUM_ROW_ROW, SUM_COLUMN_COLUMN, SUM_ROW_COLUMN, TOP, BOTTOM, LEFT, RIGHT = range(10)


def check_label_map(label_map: NDArray[np.integer]) -> NDArray[np.int32]:
    """Check that an array is a label map, integer (H, W) with 0 = background, and return it as contiguous int32.

    Raises:
        TypeError: the array is not of an integer type.
        ValueError: the array is not two-dimensional, or is empty.
        InputError: it holds negative ids.
    """
    array = np.asarray(label_map)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"label map must be of an integer type, got {array.dtype}; read it without conversion")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"label map must be a non-empty (H, W) array, got shape {array.shape}")
    if array.min() < 0:
        raise InputError(f"label map must not hold negative ids, got {int(array.min())}; 0 is the background")
    return np.ascontiguousarray(array, dtype=np.int32)


@kernel
def cell_moments(label_map: NDArray[np.int32], n_labels: int) -> NDArray[np.int64]:
    """Sum the moments up to order two and the bounding box of every label up to the largest, ``n_labels``.

    Returns:
        int64 (n_labels + 1, 10), columns as named at the top of this file; the box is inclusive. Absent ids have area 0.
    """
    height, width = label_map.shape
    table = np.zeros((n_labels + 1, 10), np.int64)
    table[:, TOP] = height
    table[:, LEFT] = width
    table[:, BOTTOM] = -1
    table[:, RIGHT] = -1
    for row in range(height):
        for column in range(width):
            label = label_map[row, column]
            if label == 0:
                continue
            cell = table[label]
            cell[AREA] += 1
            cell[SUM_ROW] += row
            cell[SUM_COLUMN] += column
            cell[SUM_ROW_ROW] += row * row
            cell[SUM_COLUMN_COLUMN] += column * column
            cell[SUM_ROW_COLUMN] += row * column
            cell[TOP] = min(cell[TOP], row)
            cell[BOTTOM] = row
            cell[LEFT] = min(cell[LEFT], column)
            cell[RIGHT] = max(cell[RIGHT], column)
    return table


def central_moments(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Area, centroid and central second moments from rows of the table of `cell_moments`.

    Returns:
        float64 (n, 6): area, mean row and column, variance of rows, variance of columns, covariance; 0 for absent ids.
    """
    area = table[:, AREA].astype(np.float64)
    sums = table[:, [SUM_ROW, SUM_COLUMN, SUM_ROW_ROW, SUM_COLUMN_COLUMN, SUM_ROW_COLUMN]].astype(np.float64)
    row, column, row_row, column_column, row_column = (sums / np.maximum(area, 1)[:, None]).T
    moments = [area, row, column, row_row - row**2, column_column - column**2, row_column - row * column]
    return np.stack(moments, axis=1)


def lies_inside(table: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Which rows of the table of `cell_moments` are cells that do not reach the border, bool (n,)."""
    top, bottom, left, right = table[:, TOP:].T
    inside = (top > 0) & (left > 0) & (bottom < height - 1) & (right < width - 1)
    return np.asarray(inside & (table[:, AREA] > 0))


def border_weights(table: NDArray[np.int64], height: int, width: int) -> NDArray[np.float64]:
    """How many cells of its size each whole cell stands for, the border having cut the others.

    A cell with a bounding box of h x w pixels stays off the border of an H x W image at (H - 1 - h)(W - 1 - w) of its H W
    places, so that large cells are missed more often. Weighted by the inverse, H W / ((H - 1 - h)(W - 1 - w)), whole cells
    give unbiased sums over all cells of the field (Miles 1974, On the elimination of edge effects in planar sampling, in
    Stochastic Geometry, Wiley, 228-247; Lantuejoul 1980, On the estimation of mean values in individual analysis of
    particles, Microscopica Acta Suppl. 4, 266-273). The 1 is there because cells that reach the border count as cut.
    Cells are taken to lie anywhere in the field alike; of objects that are always in its middle the large get too much weight.

    Args:
        table: int64 (n, 10), rows of the table of `cell_moments`, all of cells that `lies_inside`.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        float64 (n,), > 1.
    """
    top, bottom, left, right = table[:, TOP:].T
    places = (height - 2 - (bottom - top)) * (width - 2 - (right - left))
    return np.asarray(height * width / places, np.float64)


@kernel
def largest_filled_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest 4-connected part of a shape and fill its holes; it needs a background margin of at least one pixel."""
    outside = np.zeros(mask.shape, np.int32)
    flood(outside, np.empty((mask.size, 2), np.int32), 0, 0, 1, largest_pieces(mask.astype(np.int32), 1), 0)
    filled: NDArray[np.bool_] = outside == 0
    return filled


@kernel
def flood(
    part: NDArray[np.int32], stack: NDArray[np.int32], row: int, column: int, mark: int, values: NDArray[np.int32], value: int
) -> int:
    """Mark everything 4-connected to a pixel that has ``values == value``; return how many pixels that is."""
    height, width = values.shape
    stack[0, 0], stack[0, 1] = row, column
    part[row, column] = mark
    waiting, size = 1, 0
    while waiting > 0:
        waiting -= 1
        row, column = stack[waiting, 0], stack[waiting, 1]
        size += 1
        for step in range(4):
            next_row = row + (step == 0) - (step == 1)
            next_column = column + (step == 2) - (step == 3)
            inside = 0 <= next_row < height and 0 <= next_column < width
            if inside and part[next_row, next_column] == 0 and values[next_row, next_column] == value:
                part[next_row, next_column] = mark
                stack[waiting, 0], stack[waiting, 1] = next_row, next_column
                waiting += 1
    return size


@kernel
def largest_pieces(label_map: NDArray[np.int32], n_labels: int) -> NDArray[np.int32]:
    """Keep the largest 4-connected piece of every label up to ``n_labels``, of equal ones the first; renumber in raster order.

    Returns:
        int32 (H, W), contiguous ids, one piece each.
    """
    height, width = label_map.shape
    part = np.zeros((height, width), np.int32)
    stack = np.empty((height * width, 2), np.int32)
    size, kept = np.zeros(n_labels + 1, np.int64), np.zeros(n_labels + 1, np.int32)
    number = np.zeros(n_labels + 1, np.int32)
    n_parts, n = 0, 0
    for row in range(height):
        for column in range(width):
            label = label_map[row, column]
            if label > 0 and part[row, column] == 0:
                n_parts += 1
                pixels = flood(part, stack, row, column, n_parts, label_map, label)
                if pixels > size[label]:
                    size[label], kept[label] = pixels, n_parts
    for row in range(height):
        for column in range(width):
            label = label_map[row, column]
            if label == 0 or part[row, column] != kept[label]:
                part[row, column] = 0
                continue
            if number[label] == 0:
                n += 1
                number[label] = n
            part[row, column] = number[label]
    return part


@kernel
def contact_pairs(label_map: NDArray[np.int32], gap: int) -> NDArray[np.int32]:
    """List the pairs of labels with at most ``gap`` background pixels between them (8-neighbourhood), 0 for direct contact.

    Returns:
        int32 (k, 2), smaller id first; pairs occur more than once.
    """
    found = np.empty((1024, 2), np.int32)
    n = 0
    height, width = label_map.shape
    for row in range(height):
        for column in range(width):
            label = label_map[row, column]
            if label == 0 or is_interior(label_map, row, column):
                continue
            # Half of the neighbourhood is enough: the other half sees the pair from the other cell.
            for next_row in range(row, min(row + gap + 2, height)):
                for next_column in range(max(column - gap - 1, 0), min(column + gap + 2, width)):
                    other = label_map[next_row, next_column]
                    if other == 0 or other == label:
                        continue
                    low, high = min(label, other), max(label, other)
                    if n > 0 and found[n - 1, 0] == low and found[n - 1, 1] == high:
                        continue
                    if n == len(found):
                        grown = np.empty((2 * n, 2), np.int32)
                        grown[:n] = found
                        found = grown
                    found[n, 0], found[n, 1] = low, high
                    n += 1
    return found[:n]


@kernel
def is_interior(label_map: NDArray[np.int32], row: int, column: int) -> bool:
    """Tell whether the four neighbours of a pixel have its label; the closest pixels of two cells never do."""
    label, height, width = label_map[row, column], label_map.shape[0], label_map.shape[1]
    same: bool = row == 0 or label_map[row - 1, column] == label
    same = same and (row == height - 1 or label_map[row + 1, column] == label)
    same = same and (column == 0 or label_map[row, column - 1] == label)
    return same and (column == width - 1 or label_map[row, column + 1] == label)
