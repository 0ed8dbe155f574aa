"""The compiled loop behind `rbc_lightning.core.instance_means.instance_mean` on the CPU."""

from collections.abc import Callable
from typing import cast

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]
IdArray = NDArray[np.int32] | NDArray[np.int64]


def _average_instances(features: FloatArray, ids: IdArray, n_ids: int, pooled: FloatArray) -> None:
    """Write every instance's mean over its pixels: one pass to add up, one to write back.

    Args:
        features: float32 or float64 (C, P), P = pixels of one image.
        ids: int32 or int64 (P,), each in [0, n_ids); not checked here.
        n_ids: rows of the table of sums.
        pooled: output, shape and dtype of `features`.
    """
    channels, pixels = features.shape
    # Double sums: a background of half a million pixels would lose four digits in single precision.
    means = np.zeros((channels, n_ids))
    counts = np.zeros(n_ids, np.int64)
    start = 0
    while start < pixels:
        # Ids come in runs along the rows: a run is added up in a register and reaches the table once.
        instance, end = ids[start], start + 1
        while end < pixels and ids[end] == instance:
            end += 1
        counts[instance] += end - start
        for channel in range(channels):
            total = 0.0
            for pixel in range(start, end):
                total += features[channel, pixel]
            means[channel, instance] += total
        start = end
    means /= np.maximum(counts, 1)
    for channel in range(channels):
        # From a row of the table that stays in cache; told by pixel, since short runs would make this slower.
        for pixel in range(pixels):
            pooled[channel, pixel] = means[channel, ids[pixel]]


# No GIL: loader threads may pool at the same time. No `parallel=True`: it would kill forked workers.
average_instances = cast(
    "Callable[[FloatArray, IdArray, int, FloatArray], None]",
    numba.njit(nogil=True, cache=True, error_model="numpy")(_average_instances),
)
