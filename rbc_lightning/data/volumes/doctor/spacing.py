"""Voxel sizes that stand out of a data set."""

from collections.abc import Mapping

import numpy as np

from rbc_lightning.data.volumes.doctor.finding import Finding, in_mm

FACTOR = 1.5
"""So many times as large, or as small, as the median is an outlier."""


def spacing_findings(spacings: Mapping[str, tuple[float, float, float]]) -> list[Finding]:
    """Notes on scans whose voxels are of another size than most, those of one size in one line.

    Args:
        spacings: sides of a voxel in mm by scan, the axes of all in one order, slices last.
    """
    if not spacings:
        return []
    median = np.median(list(spacings.values()), axis=0)
    outliers: dict[str, list[str]] = {}
    for scan, sides in spacings.items():
        if (np.abs(np.log(np.array(sides) / median)) > np.log(FACTOR)).any():
            outliers.setdefault(in_mm(sides), []).append(scan)
    text = (
        f"where the median of the set is {in_mm(median)}: lesions look larger or smaller there, a slice is another share of one"
    )
    remedy = "report them apart (split external), or resample (scale.slices.spacing)"
    return [Finding(tuple(scans), f"voxels of {size}, {text}", remedy, grave=False) for size, scans in outliers.items()]
