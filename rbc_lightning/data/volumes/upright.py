"""Volumes turned upright: axes to the patient's right, to the front and up, by exchanging and mirroring whole axes."""

from typing import Any, TypeVar

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)
Sides = tuple[float, float, float]


def upright(array: NDArray[Kind], affine: NDArray[np.float64]) -> NDArray[Kind]:
    """A volume (x, y, z), stored in any order, with the axis nearest to the right first, that to the front second, up last."""
    return np.asarray(apply_orientation(array, io_orientation(affine)))


def upright_sides(affine: NDArray[np.float64]) -> Sides:
    """The sides of a voxel in mm, in the order of the axes of `upright`."""
    lengths: Any = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(io_orientation(affine)[:, 0])]
    right, front, up = lengths.tolist()
    return right, front, up
