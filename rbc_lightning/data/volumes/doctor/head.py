"""The head of a scan, or its brain where the rest was stripped: too small for one, or cut by the border (half brains)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from rbc_lightning.data.volumes.doctor.finding import Finding, in_mm

SMALLEST, LARGEST = 500, 8000
"""Millilitres; the smallest of 13 scans has 1,050 without its skull, the largest 3,133 with a part of the neck."""
NARROW, BROAD = 0.6, 1.4
"""Width over length between which heads lie; those of 13 scans 0.76 to 0.88, half of one 0.4."""
CUT = 0.15
"""Share of a side of the volume that a whole head does not cover; of 13 scans none covers any, half a head 0.5."""
_DIM = 0.6
"""Share of Otsu's threshold above which something is no air."""
_SIDES = (("left", "right"), ("back", "front"))


def head_mask(volume: NDArray[np.floating], spacing: Sequence[float]) -> NDArray[np.bool_]:
    """Where the head is, roughly: the largest body brighter than air, its holes filled.

    Args:
        volume: (x, y, z).
        spacing: sides of a voxel, mm.

    Returns:
        bool (x, y, z), all False for a volume of one value.
    """
    if volume.min() == volume.max():
        return np.zeros(volume.shape, dtype=np.bool_)
    smooth = ndimage.gaussian_filter(volume, 0.9 / np.array(spacing))
    # From the least value on: standardised scans are negative in places.
    smooth -= smooth.min()
    bodies, _ = ndimage.label(smooth > _DIM * threshold_otsu(smooth.ravel()))
    return np.asarray(ndimage.binary_fill_holes(bodies == 1 + np.bincount(bodies.ravel())[1:].argmax()))


def size_finding(scan: str, head: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Finding | None:
    """Whether the head or brain is too small or too large for one; see `head_findings`."""
    ml = float(head.sum() * np.prod(spacing) / 1000)
    if SMALLEST <= ml <= LARGEST:
        return None
    why = "a part of it, a wrong voxel size, or no head" if ml < SMALLEST else "a wrong voxel size, or air as bright as a head"
    text = f"head or brain has {ml:.0f} ml, voxels {in_mm(spacing)}; expected {SMALLEST} to {LARGEST} ml: {why}"
    return Finding((scan,), text, "look at the picture, and at the voxel size in the header")


def head_findings(scan: str, head: NDArray[np.bool_], spacing: tuple[float, float, float]) -> list[Finding]:
    """Whether the head or brain is whole.

    Its lower end lies outside in any scan, its upper one in many: both are left aside.

    Args:
        scan: its id.
        head: see `head_mask`; (x, y, z), x to the right, y to the front, z up.
        spacing: sides of a voxel, mm.
    """
    if (size := size_finding(scan, head, spacing)) is not None:
        return [size]
    found = []
    width, length = (float(np.ptp(np.flatnonzero(head.any(axis=other))) + 1) for other in ((1, 2), (0, 2)))
    ratio = width * spacing[0] / (length * spacing[1])
    if not NARROW <= ratio <= BROAD:
        text = (
            f"head or brain is {ratio:.2f} times as wide as long; expected {NARROW} to {BROAD}: half of one, or axes exchanged"
        )
        found.append(Finding((scan,), text, "look at the picture, and at how the scan was converted"))
    for axis, sides in enumerate(_SIDES):
        for index, side in zip((0, -1), sides, strict=True):
            share = float(np.take(head, index, axis=axis).mean())
            if share > CUT:
                text = f"head or brain covers {share:.0%} of the {side} side of the volume: it is cut there"
                found.append(Finding((scan,), text, "take the whole scan"))
    return found
