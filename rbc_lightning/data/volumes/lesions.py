"""The lesions of a label volume, each with volume, extent and place."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

COLUMNS = (
    *("lesion", "class", "volume_ml", "extent_mm", "center_right_mm", "center_front_mm", "center_up_mm"),
    *("center_x", "center_y", "center_z", "voxels"),
)
_CORNERS = np.array(list(product((-0.5, 0.5), repeat=3)))
CONNECTED = np.ones((3, 3, 3), dtype=np.int8)
"""Voxels that touch at a face, an edge or a corner are one lesion (26-connected)."""


@dataclass(frozen=True)
class Lesion:
    """A patch of voxels of one class that touch at a face, an edge or a corner.

    Args:
        name: of the class.
        voxels: its number of voxels.
        volume: millilitres.
        extent: the longest straight line in it, from a voxel's corner to another's, mm.
        center: its centre of mass in voxel indices (x, y, z).
        world: the same in mm, by the affine: to the right, front and up, unless the header says otherwise.
    """

    name: str
    voxels: int
    volume: float
    extent: float
    center: tuple[float, float, float]
    world: tuple[float, float, float]

    def row(self, number: int) -> tuple[object, ...]:
        """Values of `COLUMNS`; mm and voxels to two decimals, ml to four."""
        lengths = (self.extent, *self.world, *self.center)
        return (number, self.name, round(self.volume, 4), *(round(length, 2) for length in lengths), self.voxels)


def find_lesions(labels: NDArray[np.integer], affine: NDArray[np.float64], classes: Mapping[int, str]) -> list[Lesion]:
    """All lesions of the classes given, the classes in their order, the largest of each first.

    Args:
        labels: (x, y, z).
        affine: (4, 4), voxel to mm.
        classes: names of values; others are left out.
    """
    found = []
    ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    for value, name in classes.items():
        patches, _ = label(labels == value, CONNECTED)
        of_class = [
            _lesion(name, np.argwhere(patches[box] == number) + [side.start for side in box], affine, ml)
            for number, box in enumerate(find_objects(patches), start=1)
        ]
        found += sorted(of_class, key=lambda lesion: -lesion.voxels)
    return found


def _lesion(name: str, inside: NDArray[np.int64], affine: NDArray[np.float64], ml: float) -> Lesion:
    center = inside.mean(axis=0)
    world = affine[:3, :3] @ center + affine[:3, 3]
    as_tuples = [tuple(float(value) for value in point) for point in (center, world)]
    return Lesion(name, len(inside), len(inside) * ml, _extent(inside, affine), *as_tuples)  # type: ignore[arg-type]  # of three


def _extent(inside: NDArray[np.int64], affine: NDArray[np.float64]) -> float:
    # In every column of voxels, the lowest and the highest reach farthest: sorted as np.argwhere gives them.
    new = (np.diff(inside[:, :2], axis=0) != 0).any(axis=1)
    ends = inside[np.r_[True, new] | np.r_[new, True]]
    corners = (ends[:, None] + _CORNERS).reshape(-1, 3) @ affine[:3, :3].T
    return float(pdist(corners[ConvexHull(corners).vertices]).max())
