"""Intensities of scans: the brain, roughly, and values as standard deviations from its mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from rbc_lightning.data.volumes.nifti import Volume
from rbc_lightning.errors import InputError

STANDARD = (0.4, 0.1)
"""Mean and deviation, as shares of `LARGEST`, of what is stored of the brain."""
LARGEST = 4095
"""Largest value stored: 12 bits."""

# mm; what joins scalp and brain is thinner than twice the depth.
_SMOOTH, _DEPTH, _GAP = 0.8, 6.0, 6.0
_HEAD = 0.8  # of Otsu's threshold


def brain_mask(volumes: Sequence[Volume]) -> NDArray[np.bool_]:
    """The brain of a scan, roughly: the largest bright body after `_DEPTH` mm are worn off, grown again and its gaps filled.

    No skull stripping: neck muscles below and parts of the meninges may belong to it. Good enough for a mean and a deviation.

    Args:
        volumes: channels of one scan on one grid, all of which count equally.

    Returns:
        bool (x, y, z).

    Raises:
        InputError: a volume has one value all over.
    """
    voxel = np.linalg.norm(volumes[0].affine[:3, :3], axis=0)
    grey = np.mean([_unit(volume) for volume in volumes], axis=0)
    smooth = ndimage.gaussian_filter(grey, _SMOOTH / voxel)
    head = smooth > _HEAD * threshold_otsu(smooth)
    core, count = ndimage.label(_worn(head, voxel, _DEPTH))
    if count == 0:
        return np.asarray(head)
    body = _grown(core == 1 + np.bincount(core.ravel())[1:].argmax(), voxel, _DEPTH + 1) & head
    return _filled(_worn(_grown(body, voxel, _GAP), voxel, _GAP), volumes[0].affine)


def standardise(array: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Values of a volume as z-scores in the brain, cut to [-4, 6], on 0..`LARGEST`: see `STANDARD`.

    Args:
        array: (x, y, z).
        brain: (x, y, z), not empty.
    """
    inside = array[brain].astype(np.float64)
    mean, deviation = inside.mean(), max(float(inside.std()), 1e-12)
    unit = (array - mean) / deviation * STANDARD[1] + STANDARD[0]
    return np.asarray(np.rint(np.clip(unit, 0, 1) * LARGEST), dtype=np.uint16)


def _unit(volume: Volume) -> NDArray[np.float32]:
    """Values from the smallest to nearly the largest as 0 to 1."""
    array = volume.array
    low = float(array.min())
    if float(array.max()) == low:
        raise InputError(f"{volume.path}: every voxel is {low:g}; expected an image: export it again, or leave the scan out")
    high = float(np.percentile(array[array > low], 98))
    return np.asarray(np.clip((array - low) / (high - low), 0, 1), dtype=np.float32)


def _worn(mask: NDArray[np.bool_], voxel: NDArray[np.float64], mm: float) -> NDArray[np.bool_]:
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=voxel) > mm)


def _grown(mask: NDArray[np.bool_], voxel: NDArray[np.float64], mm: float) -> NDArray[np.bool_]:
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=voxel) <= mm)


def _filled(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """With the holes of every axial slice."""
    axial = int(np.abs(affine[2, :3] / np.linalg.norm(affine[:3, :3], axis=0)).argmax())
    slices = [ndimage.binary_fill_holes(part) for part in np.moveaxis(mask, axial, 0)]
    return np.ascontiguousarray(np.moveaxis(np.stack(slices), 0, axial))
