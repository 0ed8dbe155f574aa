"""Crops and mirror images of an image together with its label map."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as connected_components

from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap

Augment = Callable[[Image, LabelMap, int], tuple[Image, LabelMap]]
"""Changes an image and its label map together, drawing from the seed alone."""
MIRRORED_AREA_RATIO = 10


def random_crop(
    image: Image, label_map: LabelMap, size: int, rng: np.random.Generator, spec: ImageSpec = RGB, focus: float = 0
) -> tuple[Image, LabelMap]:
    """Cut the same random square, `size` pixels wide, out of image (H, W, C) and label map int32 (H, W); copies.

    With probability `focus` the square lies about a labelled pixel, of which each is equally likely: that pixel is at most a
    quarter of the side from its middle, unless the image ends there. Else, and where nothing is labelled, it lies anywhere.
    What is context to `spec` does not count as labelled.
    A smaller image is first continued by reflection at its lower and right border; an instance cut by that border becomes
    symmetric, another one's mirror image gets a new id. A `ValueError` refuses a size below 1; see also `check_pair`.
    """
    check_pair(image, label_map, spec)
    if size < 1:
        raise ValueError(f"The crop size must be at least 1 pixel, got {size}.")
    bottom, right = (max(0, size - side) for side in label_map.shape)
    if bottom or right:
        # "symmetric" repeats the border pixel and so works for any size, also on one-pixel images.
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        height, width = label_map.shape
        label_map = np.pad(label_map, ((0, bottom), (0, right)), mode="symmetric")
        if spec.labels == "instances":
            rows, columns = (np.arange(side, dtype=np.int32) for side in label_map.shape)
            mirror = (rows // height)[:, None] * label_map.size + columns // width
            label_map = separate_mirrored_cells(label_map, mirror)
    row, column = (int(rng.integers(side - size + 1)) for side in label_map.shape)
    # Without a focus nothing more is drawn.
    if focus and rng.random() < focus and (targets := spec.targets(label_map)).any():
        labelled = np.argwhere(targets)
        middle = labelled[rng.integers(len(labelled))] + rng.integers(-(size // 4), size // 4 + 1, 2)
        row, column = np.clip(middle - size // 2, 0, np.array(label_map.shape) - size).tolist()
    window = (slice(row, row + size), slice(column, column + size))
    return image[window].copy(), label_map[window].copy()


def separate_mirrored_cells(label_map: LabelMap, mirror: NDArray[np.integer]) -> LabelMap:
    """Give a new id to every mirror image of a cell that is apart from the cell; the cell keeps its own.

    What lies in pieces in the true image, as a cell under another does, stays one cell, and so do its mirrored pieces
    among themselves. A mirror image without its cell keeps the id. Pieces (8-connected) under a tenth of the id's largest
    are left alone: nearest-neighbour sampling of a bent outline splits off single pixels, which are no cells. New ids
    follow the largest one.

    Args:
        label_map: int32 (H, W).
        mirror: (H, W), 0 where a pixel is of the true image, else a number for each of the mirror images around it.
    """
    if not mirror.any():
        return label_map
    pieces = connected_components(label_map, background=0, connectivity=2)
    areas = np.bincount(pieces.ravel())
    ids, place = np.zeros(len(areas), dtype=np.int32), np.zeros(len(areas), dtype=mirror.dtype)
    ids[pieces] = label_map  # one id per piece: all its pixels write the same value
    place[pieces] = mirror
    # What reaches into the true image is the cell itself, grown symmetric.
    place[np.unique(pieces[mirror == 0])] = 0
    largest: dict[int, int] = {}
    images: dict[int, dict[int, list[int]]] = {}
    for piece in 1 + np.argsort(-areas[1:], kind="stable"):
        cell = int(ids[piece])
        if areas[piece] * MIRRORED_AREA_RATIO >= largest.setdefault(cell, int(areas[piece])):
            images.setdefault(cell, {}).setdefault(int(place[piece]), []).append(int(piece))
    next_id = int(ids.max()) + 1
    for by_place in images.values():
        kept = 0 if 0 in by_place else next(iter(by_place))
        for where, some in by_place.items():
            if where != kept:
                ids[some] = next_id
                next_id += 1
    return np.asarray(ids[pieces])


def check_pair(image: Image, label_map: LabelMap, spec: ImageSpec) -> None:
    """Refuse an image and a label map that do not belong together, by a `TypeError` or `ValueError`."""
    if image.dtype != spec.dtype or label_map.dtype != np.int32:
        raise TypeError(f"Expected a {spec.dtype} image and an int32 label map, got {image.dtype} and {label_map.dtype}.")
    if image.shape != (*label_map.shape, spec.n_channels) or label_map.ndim != 2:
        raise ValueError(
            f"Expected an image (H, W, {spec.n_channels}) and a label map (H, W), got {image.shape} and {label_map.shape}."
        )
