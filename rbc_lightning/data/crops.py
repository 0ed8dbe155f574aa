"""Crops and mirror images of an image together with its label map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as connected_components

Image = NDArray[np.uint8]
LabelMap = NDArray[np.int32]
MIRRORED_AREA_RATIO = 10


def random_crop(image: Image, label_map: LabelMap, size: int, rng: np.random.Generator) -> tuple[Image, LabelMap]:
    """Cut the same random square out of image and label map.

    Args:
        image: uint8 (H, W, 3).
        label_map: int32 (H, W).
        size: Side of the square in pixels. A smaller image is first continued by reflection at its lower and right
            border; a cell cut by that border becomes symmetric, another one's mirror image gets a new id.
        rng: Source of the position.

    Returns:
        Image (size, size, 3) and label map (size, size), contiguous copies.

    Raises:
        ValueError: If `size` is not positive, or the shapes do not belong together.
        TypeError: If a dtype is another one.
    """
    check_pair(image, label_map)
    if size < 1:
        raise ValueError(f"The crop size must be at least 1 pixel, got {size}.")
    bottom, right = (max(0, size - side) for side in label_map.shape)
    if bottom or right:
        # "symmetric" repeats the border pixel and so works for any size, also on one-pixel images.
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        label_map = separate_mirrored_cells(np.pad(label_map, ((0, bottom), (0, right)), mode="symmetric"))
    row, column = (int(rng.integers(side - size + 1)) for side in label_map.shape)
    window = (slice(row, row + size), slice(column, column + size))
    return image[window].copy(), label_map[window].copy()


def random_flips(image: Image, label_map: LabelMap, rng: np.random.Generator) -> tuple[Image, LabelMap]:
    """Mirror image and label map together, left-right and top-bottom, each with probability one half.

    Returns:
        Contiguous arrays of the same shapes.
    """
    for axis in (1, 0):
        if rng.random() < 0.5:
            image, label_map = np.flip(image, axis), np.flip(label_map, axis)
    return np.ascontiguousarray(image), np.ascontiguousarray(label_map)


def separate_mirrored_cells(label_map: LabelMap) -> LabelMap:
    """Give a new id to every further piece of an id that is in several pieces; the largest piece keeps it.

    Pieces (8-connected) under a tenth of the largest are left alone: nearest-neighbour sampling of a bent outline
    splits off single pixels, which are no cells.

    Args:
        label_map: int32 (H, W).

    Returns:
        int32 (H, W); new ids follow the largest one.
    """
    pieces = connected_components(label_map, background=0, connectivity=2)
    areas = np.bincount(pieces.ravel())
    ids = np.zeros(len(areas), dtype=np.int32)
    ids[pieces] = label_map  # one id per piece: all its pixels write the same value
    next_id = int(ids.max()) + 1
    largest: dict[int, int] = {}
    for piece in 1 + np.argsort(-areas[1:], kind="stable"):
        cell = int(ids[piece])
        if cell not in largest:
            largest[cell] = areas[piece]
        elif areas[piece] * MIRRORED_AREA_RATIO >= largest[cell]:
            ids[piece] = next_id
            next_id += 1
    separated: LabelMap = ids[pieces]
    return separated


def check_pair(image: Image, label_map: LabelMap) -> None:
    """Refuse an image and a label map that do not belong together.

    Raises:
        TypeError: If they are not uint8 and int32.
        ValueError: If they are not (H, W, 3) and (H, W).
    """
    if image.dtype != np.uint8 or label_map.dtype != np.int32:
        raise TypeError(f"Expected a uint8 image and an int32 label map, got {image.dtype} and {label_map.dtype}.")
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] != label_map.shape:
        raise ValueError(f"Expected an image (H, W, 3) and a label map (H, W), got {image.shape} and {label_map.shape}.")
