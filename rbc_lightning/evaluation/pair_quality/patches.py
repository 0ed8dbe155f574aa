"""The patches of a label map: cells, or what touches of one class; how large they are and where they lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label as connected_components

from rbc_lightning.data.spec import Image, ImageSpec, LabelMap

Floats = NDArray[np.floating[Any]]


class Patches(NamedTuple):
    """Patches of one label map, float64 (n,) each; lengths in mm where the spacing is known, else in pixels.

    Attributes:
        value: of the class, from 1; 1 for cells.
        area: in the unit of lengths, squared.
        ventricle: from the nearest pixel to the nearest one of the ventricles; NaN where the label map shows none.
        middle: from the centre of mass to the middle of the head; NaN but for upright slices.
    """

    value: Floats
    area: Floats
    ventricle: Floats
    middle: Floats


def ventricle_value(spec: ImageSpec) -> int | None:
    """The value of the ventricles in label maps with context; None where no class is called so."""
    names = [name.lower() for name in spec.with_context().class_names]
    return next((value for value, name in enumerate(names, start=1) if name.startswith("ventric")), None)


def cells_of(label_map: LabelMap, spec: ImageSpec) -> LabelMap:
    """What is labelled as cells, int32 (H, W): of classes every 8-connected patch of any class is one."""
    targets = spec.targets(label_map)
    if spec.labels == "instances":
        return targets
    return np.asarray(connected_components(targets, background=0, connectivity=2), dtype=np.int32)


def find_patches(image: Image, label_map: LabelMap, spec: ImageSpec) -> Patches:
    """All patches of what is segmented, in any order.

    Args:
        image: (H, W, C); tells where the head is.
        label_map: (H, W), with context or without.
        spec: of the pair; what touches at a side or corner and is of one class is one patch, of instances every cell.
    """
    cells = cells_of(label_map, spec)
    numbers = np.flatnonzero(np.bincount(cells.ravel()))
    numbers = numbers[numbers > 0]
    spacing = np.array(spec.spacing or (1.0, 1.0))
    n = len(numbers)
    value = np.ones(n)
    if spec.labels == "classes":
        value = np.asarray(ndimage.maximum(label_map, cells, numbers), dtype=np.float64)
    area = np.asarray(np.bincount(cells.ravel(), minlength=1)[numbers] * spacing.prod(), dtype=np.float64)
    ventricle, middle, known = np.full(n, np.nan), np.full(n, np.nan), ventricle_value(spec)
    if n and known is not None and (label_map == known).any():
        distances = ndimage.distance_transform_edt(label_map != known, sampling=spacing)
        ventricle = np.where(value == known, np.nan, ndimage.minimum(distances, cells, numbers))
    if n and spec.upright:
        centers = np.array(ndimage.center_of_mass(cells > 0, cells, numbers))
        middle = np.hypot(*((centers - head_middle(image)) * spacing).T)
    return Patches(value, area, ventricle, middle)


def head_middle(image: Image) -> NDArray[np.float64]:
    """The middle of what is bright in an image (H, W, C), by the threshold of Otsu (1979): row and column, float64 (2,).

    NaN in an image of one value.
    """
    grey = image.mean(axis=2)
    if grey.min() == grey.max():
        return np.full(2, np.nan)
    return np.array(ndimage.center_of_mass(grey > threshold_otsu(grey)))
