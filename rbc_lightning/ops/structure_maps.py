"""Structure maps: what is dark in an image, as one bit per pixel (S4 section 2, Fig. 3).

S4 gives no threshold. Ours is found per image, by Otsu's method by default, on the 8-bit grey image of Rec. 601
(0.299 R + 0.587 G + 0.114 B, rounded), where "dark" is a grey level *at or below* the threshold. Both the whole image as an
array and a training batch as a tensor go through the same whole numbers, so that they agree at every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import filters
from torch import Tensor

Image = NDArray[np.uint8] | Tensor
"""uint8 array (H, W, 3), or float tensor (3, H, W) in [0, 1]."""
METHODS = {
    "otsu": filters.threshold_otsu,
    "li": filters.threshold_li,
    "triangle": filters.threshold_triangle,
    "mean": filters.threshold_mean,
}
"""Ways to find a threshold on the grey image; each returns a level, dark being at or below it."""
_WHITE = 255

Values = TypeVar("Values", NDArray[Any], Tensor)


def structure_threshold(image: Image, method: str | float = "otsu") -> float:
    """Find the grey level that parts an image into dark and bright.

    Args:
        image: uint8 array (H, W, 3), or float tensor (3, H, W) in [0, 1].
        method: a name in `METHODS`, or a fixed grey level in [0, 255].

    Returns:
        The threshold in grey levels; at least one pixel lies at or below it, and at least one above.

    Raises:
        TypeError: `image` is neither of the two.
        ValueError: unknown method; an image of one grey level; a threshold with all pixels on one side.
    """
    check_method(method)
    grey = _grey_of(image)
    darkest, brightest = int(grey.min()), int(grey.max())
    if darkest == brightest:
        raise ValueError(
            f"no structure threshold: all {grey.size} pixels of the image have grey level {darkest}, expected at least two "
            "levels; leave the image out, or train without structure maps"
        )
    threshold = float(METHODS[method](grey)) if isinstance(method, str) else float(method)
    if not darkest <= threshold < brightest:
        raise ValueError(
            f"no structure threshold: {method!r} gives grey level {threshold:g}, which leaves nothing on one side of an image "
            f"with levels {darkest} to {brightest}; choose another method ({', '.join(METHODS)}) or a level between these"
        )
    return threshold


def structure_map(image: Image, threshold: float) -> NDArray[np.bool_]:
    """Mark the dark pixels of an image.

    Args:
        image: uint8 array (H, W, 3), or float tensor (3, H, W) in [0, 1].
        threshold: grey level, see `structure_threshold`.

    Returns:
        bool (H, W), True where the grey level is at or below the threshold.

    Raises:
        TypeError: `image` is neither of the two.
        ValueError: it has another shape.
    """
    return np.asarray(_grey_of(image) <= math.floor(threshold))


def structure_channels(image: Tensor, thresholds: Sequence[float] | Tensor) -> Tensor:
    """Structure maps of a batch as the generator takes them; equal to `structure_map` of each image.

    Args:
        image: float (B, 3, H, W) in [0, 1]; rounded to 8 bits here.
        thresholds: one grey level per image, of the whole image where `image` holds crops.

    Returns:
        float32 (B, 1, H, W): 1 where dark, -1 elsewhere.

    Raises:
        TypeError: `image` is not a float tensor.
        ValueError: it has another shape, or the number of thresholds is another than that of the images.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"structure maps are made of images of shape (B, 3, H, W), got {tuple(image.shape)}")
    if len(thresholds) != len(image):
        raise ValueError(f"{len(thresholds)} thresholds for {len(image)} images: expected one per image")
    # Whole numbers on both sides: a float32 threshold just below a grey level could round onto it.
    levels = torch.tensor([math.floor(float(threshold)) for threshold in thresholds], device=image.device)
    dark = _grey(_to_bytes(image).movedim(1, -1)) <= levels[:, None, None]
    return torch.where(dark, 1.0, -1.0)[:, None]


def check_method(method: str | float) -> None:
    """Refuse what is no way to find a threshold, before any image is read.

    Raises:
        ValueError: neither a name in `METHODS` nor a grey level in [0, 255].
    """
    if not (method in METHODS if isinstance(method, str) else 0 <= method <= _WHITE):
        raise ValueError(
            f"a structure threshold must be one of {', '.join(METHODS)}, or a grey level from 0 to {_WHITE}, got {method!r}"
        )


def _grey_of(image: Image) -> NDArray[np.uint8]:
    """8-bit grey image (H, W) of an array or a tensor."""
    if isinstance(image, Tensor):
        image = _to_bytes(image).movedim(0, -1).cpu().numpy()
    elif not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"expected an array of uint8 or a float tensor, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"structure maps are made of RGB images, height x width x 3; got {image.shape}, channels last")
    return _grey(image.astype(np.int64)).astype(np.uint8)


def _to_bytes(image: Tensor) -> Tensor:
    """Whole numbers 0..255 of a float tensor in [0, 1]: an image read from 8 bits gives its own values back."""
    if not image.is_floating_point():
        raise TypeError(f"expected a float tensor in [0, 1], got {image.dtype}; divide 8-bit images by 255")
    return (image.float() * _WHITE).round().clamp(0, _WHITE).long()


def _grey(pixels: Values) -> Values:
    """Grey level of Rec. 601 of whole numbers (..., 3), halves rounded up."""
    grey: Values = (299 * pixels[..., 0] + 587 * pixels[..., 1] + 114 * pixels[..., 2] + 500) // 1000
    return grey
