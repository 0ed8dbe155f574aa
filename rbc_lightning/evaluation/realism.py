"""Measures of images: colours, their spread, descriptors of texture, differences, crops of single cells.

An image is uint8 or uint16 (H, W, C), a label map integer (H, W) with 0 = background.
A ValueError refuses those that differ in size.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import pdist
from torch import Tensor
from torch.nn import functional as F

from rbc_lightning.data.spec import RGB, Image, ImageSpec

Floats = NDArray[np.floating[Any]]

BACKGROUND, CELLS = 0, 1
"""Rows of `region_colors`."""
SIDE = 16
"""Side of the crop of a cell in pixels of its small grid."""
# Share of the crop's side that the cell's longer side takes: some of its surroundings are seen.
_FILL = 0.8
_TINY = 1e-8


def region_means(image: Image, label_map: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean value of every channel over the background and over the cells of one image.

    Returns:
        float64 (2, C) in the unit of the image; NaN where it has no such pixel.
    """
    _check_sizes(image, label_map)
    inside = label_map > 0
    nothing = np.full(image.shape[2], np.nan)
    means = [image[mask].mean(axis=0) if mask.any() else nothing for mask in (~inside, inside)]
    return np.asarray(means, dtype=np.float64)


def region_colors(image: Image, label_map: NDArray[np.integer], spec: ImageSpec = RGB) -> NDArray[np.float64]:
    """Mean colours of background and cells, as `region_means`, in grey levels: 0..255 over the spec's range."""
    means, (low, high) = region_means(image, label_map), spec.value_range
    return means if spec.value_range == RGB.value_range else (means - low) * (255 / (high - low))


def spread(colors: Floats) -> float:
    """Standard deviation between images of a mean colour (n, C), averaged over channels.

    Rows with NaN do not count; NaN without any row.
    """
    known = colors[~np.isnan(colors).any(axis=1)]
    return float(known.std(axis=0).mean()) if len(known) else float("nan")


def rms_pairwise_difference(rows: Sequence[Floats] | Floats) -> float:
    """Root mean square difference of two rows (d,), averaged over all pairs of rows.

    Rows with NaN do not count; NaN for fewer than two.
    """
    points = np.stack(list(rows))
    known = points[~np.isnan(points).any(axis=1)]
    return float(pdist(known).mean() / np.sqrt(points.shape[1])) if len(known) > 1 else float("nan")


def region_descriptor(feature_maps: Sequence[Tensor], foreground: Tensor) -> NDArray[np.float64]:
    """Describe the texture of background and cells by a network's features, whatever the layout.

    At every position the channels are scaled to unit length, as LPIPS does (Zhang et al. 2018); then they are averaged over
    the background and over the cells, so that images of different masks can be compared.

    Layers are float (C, h, w), of any channels and sizes; `foreground` is bool (H, W).

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
    """Average a feature map (C, h, w) over square windows of some side, side by side; one window where the map is smaller.

    Returns:
        float64 (n, C), rows of windows from the top, `most` of them, evenly chosen; incomplete windows are left out.
    """
    sides = [min(window, length) for length in features.shape[1:]]
    means = F.avg_pool2d(features.double()[None], sides)[0].flatten(1).T.cpu().numpy()
    chosen = np.unique(np.linspace(0, len(means) - 1, min(most, len(means))).round().astype(np.int64))
    return np.asarray(means[chosen])


def cell_crops(image: Image, label_map: NDArray[np.integer], side: int = SIDE) -> NDArray[np.float32]:
    """Cut out every cell, centred on its centroid and scaled to one size.

    The crop is a square around the centroid whose side is the longer side of the cell's box over 0.8, averaged over areas
    down to `side` pixels. Cells whose square leaves the image are left out.

    Returns:
        float32 (n, side, side, C) in the unit of the image, in order of id; n may be 0.
    """
    _check_sizes(image, label_map)
    crops = []
    for number, found in enumerate(ndimage.find_objects(label_map.astype(np.int32)), start=1):
        if found is None:
            continue
        rows, columns = np.nonzero(label_map[found] == number)
        half = max(1, round(max(np.ptp(rows), np.ptp(columns)) / _FILL / 2))
        top, left = (round(axis.mean()) + part.start - half for axis, part in zip((rows, columns), found, strict=True))
        bottom, right = top + 2 * half + 1, left + 2 * half + 1
        if min(top, left) < 0 or bottom > image.shape[0] or right > image.shape[1]:
            continue
        square = image[top:bottom, left:right].astype(np.float32)
        small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
        # OpenCV drops the axis of a single channel.
        crops.append(small.reshape(side, side, -1))
    return np.stack(crops) if crops else np.zeros((0, side, side, image.shape[2]), dtype=np.float32)


def _check_sizes(image: Image, label_map: NDArray[np.integer]) -> None:
    if image.shape[:2] != label_map.shape:
        raise ValueError(f"image {image.shape} and label map {label_map.shape} differ in size")
