"""Values of a mask: unknown, off integers, ids in place of classes, none at all."""

from collections.abc import Mapping, Set

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.volumes.doctor.finding import Finding, name_some
from rbc_lightning.data.volumes.nifti import LABEL_TOLERANCE

_MANY = 8
"""So many unknown values in a row look like numbers of lesions."""


def histogram(mask: NDArray[np.floating] | NDArray[np.integer]) -> dict[float, int]:
    """Voxels by value, as stored; values that lie within `LABEL_TOLERANCE` of an integer count as it."""
    values, counts = np.unique(mask, return_counts=True)
    merged: dict[float, int] = {}
    for value, count in zip(values.astype(np.float64).tolist(), counts.tolist(), strict=True):
        near = float(round(value)) if np.isfinite(value) and abs(value - round(value)) < LABEL_TOLERANCE else value
        merged[near] = merged.get(near, 0) + count
    return merged


def value_findings(
    scan: str, found: Mapping[float, int], classes: Mapping[int, str | None], targets: Set[str]
) -> list[Finding]:
    """What the values of a mask tell.

    Args:
        scan: its id.
        found: voxels by value, see `histogram`.
        classes: name of each value, None for background.
        targets: names of what is segmented.

    Returns:
        Findings, the grave ones first.
    """
    remedy = "correct the mask, or name the value in data.classes (null: background)"
    off = {value: count for value, count in found.items() if not float(value).is_integer()}
    unknown = {int(value): n for value, n in found.items() if value not in off and value != 0 and int(value) not in classes}
    findings = []
    if off:
        text = (
            f"values between integers in the mask, {_list(off)}; expected labels: it was interpolated, or holds probabilities"
        )
        findings.append(Finding((scan,), text, "write it again by nearest neighbour, or cut it at a threshold"))
    if len(unknown) >= _MANY and max(unknown) - min(unknown) < 2 * len(unknown):
        text = (
            f"{len(unknown)} unknown values from {min(unknown)} to {max(unknown)} in the mask, which look like lesion numbers"
        )
        findings.append(Finding((scan,), text, "write one value for each class"))
    elif unknown:
        known = ", ".join(f"{value} {name or 'background'}" for value, name in classes.items())
        findings.append(Finding((scan,), f"unknown values in the mask, {_list(unknown)}; expected {known}", remedy))
    if set(found) <= {0}:
        text = "the mask is empty"
        findings.append(Finding((scan,), text, "if nobody drew it, leave the scan out: it teaches that lesions are background"))
    elif not any(found.get(value) for value, name in classes.items() if name in targets):
        text = f"no {' or '.join(sorted(targets))} in the mask, though it has other classes: a scan without lesions"
        findings.append(Finding((scan,), text, grave=False))
    return findings


def missing_findings(named: Mapping[str, Set[str]]) -> list[Finding]:
    """Notes on classes that only some masks have: there they may be left out, not absent.

    Args:
        named: the classes that each scan's mask has, by its id.
    """
    findings = []
    for name in sorted(set().union(*named.values())):
        without = tuple(scan for scan, names in named.items() if name not in names)
        if without:
            text = f"{len(without)} of {len(named)} masks have no {name}; where it was not drawn, it is labelled as background"
            findings.append(Finding(without, text, grave=False))
    return findings


def _list(values: Mapping[float, int] | Mapping[int, int]) -> str:
    return name_some([f"{value:.4g} ({count} voxels)" for value, count in sorted(values.items())])
