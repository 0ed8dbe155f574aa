"""The arrays a mask is built in, and the numbers it is built by."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Recipe(NamedTuple):
    """Every number the placing loop needs; `MaskSampler` says what they mean."""

    n_init: int
    adhesion: bool
    exact_mean: bool
    max_overlap: float
    rotate: bool
    flip: bool
    scale_mean: float
    scale_std: float
    scale_min: float
    scale_max: float
    uniform_share: float
    lone_acceptance: float
    line_share: float
    tries_per_shape: int
    shapes_per_cell: int
    uniform_tries: int


class Canvas(NamedTuple):
    """The mask under construction; cell k has label k + 1.

    Attributes:
        label_map: int32 (H, W).
        colors: uint8 (H, W).
        occupied: uint64 bit plane of the foreground with a guard margin around the image.
        frame: uint64 (words,), the columns of a plane row that lie inside the image.
        margin: int64 (2,), guard rows above and guard bits left of the image.
        centers: int64 (count, 2), row and column.
        boxes: int32 (count, 4), first and last row, first and last column of what was drawn.
        areas: int64 (count, 2), pixels inside the image when the cell was placed, and of them visible now.
        height: int64 (count,), keys that sort the cells from the lowest to the highest.
        shape_index: int32 (count,).
        taken: bool (n_colors + 1,), scratch: colours in use around a place; entry 0 tells whether there is any cell.
        hidden: int64 (16, 2), scratch: labels that a new cell would hide part of, and how many pixels.
        report: int64 (4,), see the names below.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    occupied: NDArray[np.uint64]
    frame: NDArray[np.uint64]
    margin: NDArray[np.int64]
    centers: NDArray[np.int64]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int64]
    height: NDArray[np.int64]
    shape_index: NDArray[np.int32]
    taken: NDArray[np.bool_]
    hidden: NDArray[np.int64]
    report: NDArray[np.int64]


PLACED, FALLBACK, PLACES_TRIED, SHAPES_TRIED = range(4)


def new_canvas(height: int, width: int, count: int, n_colors: int, reach: int) -> Canvas:
    """Allocate an empty mask for cells that extend at most ``reach`` pixels from their centre."""
    guard_rows, guard_words = reach + 3, (reach + 3 + 63) // 64
    words = (width + 63) // 64 + 2 * guard_words + 1
    inside = np.zeros(words * 64, np.uint8)
    inside[64 * guard_words : 64 * guard_words + width] = 1
    # Bit k of a word is column k: pack little end first and read the bytes as little-endian words on any machine.
    frame = np.packbits(inside, bitorder="little").view("<u8").astype(np.uint64)
    return Canvas(
        label_map=np.zeros((height, width), np.int32),
        colors=np.zeros((height, width), np.uint8),
        occupied=np.zeros((height + 2 * guard_rows, words), np.uint64),
        frame=frame,
        margin=np.array([guard_rows, 64 * guard_words], np.int64),
        centers=np.zeros((count, 2), np.int64),
        boxes=np.zeros((count, 4), np.int32),
        areas=np.zeros((count, 2), np.int64),
        height=np.zeros(count, np.int64),
        shape_index=np.zeros(count, np.int32),
        taken=np.zeros(n_colors + 1, np.bool_),
        hidden=np.zeros((16, 2), np.int64),
        report=np.zeros(4, np.int64),
    )
