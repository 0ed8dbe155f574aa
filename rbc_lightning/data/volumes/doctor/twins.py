"""Scans of two patients that are one brain: identical bytes, or volumes that correlate as only two scans of one brain do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn
from scipy.ndimage import affine_transform, gaussian_filter

from rbc_lightning.data.volumes.doctor.finding import Finding

THRESHOLD = 0.55
"""Correlation from which on two scans are one brain; see `twin_findings`."""
STANDS_OUT = 0.25
"""Above the median of the other pairs: heads that are all alike, drawn or brought to one space, are no copies."""
_GRID, _STEP = (44, 54, 26), (4.0, 4.0, 6.5)
_SHIFT = 3  # voxels of it, by which the centres of two scans of one head may differ
_BROAD = 1.5
"""Cells of the grid: what is smoother than this is the shape of a head, which all share."""


@dataclass(frozen=True)
class Candidate:
    """A scan as it is compared with others.

    Args:
        scan: its id.
        group: its patient.
        split: where it is used.
        hashes: of the values of its channels, in order.
        signature: see `signature`.
    """

    scan: str
    group: str
    split: str
    hashes: tuple[str, ...]
    signature: NDArray[np.float32]


def signature(volume: NDArray[np.floating], head: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """A volume on a coarse grid about the centre of its head, less what is smooth, of mean 0 and norm 1.

    Args:
        volume: any contrast, (x, y, z), all scans in one orientation.
        head: where it is, likewise; a brain alone has another centre in another scan of it, as rough masks differ.
        spacing: sides of a voxel, mm.

    Returns:
        float32 (44, 54, 26), voxels of 4 x 4 x 6.5 mm; zeros for a volume of one value.
    """
    inside = volume[head]
    deviation = float(inside.std()) if inside.size else 0.0
    if deviation == 0:
        return np.zeros(_GRID, dtype=np.float32)
    z = np.where(head, (volume - inside.mean()) / deviation, 0)
    ratio = np.array(_STEP) / spacing
    z = gaussian_filter(z, np.where(ratio > 1, ratio / 2, 0))
    centre = np.argwhere(head).mean(axis=0)
    coarse = affine_transform(z, ratio, centre - ratio * (np.array(_GRID) - 1) / 2, _GRID, order=1)
    sharp = coarse - gaussian_filter(coarse, _BROAD)
    sharp -= sharp.mean()
    return np.asarray(sharp / max(float(np.linalg.norm(sharp)), np.finfo(np.float32).tiny), dtype=np.float32)


def twin_findings(candidates: Sequence[Candidate]) -> list[Finding]:
    """Pairs of scans of different groups that are one brain, whatever their splits.

    Of 13 scans of 12 patients (78 pairs of FLAIR), the two of one brain correlate by 0.67, all others by 0.41 and less, median
    0.16. All are of one field strength per site, and thick slices: not measured on volumes in a common space (MNI).

    Args:
        candidates: all scans, of one channel each.

    Returns:
        Identical ones first, then the most alike.
    """
    same: dict[tuple[int, int], str] = {}
    waves = [rfftn(one.signature, [n + _SHIFT for n in _GRID]) for one in candidates]
    alike: list[tuple[float, int, int]] = []
    for second, other in enumerate(candidates):
        for first, one in enumerate(candidates[:second]):
            if one.group == other.group:
                continue
            if common := sum(a == b != "" for a, b in zip(one.hashes, other.hashes, strict=True)):
                same[first, second] = f"{common} of {len(one.hashes)} channels are identical"
            else:
                alike.append((_alike(waves[first], waves[second]), first, second))
    alike.sort(reverse=True)
    values = [value for value, *_ in alike]
    usual = [float(np.median(values[:i] + values[i + 1 :] or [0.0])) for i, value in enumerate(values) if value > THRESHOLD]
    near = [pair for pair, others in zip(alike, usual, strict=False) if pair[0] > others + STANDS_OUT]
    texts = list(same.items())
    texts += [((i, k), f"correlate by {r:.2f}, where scans of two brains stay below {THRESHOLD}") for r, i, k in near]
    return [_finding(candidates[i], candidates[k], text) for (i, k), text in texts]


def _alike(first: NDArray[np.complex64], second: NDArray[np.complex64]) -> float:
    """The largest correlation of two signatures, given by their spectra, over shifts of up to `_SHIFT` along each axis."""
    all_shifts = irfftn(first * second.conj(), [n + _SHIFT for n in _GRID])
    return float(all_shifts[np.ix_(*[np.arange(-_SHIFT, _SHIFT + 1)] * 3)].max())


def _finding(one: Candidate, other: Candidate, text: str) -> Finding:
    who = f"of patients {one.group} ({one.split}) and {other.group} ({other.split})"
    return Finding(
        (one.scan, other.scan), f"{who}: {text}", "look at both; if it is one brain, give both one group, or drop one"
    )
