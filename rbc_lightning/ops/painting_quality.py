"""Measures of painted smears: colours, their spread, descriptors of texture, differences.

An image is uint8 (H, W, 3), a label map integer (H, W) with 0 = background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from torch import Tensor
from torch.nn import functional as F

Floats = NDArray[np.floating[Any]]

BACKGROUND, CELLS = 0, 1
"""Rows of `region_colors`."""
_TINY = 1e-8


def region_colors(image: NDArray[np.uint8], label_map: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean RGB of the background and of the cells of one image.

    Returns:
        float64 (2, 3) in grey levels; NaN where an image has no such pixel.

    Raises:
        ValueError: image and label map differ in size.
    """
    if image.shape[:2] != label_map.shape:
        raise ValueError(f"image {image.shape} and label map {label_map.shape} differ in size")
    inside = label_map > 0
    means = [image[mask].mean(axis=0) if mask.any() else np.full(3, np.nan) for mask in (~inside, inside)]
    return np.asarray(means, dtype=np.float64)


def spread(colors: Floats) -> float:
    """Standard deviation between images of a mean colour, averaged over channels.

    Args:
        colors: (n, C), one row per image; rows with NaN do not count.

    Returns:
        In the unit of the colours; NaN without any row.
    """
    known = colors[~np.isnan(colors).any(axis=1)]
    return float(known.std(axis=0).mean()) if len(known) else float("nan")


def mean_pairwise_distance(points: Floats) -> float:
    """Root mean square difference of two rows, averaged over all pairs of rows.

    Args:
        points: (n, d); rows with NaN do not count.

    Returns:
        In the unit of the points; NaN for fewer than two rows.
    """
    known = points[~np.isnan(points).any(axis=1)]
    return float(pdist(known).mean() / np.sqrt(points.shape[1])) if len(known) > 1 else float("nan")


def region_descriptor(feature_maps: Sequence[Tensor], foreground: Tensor) -> NDArray[np.float64]:
    """Describe the texture of background and cells by a network's features, whatever the layout.

    At every position the channels are scaled to unit length, as LPIPS does (Zhang et al. 2018); then they are averaged over
    the background and over the cells, so that images of different masks can be compared.

    Args:
        feature_maps: layers of one image, float (C, h, w); channels and sizes may differ.
        foreground: bool (H, W).

    Returns:
        float64 (2 * sum of C,), layer by layer, background before cells; zeros for a region that is absent.
    """
    parts = []
    for features in feature_maps:
        unit = features.double() / features.double().norm(dim=0).clamp_min(_TINY)
        cells = F.adaptive_avg_pool2d(foreground.to(unit)[None, None], (features.shape[1], features.shape[2]))[0, 0]
        for weight in (1 - cells, cells):
            parts.append((unit * weight).sum(dim=(1, 2)) / weight.sum().clamp_min(_TINY))
    return np.asarray(torch.cat(parts).cpu().numpy())


def window_means(features: Tensor, window: int, most: int) -> NDArray[np.float64]:
    """Average a feature map over square windows side by side.

    Args:
        features: float (C, h, w).
        window: side in positions of the map; the whole side where the map is smaller.
        most: windows kept, evenly chosen where there are more.

    Returns:
        float64 (n, C), rows of windows from the top; incomplete windows at the right and bottom are left out.
    """
    sides = [min(window, length) for length in features.shape[1:]]
    means = F.avg_pool2d(features.double()[None], sides)[0].flatten(1).T.cpu().numpy()
    chosen = np.unique(np.linspace(0, len(means) - 1, min(most, len(means))).round().astype(np.int64))
    return np.asarray(means[chosen])
