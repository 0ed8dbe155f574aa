"""The head of a scan: too small for one, or cut by the border of its volume (half brains)."""

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.volumes.doctor.finding import Finding

SMALLEST = 500
"""Millilitres; the smallest of 13 scans has 1,050 without its skull."""
NARROW, BROAD = 0.6, 1.4
"""Width over length between which heads lie; those of 13 scans 0.76 to 0.88, half of one 0.4."""
CUT = 0.15
"""Share of a side of the volume that a whole head does not cover; of 13 scans none covers any, half a head 0.5."""
_SIDES = (("left", "right"), ("back", "front"))


def brain_findings(scan: str, brain: NDArray[np.bool_], spacing: tuple[float, float, float]) -> list[Finding]:
    """Whether the head or brain is whole.

    Its lower end lies outside in any scan, its upper one in many: both are left aside.

    Args:
        scan: its id.
        brain: where head or brain is, (x, y, z), x to the right, y to the front, z up.
        spacing: sides of a voxel, mm.
    """
    ml = float(brain.sum() * np.prod(spacing) / 1000)
    if ml < SMALLEST:
        text = f"head or brain has {ml:.0f} ml; expected {SMALLEST} or more: a part of it, a wrong voxel size, or no head"
        return [Finding((scan,), text, "look at the picture")]
    found = []
    width, length = (float(np.ptp(np.flatnonzero(brain.any(axis=other))) + 1) for other in ((1, 2), (0, 2)))
    ratio = width * spacing[0] / (length * spacing[1])
    if not NARROW <= ratio <= BROAD:
        text = (
            f"head or brain is {ratio:.2f} times as wide as long; expected {NARROW} to {BROAD}: half of one, or axes exchanged"
        )
        found.append(Finding((scan,), text, "look at the picture, and at how the scan was converted"))
    for axis, sides in enumerate(_SIDES):
        for index, side in zip((0, -1), sides, strict=True):
            share = float(np.take(brain, index, axis=axis).mean())
            if share > CUT:
                text = f"head or brain covers {share:.0%} of the {side} side of the volume: it is cut there"
                found.append(Finding((scan,), text, "take the whole scan"))
    return found
