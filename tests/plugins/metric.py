"""A metric: how wrong the area of all cells together is."""

import numpy as np

from rbc_lightning.metrics.registry import Metric


def relative_error(prediction, truth):
    """|found - true| / true of the foreground area; 0 where both are empty."""
    found, true = np.count_nonzero(prediction.foreground), np.count_nonzero(truth)
    return abs(found - true) / max(true, 1)


def area_error() -> Metric:
    return Metric("area_error", "Error of the area", False, relative_error)
