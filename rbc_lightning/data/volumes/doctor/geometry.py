"""Geometry of two files of one scan, image and mask or two channels, that do not lie on one grid."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.volumes.doctor.finding import Finding
from rbc_lightning.data.volumes.nifti import GRID_TOLERANCE

Affine = NDArray[np.float64]
_AXES = "xyz"


def apart(shape: tuple[int, ...], first: Affine, second: Affine) -> float:
    """Largest distance in mm between where two affines put one voxel of a volume; it is found at a corner."""
    corners = np.array([[*corner, 1] for corner in product(*((0, n - 1) for n in shape[:3]))], dtype=np.float64)
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def mirroring(shape: tuple[int, ...], first: Affine, second: Affine) -> str | None:
    """Axes along which the second grid is the first one mirrored, as "x" or "xy"; None where it is not."""
    for flips in product((False, True), repeat=3):
        mirror = np.diag([-1.0 if flip else 1.0 for flip in flips] + [1.0])
        mirror[:3, 3] = [n - 1 if flip else 0 for n, flip in zip(shape, flips, strict=False)]
        if any(flips) and apart(shape, first @ mirror, second) <= GRID_TOLERANCE:
            return "".join(axis for axis, flip in zip(_AXES, flips, strict=True) if flip)
    return None


def grid_finding(
    scan: str, names: tuple[str, str], shapes: tuple[tuple[int, ...], tuple[int, ...]], affines: tuple[Affine, Affine]
) -> Finding | None:
    """Compare the grids of two files of a scan.

    Args:
        scan: its id.
        names: what each file is, as `("FLAIR", "mask")`.
        shapes: voxels of each, (x, y, z).
        affines: (4, 4) of each, voxel to mm.

    Returns:
        None where both are one grid.
    """
    first, second = names
    if shapes[0] != shapes[1]:
        sizes = [" x ".join(map(str, shape)) for shape in shapes]
        text = f"{first} has {sizes[0]} voxels, {second} {sizes[1]}; expected one grid"
        return Finding((scan,), text, f"resample {second} to the grid of {first}, a mask by nearest neighbour")
    distance = apart(shapes[0], *affines)
    if distance <= GRID_TOLERANCE:
        return None
    text = f"by their headers, {second} lies up to {distance:.1f} mm from {first}, on a grid of as many voxels"
    mirrored = mirroring(shapes[0], *affines)
    if mirrored:
        text += f", mirrored along {' and '.join(mirrored)}"
    return Finding((scan,), text, f"look at both in a viewer; resample {second} to {first}, or mend the header that lies")
