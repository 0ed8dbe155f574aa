"""Kernels that look up the structure of a cell in a crop that lies turned, flipped and scaled."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.bank.measure import is_interior
from rbc_lightning.masks.jit import kernel

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int32]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Sectors around a cell's centre in which its outline is compared with its crop's.
DIRECTIONS = 32
# A point belongs to a cell if this much of the four pixels around it does, by weight.
LEAST_KNOWN = 0.25
# Bits of a crop's codes.
CELL, DARK, ALIKE = 1, 2, 4


class Crops(NamedTuple):
    """Small images of one cell each, laid end to end.

    Attributes:
        codes: uint8 (pixels,), row by row: `CELL` where the cell is, `DARK` where its structure, or that of the background
            beside it, is dark, `ALIKE` where this pixel and the next ones right, below and between are the cell's and as dark.
        starts: int64 (n,), where each crop begins.
        sizes: int64 (n, 2), height and width.
        centers: int64 (n, 2), row and column of what the shape bank's coordinates are relative to.
    """

    codes: Bytes
    starts: Ints
    sizes: Ints
    centers: Ints


@kernel
def place_in_crop(row: int, column: int, cell: int, maps: Floats) -> tuple[float, float]:
    """Map a pixel of the image to its cell's crop, relative to the crop's centre."""
    y = maps[cell, 0, 0] * row + maps[cell, 0, 1] * column + maps[cell, 0, 2]
    x = maps[cell, 1, 0] * row + maps[cell, 1, 1] * column + maps[cell, 1, 2]
    return y, x


@kernel
def place_stretched(row: int, column: int, cell: int, maps: Floats, stretch: Floats) -> tuple[float, float]:
    """The same, stretched by a factor interpolated between the middles of sectors; `stretch` may be empty."""
    y, x = place_in_crop(row, column, cell, maps)
    if len(stretch) == 0:
        return y, x
    place = direction(y, x) - 0.5
    first = int(np.floor(place))
    share = place - first
    factor = (1.0 - share) * stretch[cell, first % DIRECTIONS] + share * stretch[cell, (first + 1) % DIRECTIONS]
    return factor * y, factor * x


@kernel
def direction(y: float, x: float) -> float:
    """Direction of a vector as a number in [0, DIRECTIONS), by its place on the diamond |y| + |x| = 1; 0 for no vector."""
    size = abs(y) + abs(x)
    if size == 0.0:
        return 0.0
    turn = y / size if x >= 0 else 2.0 - y / size
    turn = (turn if turn >= 0 else turn + 4.0) * (DIRECTIONS / 4.0)
    return turn if turn < DIRECTIONS else 0.0


@kernel
def inside_crop(
    y: float, x: float, codes: Bytes, start: int, height: int, width: int, center_row: int, center_column: int
) -> int:
    """Structure of a crop's cell at a point, given from its centre, or where the way to the centre first meets the cell.

    Points of the outline may fall beside the crop's cell, by rounding or because a borrowed crop fits only roughly: either
    way the outline of the one cell goes to the outline of the other.
    """
    value = vote(center_row + y, center_column + x, codes, start, height, width)
    if value >= 0:
        return value
    steps = int(np.ceil(max(abs(y), abs(x))))
    for step in range(1, steps + 1):
        rest = 1.0 - step / steps
        value = vote(center_row + rest * y, center_column + rest * x, codes, start, height, width)
        if value >= 0:
            return value
    return 0


@kernel
def agreed(y: float, x: float, codes: Bytes, start: int, height: int, width: int) -> int:
    """What `vote` gives where the pixels around a point are all the cell's and alike, as most are; else -1."""
    top, left = int(np.floor(y)), int(np.floor(x))
    if 0 <= top < height and 0 <= left < width:
        code = codes[start + top * width + left]
        if code & ALIKE:
            return int((code & DARK) >> 1)
    return -1


@kernel
def vote(y: float, x: float, codes: Bytes, start: int, height: int, width: int) -> int:
    """Structure at a point, interpolated between the pixels around it that are the cell's and rounded; -1 off the cell.

    The nearest pixel alone would fray the smooth edges of real structure as soon as a cell is turned.
    """
    top, left = int(np.floor(y)), int(np.floor(x))
    # The margin is never the cell's: beyond it there is nothing to add.
    if not (0 <= top < height - 1 and 0 <= left < width - 1):
        return -1
    known, dark = 0.0, 0.0
    for corner in range(4):
        row, column = top + (corner >> 1), left + (corner & 1)
        code = codes[start + row * width + column]
        weight = (1.0 - abs(y - row)) * (1.0 - abs(x - column)) * (code & CELL)
        known += weight
        dark += weight * ((code & DARK) >> 1)
    return int(2.0 * dark >= known) if known >= LEAST_KNOWN else -1


@kernel
def beside_crop(
    y: float, x: float, codes: Bytes, start: int, height: int, width: int, center_row: int, center_column: int
) -> int:
    """Structure next to a crop's cell at a point, or up to a pixel further out; -1 if that is the cell or no crop."""
    length = max(np.sqrt(y * y + x * x), 1.0)
    for half in range(3):
        row = int(np.floor(center_row + y + 0.5 * half * y / length + 0.5))
        column = int(np.floor(center_column + x + 0.5 * half * x / length + 0.5))
        if 0 <= row < height and 0 <= column < width:
            code = codes[start + row * width + column]
            if not code & CELL:
                return int((code & DARK) >> 1)
    return -1


@kernel
def measure_stretch(label_map: Labels, crop_of: Ints, maps: Floats, crops: Crops) -> Floats:
    """Compare the outlines of cells and of the crops laid on them: float64 (n, DIRECTIONS), crop's radius over cell's.

    Radii are those of the farthest outline pixel of a sector around the crop's centre; a sector without any has a ratio of
    1. The image border cuts cells: pixels there are outline.
    """
    n, bottom, right = len(crop_of), label_map.shape[0] - 1, label_map.shape[1] - 1
    outer, inner = np.zeros((n, DIRECTIONS)), np.zeros((n, DIRECTIONS))
    for row in range(label_map.shape[0]):
        for column in range(label_map.shape[1]):
            cell = label_map[row, column] - 1
            at_border = row == 0 or row == bottom or column == 0 or column == right
            if cell >= 0 and (at_border or not is_interior(label_map, row, column)):
                y, x = place_in_crop(row, column, cell, maps)
                note_radius(y, x, cell, inner)
    codes, starts, sizes, centers = crops.codes, crops.starts, crops.sizes, crops.centers
    for cell in range(n):
        crop = crop_of[cell]
        width = sizes[crop, 1]
        # Crops have a margin: every pixel of the cell has neighbours.
        for row in range(1, sizes[crop, 0] - 1):
            for column in range(1, width - 1):
                i = starts[crop] + row * width + column
                inner_pixel = codes[i - 1] & codes[i + 1] & codes[i - width] & codes[i + width] & CELL
                if codes[i] & CELL and not inner_pixel:
                    note_radius(float(row - centers[crop, 0]), float(column - centers[crop, 1]), cell, outer)
    for cell in range(n):
        for sector in range(DIRECTIONS):
            known = outer[cell, sector] > 0 and inner[cell, sector] > 0
            outer[cell, sector] = outer[cell, sector] / inner[cell, sector] if known else 1.0
    return outer


@kernel
def note_radius(y: float, x: float, cell: int, radii: Floats) -> None:
    """Raise the radius of a vector's sector to the vector's length."""
    sector = int(direction(y, x))
    radii[cell, sector] = max(radii[cell, sector], np.sqrt(y * y + x * x))
