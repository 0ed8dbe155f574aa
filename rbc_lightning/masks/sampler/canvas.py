"""The arrays a mask is built in, and the numbers it is built by."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Placing(NamedTuple):
    """Every number the placing loop needs; `MaskSampler` says what they mean."""

    n_init: int
    adhesion: bool
    exact_mean: bool
    max_overlap: float
    overlap_power: float
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
    margin: int


class Canvas(NamedTuple):
    """The mask under construction.

    Cells may lie outside the image, in a margin around it: those are known to ``occupied`` and ``centers`` only. A cell
    that shows in the image has a label, the others 0.

    Attributes:
        label_map: int32 (H, W).
        colors: uint8 (H, W).
        occupied: uint64 bit plane of the foreground, image and margin, with a guard band around.
        frame: uint64 (words,), the columns of a plane row that lie inside image or margin.
        origin: int64 (2,), row and bit of the image's first pixel in the plane.
        centers: int64 (cells, 2), row and column.
        labels: int32 (cells,).
        shape_index: int32 (cells,).
        poses: float64 (cells, 2, 2), the matrix each shape was drawn by.
        boxes: int32 (count, 4), by label - 1: first and last row, first and last column of what was drawn.
        areas: int64 (count, 2), by label - 1: pixels inside the image when placed, and of them visible now.
        height: int64 (count,), by label - 1: keys that sort the cells from the lowest to the highest.
        taken: bool (n_colors + 1,), scratch: colours in use around a place; entry 0 tells whether there is any cell.
        hidden: int64 (16, 2), scratch: labels that a new cell would hide part of, and how many pixels.
        report: int64 (4,), see the names below.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    occupied: NDArray[np.uint64]
    frame: NDArray[np.uint64]
    origin: NDArray[np.int64]
    centers: NDArray[np.int64]
    labels: NDArray[np.int32]
    shape_index: NDArray[np.int32]
    poses: NDArray[np.float64]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int64]
    height: NDArray[np.int64]
    taken: NDArray[np.bool_]
    hidden: NDArray[np.int64]
    report: NDArray[np.int64]


CELLS, LABELS, FALLBACK, PLACES_TRIED = range(4)


def new_canvas(height: int, width: int, count: int, n_colors: int, reach: int, margin: int = 0) -> Canvas:
    """Allocate an empty mask for cells that extend at most ``reach`` pixels from their centre.

    With a margin there is room for as many cells outside the image as its area suggests, thrice over.
    """
    guard = reach + margin + 3
    guard_words = (guard + 63) // 64
    words = (width + 63) // 64 + 2 * guard_words + 1
    inside = np.zeros(words * 64, np.uint8)
    inside[64 * guard_words - margin : 64 * guard_words + width + margin] = 1
    # Bit k of a word is column k: pack little end first and read the bytes as little-endian words on any machine.
    frame = np.packbits(inside, bitorder="little").view("<u8").astype(np.uint64)
    around = (height + 2 * margin) * (width + 2 * margin) / (height * width) - 1
    cells = count + math.ceil(3 * around * (count + 10))
    return Canvas(
        label_map=np.zeros((height, width), np.int32),
        colors=np.zeros((height, width), np.uint8),
        occupied=np.zeros((height + 2 * guard, words), np.uint64),
        frame=frame,
        origin=np.array([guard, 64 * guard_words], np.int64),
        centers=np.zeros((cells, 2), np.int64),
        labels=np.zeros(cells, np.int32),
        shape_index=np.zeros(cells, np.int32),
        poses=np.zeros((cells, 2, 2)),
        boxes=np.zeros((count, 4), np.int32),
        areas=np.zeros((count, 2), np.int64),
        height=np.zeros(count, np.int64),
        taken=np.zeros(n_colors + 1, np.bool_),
        hidden=np.zeros((16, 2), np.int64),
        report=np.zeros(4, np.int64),
    )
