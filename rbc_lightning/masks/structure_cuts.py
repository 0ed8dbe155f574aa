"""Cutting structure maps apart: a crop for every shape of a bank, and the free background of every image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rbc_lightning.masks.measure import check_label_map
from rbc_lightning.masks.outlines import shape_centre
from rbc_lightning.masks.shapes import WholeCell, whole_cells
from rbc_lightning.masks.structure_crops import ALIKE, CELL, DARK, Crops
from rbc_lightning.masks.structure_kernels import Images, survey_background

# Background up to this many pixels from a cell is not taken: outlines are a pixel or two off, halos reach further.
_CLEARANCE = 3
_EIGHT = np.ones((3, 3), np.bool_)


class Cutter:
    """Collects crops and backgrounds from one sample after the other; the arrays are those of `StructureBank`."""

    def __init__(self, free_standing: bool) -> None:
        self._free_standing = free_standing
        self._codes: list[NDArray[np.uint8]] = []
        self._centers: list[NDArray[np.int64]] = []
        self._moments: list[NDArray[np.float64]] = []
        self._seams = np.zeros(2, np.int64)
        self._images: list[tuple[tuple[int, ...], NDArray[np.uint8], NDArray[np.uint8]]] = []

    def add(self, label_map: NDArray[np.integer], structure: NDArray[np.integer] | NDArray[np.bool_]) -> None:
        """Cut one sample.

        Args:
            label_map: integer (H, W), 0 = background.
            structure: bool, or integers 0 and 1, (H, W), dark = 1.

        Raises:
            TypeError: the label map is not of an integer type.
            ValueError: the two differ in size, or the structure map is not binary.
        """
        labels = check_label_map(label_map)
        dark = check_structure(structure, labels.shape)
        owner = np.zeros_like(labels)
        self._seams += survey_background(labels, dark.view(np.uint8), owner)
        for cell in whole_cells(labels, self._free_standing):
            self._add_cell(cell, dark, owner)
        free = free_background(labels, dark)
        if free.any():
            self._images.append((free.shape, np.packbits(free, bitorder="little"), np.packbits(dark, bitorder="little")))

    def parts(self) -> tuple[Crops, NDArray[np.float64], Images, float]:
        """Crops, the moments of their cells (n, 6), the images, and the dark share of the seams between dark cells."""
        sizes = np.array([code.shape for code in self._codes], np.int64).reshape(-1, 2)
        codes = np.concatenate([np.empty(0, np.uint8), *(code.ravel() for code in self._codes)])
        centers = np.array(self._centers, np.int64).reshape(-1, 2)
        moments = np.array(self._moments, np.float64).reshape(-1, 6)
        image_sizes = np.array([size for size, _, _ in self._images], np.int64).reshape(-1, 2)
        free, dark = (np.concatenate([np.empty(0, np.uint8), *(image[k] for image in self._images)]) for k in (1, 2))
        seams, dark_seams = self._seams.tolist()
        images = Images(free, dark, first_bytes(image_sizes)[:-1], image_sizes)
        return Crops(codes, first_pixels(sizes)[:-1], sizes, centers), moments, images, dark_seams / max(seams, 1)

    def _add_cell(self, cell: WholeCell, dark: NDArray[np.bool_], owner: NDArray[np.int32]) -> None:
        """Add a cell with its own pixels and those beside it; what is another's shows as light."""
        height, width = cell.shape.shape
        window = np.s_[cell.top : cell.top + height, cell.left : cell.left + width]
        own = cell.shape | (owner[window] == cell.label)
        self._codes.append(encode(cell.shape, dark[window] & own))
        self._centers.append(shape_centre(cell.shape))
        self._moments.append(shape_moments(cell.shape))


def encode(shape: NDArray[np.bool_], dark: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Codes of a crop, see `Crops`, uint8 (h, w), of a shape with a margin and its structure, both bool (h, w)."""
    codes = (CELL * shape + DARK * dark).astype(np.uint8)
    here, squares = codes[:-1, :-1], (codes[:-1, 1:], codes[1:, :-1], codes[1:, 1:])
    alike = shape[:-1, :-1] & np.all([here == other for other in squares], axis=0)
    codes[:-1, :-1] += ALIKE * alike.astype(np.uint8)
    return codes


def first_pixels(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of several images laid end to end begins, and the end: int64 (n + 1,)."""
    return np.concatenate([[0], np.cumsum(sizes.prod(axis=1))]).astype(np.int64)


def first_bytes(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same for images packed to bits one by one: int64 (n + 1,)."""
    return np.concatenate([[0], np.cumsum(-(-sizes.prod(axis=1) // 8))]).astype(np.int64)


def check_structure(structure: NDArray[np.integer] | NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Check that an array is the structure map of a label map of some size and return it as bool.

    Args:
        structure: bool, or integers 0 and 1, dark = 1.
        shape: height and width of the label map.

    Raises:
        ValueError: another size, or other values.
    """
    array = np.asarray(structure)
    if array.shape != shape:
        raise ValueError(f"a structure map of shape {array.shape} came with a label map of shape {shape}; expected equal ones")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError(f"a structure map holds 0 and 1 (dark) only, got values from {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.bool_)


def shape_moments(shape: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area, mean row, mean column, variances of row and column and their covariance, in pixels: float64 (6,)."""
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(shape))
    mean_row, mean_column = rows.mean(), columns.mean()
    y, x = rows - mean_row, columns - mean_column
    return np.array([len(rows), mean_row, mean_column, (y * y).mean(), (x * x).mean(), (y * x).mean()])


def free_background(labels: NDArray[np.int32], dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find background that belongs to no cell.

    Beside the pixels near a cell, a dark patch that reaches there is left out whole: it is the cell's halo, or an unlabelled
    cell that touches it. Where most of the background is dark, being dark tells nothing, and such patches stay.

    Args:
        labels: int32 (H, W), 0 = background.
        dark: bool (H, W), the structure map.

    Returns:
        bool (H, W).
    """
    near: NDArray[np.bool_] = ndimage.maximum_filter((labels > 0).view(np.uint8), 2 * _CLEARANCE + 1, mode="constant") > 0
    background = labels == 0
    free: NDArray[np.bool_] = background & ~near
    if 2 * np.count_nonzero(dark & free) > np.count_nonzero(free):
        return free
    patches, n = ndimage.label(dark & background, _EIGHT)
    reaching = np.zeros(n + 1, np.bool_)
    reaching[patches[near]] = True
    reaching[0] = False
    return np.asarray(free & ~reaching[patches], np.bool_)
