"""Cells by a global threshold after the background is subtracted, touching ones parted by a watershed. Nothing is learnt."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.segmenters.illumination import Objects, background_surface
from rbc_lightning.segmenters.postprocess import fill_holes, label_patches

Plane = NDArray[np.float32]
ROUNDS = 3
"""Times that the background is estimated anew from what the last threshold calls background."""
GRID = 4
"""Pixels of the coarse grid, on which the background is smoothed, per `sigma`: a smooth surface needs no more."""
BINS = 4096
"""Of the histogram that the threshold is read from, more than usual for faint cells of a 16-bit image."""
ROUNDING = 1e-6
"""Images in [0, 1] with no larger differences are constant."""
SMOOTHING = 0.12
"""Gaussian sigma over `split_distance` for the distance transform, whose ridges would else have several tops."""
_LEAST_WEIGHT = 1e-3  # of background under the Gaussian: below it nothing is known of the background there


class Contrast(NamedTuple):
    """How far an image stands out from its background.

    Attributes:
        values: float32 (H, W), positive towards the objects.
        threshold: above it lie objects (Otsu 1979).
        separability: share of the variance that lies between both sides of the threshold, in [0, 1].
    """

    values: Plane
    threshold: float
    separability: float


def find_cells(
    image: NDArray[np.floating],
    *,
    objects: Objects = "dark",
    background_sigma: float,
    max_hole_area: int,
    min_area: int,
    split_distance: float,
) -> Instances:
    """Find the cells of one image: subtract the background, threshold, fill holes, drop specks, part what touches.

    Of several channels the one with the largest separability is taken.

    Args:
        image: floating (H, W, C) in [0, 1].
        objects: whether they are darker or brighter than what they lie on.
        background_sigma: of the Gaussian that smooths the background, pixels.
        max_hole_area: holes of at most so many pixels are filled.
        min_area: patches under so many pixels are no cells.
        split_distance: least distance in pixels between the middles of two cells of one patch.

    Returns:
        The cells in an order of no meaning, see `scored_by_solidity`.

    Raises:
        ValueError: the image is not (H, W, C), or an argument is not positive.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f"expected an image (H, W, C), got shape {image.shape}")
    if not (background_sigma > 0 and split_distance > 0):
        raise ValueError(f"background_sigma and split_distance must be positive, got {background_sigma} and {split_distance}")
    contrasts = (
        contrast_of(np.asarray(channel, np.float32), background_sigma, objects) for channel in np.moveaxis(image, 2, 0)
    )
    best = max(contrasts, key=lambda contrast: contrast.separability)
    mask = fill_holes((best.values > best.threshold).astype(np.uint8), max_hole_area)
    label_map = part_cells(label_patches(mask, min_area) > 0, split_distance)
    return scored_by_solidity(label_map)


def contrast_of(channel: Plane, sigma: float, objects: Objects = "dark") -> Contrast:
    """Subtract the slowly varying background of a channel, float32 (H, W), and find the threshold of what is left.

    The background is the Gaussian mean of the pixels that the threshold leaves (normalised convolution: Knutsson and Westin
    1993), so that neither many objects nor uneven light shift it; threshold and background are found in turn, beginning with a
    quadratic surface. Values are those of the median of 3 x 3 pixels.
    """
    # A few hot pixels of a 16-bit image weigh more than all its faint cells.
    calm = np.asarray(cv2.medianBlur(np.ascontiguousarray(channel), 3), np.float32)
    signed = calm if objects == "bright" else -calm
    height, width = signed.shape
    step = max(1, int(sigma / GRID))
    coarse = cv2.resize(signed, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    # Where the light falls off, a constant would take the dark side for one large object for good.
    ground = background_surface(torch.from_numpy(np.ascontiguousarray(coarse))[None, None], "bright")[0, 0].numpy()
    for _ in range(ROUNDS):
        rest = coarse - ground
        is_ground = (rest <= _otsu(rest)).astype(np.float32)
        weight, total = _smooth(is_ground, sigma / step), _smooth(is_ground * coarse, sigma / step)
        # In the middle of a large object no background is near: the mean of all background stands in.
        mean = float(coarse[is_ground > 0].mean())
        ground = np.asarray((total + _LEAST_WEIGHT * mean) / (weight + _LEAST_WEIGHT), np.float32)
    values = np.asarray(signed - cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    threshold = _otsu(values)
    return Contrast(values, threshold, _separability(values, threshold))


def part_cells(mask: NDArray[np.bool_], split_distance: float) -> NDArray[np.int32]:
    """Part patches of a mask (H, W) at their waists: watershed of the distance to the background.

    Every patch has at least one cell; tops of the smoothed distance nearer than `split_distance` pixels are one cell's.

    Returns:
        Label map int32 (H, W), its foreground that of the mask.
    """
    patches, count = ndimage.label(mask)
    if not count:
        return np.zeros(mask.shape, np.int32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = _smooth(np.asarray(distance, np.float32), SMOOTHING * split_distance)
    apart = max(1, round(split_distance))
    tops = peak_local_max(distance, min_distance=apart, labels=patches, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    return np.asarray(watershed(-distance, markers, mask=mask), np.int32)


def scored_by_solidity(label_map: NDArray[np.int32]) -> Instances:
    """The cells 1..n of a label map (H, W), with it; the score is 0.5 + 0.5 x solidity, which is less where cells merged."""
    scores = (0.5 + 0.5 * solidity(label_map)).astype(np.float32)
    return Instances(label_map_to_boxes(label_map), scores, label_map)


def solidity(label_map: NDArray[np.int32]) -> NDArray[np.float64]:
    """Area over that of the convex hull of each cell 1..n of a label map (H, W), both of the outer outline; in (0, 1]."""
    found = np.ones(int(label_map.max()))
    for index, box in enumerate(ndimage.find_objects(label_map)):
        if box is None:
            continue
        outlines, _ = cv2.findContours((label_map[box] == index + 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=cv2.contourArea)
        hull = cv2.contourArea(cv2.convexHull(outline))
        # A line of pixels has no area, and is its own hull.
        found[index] = cv2.contourArea(outline) / hull if hull > 0 else 1.0
    return found


def _smooth(values: Plane, sigma: float) -> Plane:
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=3.0), np.float32)


def _otsu(values: Plane) -> float:
    """The threshold of Otsu 1979; of a constant image its value, above which nothing lies."""
    return float(values.max() if np.ptp(values) < ROUNDING else threshold_otsu(values, nbins=BINS))


def _separability(values: Plane, threshold: float) -> float:
    above = values > threshold
    share, variance = float(above.mean()), float(values.var(dtype=np.float64))
    if not 0 < share < 1 or variance == 0:
        return 0.0
    gap = float(values[above].mean(dtype=np.float64) - values[~above].mean(dtype=np.float64))
    return share * (1 - share) * gap**2 / variance
