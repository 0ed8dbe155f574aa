"""Cutting structure maps apart: a crop for every shape of a bank, and the free background of every image."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rbc_lightning.masks.bank.measure import check_label_map
from rbc_lightning.masks.bank.outlines import shape_centre
from rbc_lightning.masks.bank.shapes import WholeCell, whole_cells
from rbc_lightning.translators.pix2pix.structures.crops import ALIKE, CELL, DARK, Bytes, Crops, Floats, Ints, Labels
from rbc_lightning.translators.pix2pix.structures.kernels import Images, survey_background

Bools = NDArray[np.bool_]

# Background up to this many pixels from a cell is not taken: outlines are a pixel or two off, halos reach further.
_CLEARANCE = 3
_EIGHT = np.ones((3, 3), np.bool_)


def cut(samples: Iterable[tuple[NDArray[Any], NDArray[Any]]], free_standing: bool) -> tuple[Crops, Floats, Images, float]:
    """Cut samples into the parts of a `StructureBank`, see `StructureBank.from_samples`."""
    cells: list[tuple[Bytes, Ints, Floats]] = []
    images: list[tuple[tuple[int, ...], Bytes, Bytes]] = []
    seams = np.zeros(2, np.int64)
    for label_map, structure in samples:
        labels = check_label_map(label_map)
        dark = check_structure(structure, labels.shape)
        owner = np.zeros_like(labels)
        seams += survey_background(labels, dark.view(np.uint8), owner)
        cells += [_cut_cell(cell, dark, owner) for cell in whole_cells(labels, free_standing)]
        free = free_background(labels, dark)
        if free.any():
            images.append((free.shape, np.packbits(free, bitorder="little"), np.packbits(dark, bitorder="little")))
    sizes = np.array([code.shape for code, _, _ in cells], np.int64).reshape(-1, 2)
    codes = np.concatenate([np.empty(0, np.uint8), *(code.ravel() for code, _, _ in cells)])
    centers = np.array([center for _, center, _ in cells], np.int64).reshape(-1, 2)
    moments = np.array([moments for _, _, moments in cells], np.float64).reshape(-1, 6)
    image_sizes = np.array([size for size, _, _ in images], np.int64).reshape(-1, 2)
    planes = [np.concatenate([np.empty(0, np.uint8), *(image[k] for image in images)]) for k in (1, 2)]
    backgrounds = Images(planes[0], planes[1], first_bytes(image_sizes)[:-1], image_sizes)
    return Crops(codes, first_pixels(sizes)[:-1], sizes, centers), moments, backgrounds, int(seams[1]) / max(int(seams[0]), 1)


def _cut_cell(cell: WholeCell, dark: Bools, owner: Labels) -> tuple[Bytes, Ints, Floats]:
    """Codes of a cell's own pixels and those beside it, where what is another's shows as light; centre; moments."""
    height, width = cell.shape.shape
    window = np.s_[cell.top : cell.top + height, cell.left : cell.left + width]
    own = cell.shape | (owner[window] == cell.label)
    return encode(cell.shape, dark[window] & own), shape_centre(cell.shape), shape_moments(cell.shape)


def encode(shape: Bools, dark: Bools) -> Bytes:
    """Codes of a crop, see `Crops`, uint8 (h, w), of a shape with a margin and its structure, both bool (h, w)."""
    codes = (CELL * shape + DARK * dark).astype(np.uint8)
    here, squares = codes[:-1, :-1], (codes[:-1, 1:], codes[1:, :-1], codes[1:, 1:])
    alike = shape[:-1, :-1] & np.all([here == other for other in squares], axis=0)
    codes[:-1, :-1] += ALIKE * alike.astype(np.uint8)
    return codes


def first_pixels(sizes: Ints) -> Ints:
    """Where each of several images laid end to end begins, and the end: int64 (n + 1,)."""
    return np.concatenate([[0], np.cumsum(sizes.prod(axis=1))]).astype(np.int64)


def first_bytes(sizes: Ints) -> Ints:
    """The same for images packed to bits one by one: int64 (n + 1,)."""
    return np.concatenate([[0], np.cumsum(-(-sizes.prod(axis=1) // 8))]).astype(np.int64)


def check_structure(structure: NDArray[np.integer] | Bools, shape: tuple[int, ...]) -> Bools:
    """An array as the structure map of a label map of some shape, bool; a `ValueError` where it is none."""
    array = np.asarray(structure)
    if array.shape != shape:
        raise ValueError(f"a structure map of shape {array.shape} came with a label map of shape {shape}; expected equal ones")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError(f"a structure map holds 0 and 1 (dark) only, got values from {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.bool_)


def shape_moments(shape: Bools) -> Floats:
    """Area, mean row, mean column, variances of row and column and their covariance, in pixels: float64 (6,)."""
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(shape))
    mean_row, mean_column = rows.mean(), columns.mean()
    y, x = rows - mean_row, columns - mean_column
    return np.array([len(rows), mean_row, mean_column, (y * y).mean(), (x * x).mean(), (y * x).mean()])


def free_background(labels: Labels, dark: Bools) -> Bools:
    """Find background that belongs to no cell.

    Beside the pixels near a cell, a dark patch that reaches there is left out whole: it is the cell's halo, or an unlabelled
    cell that touches it. Where most of the background is dark, being dark is no sign of a cell, and such patches stay.
    """
    near: Bools = ndimage.maximum_filter((labels > 0).view(np.uint8), 2 * _CLEARANCE + 1, mode="constant") > 0
    background = labels == 0
    free: Bools = background & ~near
    if 2 * np.count_nonzero(dark & free) > np.count_nonzero(free):
        return free
    patches, n = ndimage.label(dark & background, _EIGHT)
    reaching = np.zeros(n + 1, np.bool_)
    reaching[patches[near]] = True
    reaching[0] = False
    return np.asarray(free & ~reaching[patches], np.bool_)
