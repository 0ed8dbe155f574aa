"""The five measures of the WMH challenge as metrics of whole scans, put together from the slices that were scored.

They are of the first class that is segmented, on the grid of the slices as they are scored, in mm by the distances of their
pixels and of the slices; Dice is the fifth, among the metrics of every image. See `metrics.lesions` for what each is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.metrics.instances import Prediction
from rbc_lightning.metrics.lesions import Mask, WmhScores, lesions_found, wmh_scores
from rbc_lightning.metrics.metric import Metric

_LESION = 1
_Over = Literal["mean", "mean_defined"]


class SlicePlace(NamedTuple):
    """Where a slice lies in its scan: its number from the lowest, and mm between columns, rows and slices (x, y, z)."""

    level: int
    spacing: tuple[float, float, float]


class LesionSlice(NamedTuple):
    """What is lesion in a slice, bool (H, W), by the truth and by the prediction."""

    true: Mask
    found: Mask


class ScanLesions(NamedTuple):
    """A scan.

    Attributes:
        scores: the five measures, NaN where one is not defined.
        h95_worst: mm; where h95 is not defined the diagonal of the scan, but 0 where both masks are empty.
        ml: of every true lesion, float64 (n,).
        touched: which of them the prediction touches, bool (n,).
    """

    scores: WmhScores
    h95_worst: float
    ml: NDArray[np.float64]
    touched: Mask


def cut_lesions(prediction: Prediction, truth: NDArray[np.integer]) -> LesionSlice:
    """What `ScanLesions` is put together from."""
    found = prediction.foreground if prediction.classes is None else prediction.classes == _LESION
    return LesionSlice(truth == _LESION, np.asarray(found))


def stack_lesions(slices: Sequence[LesionSlice], places: Sequence[SlicePlace]) -> ScanLesions:
    """The measures of a scan from its slices, in whatever order; one that is missing between others is empty.

    Raises:
        ValueError: slices differ in size or spacing.
    """
    spacing, shape = places[0].spacing, slices[0].true.shape
    if any(place.spacing != spacing for place in places) or any(each.true.shape != shape for each in slices):
        raise ValueError("slices of one scan differ in size or spacing; expected one grid")
    lowest = min(place.level for place in places)
    depth = max(place.level for place in places) - lowest + 1
    true, found = np.zeros((2, depth, *shape), dtype=np.bool_)
    for each, place in zip(slices, places, strict=True):
        true[place.level - lowest], found[place.level - lowest] = each
    reference = true.astype(np.uint8)
    scores = wmh_scores(reference, found, spacing)
    diagonal = float(np.linalg.norm((np.array(true.shape[::-1]) - 1) * spacing))
    worst = scores.h95 if np.isfinite(scores.h95) else diagonal if true.any() or found.any() else 0.0
    return ScanLesions(scores, worst, *lesions_found(reference, found, spacing))


def scan_metrics(of: str | None) -> list[Metric]:
    """H95, the same with a worst value, volume difference, lesion recall and F1, in the order of columns.

    Args:
        of: name of the class that they are of, for titles, where it is one of several.
    """
    behind = f" ({of})" if of else ""
    return [
        Metric(name, f"{title}{behind}", higher, cut_lesions, value, over, True, stack_lesions, placed=True)
        for name, title, higher, value, over in _MEASURES
    ]


_MEASURES: tuple[tuple[str, str, bool, Callable[[Any], float], _Over], ...] = (
    ("h95", "H95, mm", False, attrgetter("scores.h95"), "mean_defined"),
    ("h95_worst", "H95, mm, not defined as the diagonal", False, attrgetter("h95_worst"), "mean"),
    ("avd", "AVD, %", False, attrgetter("scores.avd"), "mean_defined"),
    ("lesion_recall", "lesion recall", True, attrgetter("scores.lesion_recall"), "mean"),
    ("lesion_f1", "lesion F1", True, attrgetter("scores.lesion_f1"), "mean"),
)
