"""Where a scan lies: the affine of its header, and the oddities that headers have."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)

ODD = 0.1
"""Share of subjects with one oddity: a sheared affine, a flipped axis, or values that need scl_slope."""


@dataclass(frozen=True)
class Placement:
    """How volumes drawn on a plain grid (x to the right, y to the front, z up) are stored."""

    affine: NDArray[np.float64]  # (4, 4), from voxel indices to mm
    flipped: bool  # the first axis runs to the left
    slope: float  # what stored values are to be multiplied by

    def stored(self, array: NDArray[Value]) -> NDArray[Value]:
        """A volume in the order in which its file holds it."""
        return np.ascontiguousarray(array[::-1] if self.flipped else array)


def draw_placement(rng: np.random.Generator, voxel: tuple[float, float, float], shape: tuple[int, int, int]) -> Placement:
    """A head that lies a little askew in the scanner; one in ten has an oddity."""
    turn = np.eye(3)
    for axis, degrees in enumerate(rng.normal(0, (5.0, 1.5, 1.5))):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        i, j = [other for other in range(3) if other != axis]
        part = np.eye(3)
        part[i, i], part[i, j], part[j, i], part[j, j] = c, -s, s, c
        turn = turn @ part
    oddity = rng.choice(["shear", "flip", "slope"]) if rng.random() < ODD else None
    if oddity == "shear":
        turn = turn @ np.array([[1, 0, 0], [0, 1, rng.uniform(-0.2, 0.2)], [0, 0, 1]])
    linear = turn * np.array(voxel)
    origin = rng.normal(0, 4, 3) - linear @ ((np.array(shape) - 1) / 2)
    if oddity == "flip":
        origin = origin + linear[:, 0] * (shape[0] - 1)
        linear[:, 0] *= -1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, origin
    # As the header holds it: float32.
    return Placement(affine.astype(np.float32).astype(np.float64), oddity == "flip", 0.25 if oddity == "slope" else 1.0)
