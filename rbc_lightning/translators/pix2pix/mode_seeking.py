"""Mode collapse: the loss that works against it (Mao et al. 2019; Allender et al., eq. 4), and two numbers that measure it.

A generator of Allender et al. collapsed to "the same texture content, no matter the input" (their Fig. 2, 6). Different masks
alone make pictures differ, so both numbers can look at texture only: at pixels of one class in both pictures, and whatever
the mean colours there. Loss on tensors, numbers on arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from skimage.segmentation import find_boundaries
from torch import Tensor

Images = Sequence[NDArray[np.integer[Any]]] | NDArray[np.integer[Any]]
"""Images of one size, uint8 or uint16 (n, H, W, C)."""
LabelMaps = Sequence[NDArray[np.integer[Any]]] | NDArray[np.integer[Any]]
"""Their label maps, integer (n, H, W), 0 = background."""
Floats = NDArray[np.float32]

_BORDER, _BACKGROUND, _CELLS = 0, 1, 2
_FLAT = 1e-3
"""Deviation in grey levels below which an image has no texture."""


def mode_seeking_loss(
    first_output: Tensor, second_output: Tensor, first_condition: Tensor, second_condition: Tensor, epsilon: float = 1e-5
) -> Tensor:
    """Mean over pairs of b / (a + epsilon b), with a = mean|G(x1) - G(x2)| and b = mean|x1 - x2|.

    Allender et al., eq. 4, with means for its norms. Equal to the 1 / (a / b + epsilon) of Mao et al., whose b is taken
    between two latent codes of one condition: give the codes in place of the conditions for that form. 1 / epsilon where the
    outputs are equal, 0 where the conditions are. No lambda. Outputs that are equal in every value get no gradient, as the
    slope of |x| at 0 counts as 0.

    Args:
        first_output: generated images (B, ...).
        second_output: those of the other condition, of the same shape.
        first_condition: (B, ...), scaled to [-1, 1]: the scale of the conditions is a factor of this loss.
        second_condition: the other condition, of the same shape.
        epsilon: keeps the loss finite, positive.

    Returns:
        Scalar, float32 (also under autocast); float64 for float64.
    """
    shapes = [tuple(tensor.shape) for tensor in (first_output, second_output, first_condition, second_condition)]
    if shapes[0] != shapes[1] or shapes[2] != shapes[3] or shapes[0][:1] != shapes[2][:1] or shapes[0][:1] in ((), (0,)):
        raise ValueError(
            f"expected two outputs of one shape and as many conditions of one shape, got {', '.join(map(str, shapes))}"
        )
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    between_outputs = _distances(first_output, second_output)
    between_conditions = _distances(first_condition, second_condition)
    # Without a difference in the conditions nothing is asked of the outputs; 0 / 0 would be NaN.
    asked = between_conditions > 0
    denominator = torch.where(asked, between_outputs + epsilon * between_conditions, 1.0)
    return (between_conditions / denominator).mean()


def mean_absolute_pairwise_difference(images: Images | NDArray[np.floating[Any]]) -> float:
    """Mean over all pairs of two or more pictures of their mean absolute difference over all values, 0 when all are one."""
    _check_shapes("images", images)
    values = np.stack([np.asarray(image, dtype=np.float64).ravel() for image in images])
    return float(pdist(values, "cityblock").mean() / values.shape[1])


def collapse_index(outputs: Images, reals: Images, label_maps: LabelMaps | None = None, margin: int = 3) -> float:
    """1 - D(outputs) / D(reals), clipped to [0, 1], D being the mean over all pairs of pictures of how much they differ.

    0: pictures of different conditions differ as much as (or more than) the real ones of these conditions. 1: all outputs
    are one picture. Without label maps D is `mean_absolute_pairwise_difference`, which masks and mean colours count for;
    with them it is the mean absolute difference in texture: over the pixels that are cell in both pictures or background in
    both, after taking away from the difference its mean over either class. Blurred pictures differ less in texture, too:
    read this beside `texture_correlation`.

    Args:
        outputs: generated pictures, (n, H, W, C), one per condition.
        reals: the real images of the same conditions, of the same shape.
        label_maps: the masks of the conditions, integer (n, H, W); None compares whole pictures.
        margin: pixels left out on both sides of every cell's outline, whose place is the mask's doing.

    Raises:
        ValueError: fewer than two pictures, shapes that differ, real images that do not differ, no pixels to compare.
    """
    _check_shapes("outputs", outputs)
    _check_shapes("reals", reals)
    if len(outputs) != len(reals) or np.shape(outputs[0]) != np.shape(reals[0]):
        raise ValueError(
            f"{len(outputs)} outputs of shape {np.shape(outputs[0])} and {len(reals)} reals of shape {np.shape(reals[0])}: "
            "expected one real image of the same shape per output"
        )
    if label_maps is None:
        distance, real_distance = mean_absolute_pairwise_difference(outputs), mean_absolute_pairwise_difference(reals)
    else:
        classes = _classes(label_maps, outputs, margin)
        distance, real_distance = (_texture_distance(images, classes) for images in (outputs, reals))
    if real_distance == 0:
        raise ValueError("the real images do not differ from each other: expected images of different smears to compare with")
    return float(np.clip(1 - distance / real_distance, 0, 1))


def texture_correlation(images: Images, label_maps: LabelMaps, sigma: float = 8.0, margin: int = 3) -> float:
    """Mean over all pairs of pictures of the correlation of their fine textures, pixel by pixel at the same positions.

    About 0 for pictures of different smears, 1 when the generator lays the same texture under every mask, however weak that
    texture is. Fine texture is the picture less the mean colour of its cells and of its background, then less its own
    Gaussian blur. The pair's correlation is taken over the pixels of one class in both, less the mean over either class.
    Two pictures without any texture correlate by 1, one without and one with texture by 0. Negative values are chance.

    Args:
        images: (n, H, W, C), one per condition.
        label_maps: their masks, integer (n, H, W).
        sigma: of the blur, in pixels: what is much coarser, such as uneven light, does not count.
        margin: pixels left out on both sides of every cell's outline.

    Returns:
        In [-1, 1]. Read it beside that of the real images of the same masks.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    _check_shapes("images", images)
    classes = _classes(label_maps, images, margin)
    textures = [_fine_texture(image, labels, sigma) for image, labels in zip(images, label_maps, strict=True)]
    return float(np.mean([_correlation(first, second) for first, second in _shared_pixels(textures, classes)]))


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of each pair, in float32 at least: bf16 would lose small ones."""
    dtype = torch.promote_types(first.dtype, torch.float32)
    return (first.to(dtype) - second.to(dtype)).abs().flatten(1).mean(1)


def _check_shapes(name: str, images: Sequence[NDArray[Any]] | NDArray[Any]) -> None:
    shapes = {np.shape(image) for image in images}
    if len(images) < 2 or len(shapes) > 1 or len(next(iter(shapes))) != 3:
        raise ValueError(f"{name}: expected two or more pictures of one shape (H, W, C), got {len(images)} of {sorted(shapes)}")


def _classes(label_maps: LabelMaps, images: Images, margin: int) -> list[NDArray[np.uint8]]:
    """Of every pixel: background, cell, or within `margin` pixels of an outline, which also parts touching cells."""
    if margin < 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    shapes = [np.shape(label_map) for label_map in label_maps]
    if shapes != [np.shape(image)[:2] for image in images]:
        raise ValueError(
            f"expected {len(images)} label maps of shape {np.shape(images[0])[:2]}, got {len(shapes)} of {sorted(set(shapes))}"
        )
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin - 1,) * 2) if margin else None
    classes = []
    for label_map in label_maps:
        kinds = np.where(np.asarray(label_map) > 0, _CELLS, _BACKGROUND).astype(np.uint8)
        if disc is not None:
            # The boundaries are two pixels thick already, one on either side.
            outlines = find_boundaries(np.asarray(label_map)).astype(np.uint8)
            kinds[cv2.dilate(outlines, disc) > 0] = _BORDER
        classes.append(kinds)
    return classes


def _shared_pixels(
    images: Sequence[NDArray[Any]] | NDArray[Any], classes: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Of every pair of pictures the values (n, C) at pixels of one class in both, less the mean over either class."""
    found = False
    for i, j in combinations(range(len(images)), 2):
        parts = []
        for kind in (_BACKGROUND, _CELLS):
            shared = (classes[i] == kind) & (classes[j] == kind)
            if shared.any():
                pair = np.stack([images[i][shared], images[j][shared]]).astype(np.float64)
                parts.append(pair - pair.mean(axis=1, keepdims=True))
        if parts:
            found = True
            first, second = np.concatenate(parts, axis=1)
            yield first, second
    if not found:
        raise ValueError("no pixel is cell in two pictures, nor background in two: give more masks, or a smaller margin")


def _texture_distance(images: Images, classes: Sequence[NDArray[np.uint8]]) -> float:
    return float(np.mean([np.abs(first - second).mean() for first, second in _shared_pixels(images, classes)]))


def _fine_texture(image: NDArray[np.integer[Any]], label_map: NDArray[np.integer[Any]], sigma: float) -> Floats:
    """Picture (H, W, C) less the mean of its cells and of its background, then less its Gaussian blur."""
    # The means go first: else the blur would carry the step at every outline, and with it the mask, into both sides.
    flat = image.astype(np.float32)
    for region in (label_map > 0, label_map == 0):
        if region.any():
            flat[region] -= flat[region].mean(axis=0)
    # OpenCV drops the axis of a single channel.
    blurred = cv2.GaussianBlur(flat, (0, 0), sigma).reshape(flat.shape)
    return np.asarray(flat - blurred, dtype=np.float32)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Of values that are centred already."""
    deviations = [float(np.sqrt(np.square(values).mean())) for values in (first, second)]
    if min(deviations) < _FLAT:
        return float(max(deviations) < _FLAT)
    return float((first * second).mean() / (deviations[0] * deviations[1]))
