"""Structure maps: what is dark in an image, or bright where its objects are, as one bit per pixel (Allender et al., Fig. 3).

The paper gives no threshold. Ours is found per image, by Otsu's method by default, on the grey image: Rec. 601 of red, green
and blue (0.299 R + 0.587 G + 0.114 B), else the mean of the channels, rounded to whole grey levels. "Dark" is a level *at or
below* the threshold, "bright" one above. Both the whole image as an array and a training batch as a tensor go through the
same whole numbers, so that they agree at every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import filters
from torch import Tensor

from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import RGB, Image, ImageSpec
from rbc_lightning.errors import InputError

METHODS = {
    "otsu": filters.threshold_otsu,
    "li": filters.threshold_li,
    "triangle": filters.threshold_triangle,
    "mean": filters.threshold_mean,
}
"""Ways to find a threshold on the grey image; each returns a grey level."""
_REC_601 = (299, 587, 114)

Values = TypeVar("Values", NDArray[Any], Tensor)


def structure_threshold(image: Image, method: str | float = "otsu", spec: ImageSpec = RGB) -> float:
    """Find the grey level that parts an image into dark and bright.

    Args:
        image: (H, W, C) of the data set's dtype.
        method: a name in `METHODS`, or a fixed grey level of the data set's range.
        spec: what the image's numbers mean.

    Returns:
        The threshold in grey levels; at least one pixel lies at or below it, and at least one above.

    Raises:
        TypeError: an image of another dtype.
        ValueError: another shape; unknown method; an image of one grey level; a threshold with all pixels on one side.
    """
    check_method(method, spec)
    grey = _grey_of(image, spec)
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


def structure_map(image: Image, threshold: float, spec: ImageSpec = RGB) -> NDArray[np.bool_]:
    """Mark the pixels of an image that are as the data set's objects are: dark, at or below the threshold, or bright, above it.

    Image and errors are those of `structure_threshold`; bool (H, W).
    """
    dark: NDArray[np.bool_] = _grey_of(image, spec) <= math.floor(threshold)
    return dark if spec.objects == "dark" else ~dark


def structure_channels(image: Tensor, thresholds: Sequence[float] | Tensor, spec: ImageSpec = RGB) -> Tensor:
    """Structure maps of a batch as the generator takes them: float32 (B, 1, H, W), 1 where `structure_map` is True, else -1.

    Args:
        image: float (B, C, H, W) in [0, 1]; rounded to whole grey levels here.
        thresholds: one grey level per image, of the whole image where `image` holds crops.
        spec: what the images' numbers mean.
    """
    if image.ndim != 4 or image.shape[1] != spec.n_channels:
        raise ValueError(f"structure maps are made of images of shape (B, {spec.n_channels}, H, W), got {tuple(image.shape)}")
    if len(thresholds) != len(image):
        raise ValueError(f"{len(thresholds)} thresholds for {len(image)} images: expected one per image")
    # Whole numbers on both sides: a float32 threshold just below a grey level could round onto it.
    levels = torch.tensor([math.floor(float(threshold)) for threshold in thresholds], device=image.device)
    dark = _grey(_whole_levels(image, spec).movedim(1, -1), spec) <= levels[:, None, None]
    marked = dark if spec.objects == "dark" else ~dark
    return torch.where(marked, 1.0, -1.0)[:, None]


def thresholds(samples: Iterable[Sample], method: str | float) -> dict[str, float]:
    """The structure threshold of every image, grey levels, by sample_id; an `InputError` names an image that has none."""
    return {sample.sample_id: threshold_of(sample, sample.load_image(), method) for sample in samples}


def threshold_of(sample: Sample, image: Image, method: str | float) -> float:
    """The structure threshold of a sample's image (H, W, C), grey levels; an `InputError` names it if it has none."""
    try:
        return structure_threshold(image, method, sample.spec)
    except ValueError as error:
        raise InputError(f"{sample.where}: {error} (translator.task.structure_method={method})") from error


def structure_of(sample: Sample, image: Image, method: str | float) -> NDArray[np.uint8]:
    """The structure map of a sample's image (H, W, C), uint8 (H, W) of 0 and 1; raises as `threshold_of`."""
    return structure_map(image, threshold_of(sample, image, method), sample.spec).astype(np.uint8)


def check_method(method: str | float, spec: ImageSpec = RGB) -> None:
    """Refuse, with a `ValueError`, what is neither a name in `METHODS` nor a grey level of the data set's range."""
    low, high = spec.value_range
    if not (method in METHODS if isinstance(method, str) else low <= method <= high):
        raise ValueError(
            f"a structure threshold must be one of {', '.join(METHODS)}, or a grey level from {low:g} to {high:g}, got "
            f"{method!r}"
        )


def _grey_of(image: Image, spec: ImageSpec) -> NDArray[np.integer]:
    """Grey image (H, W) of the data set's dtype."""
    if not isinstance(image, np.ndarray) or image.dtype != spec.dtype:
        found = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"expected an array of {np.dtype(spec.dtype)}, got {found}; read it with Sample.load_image")
    if image.ndim != 3 or image.shape[-1] != spec.n_channels or 0 in image.shape:
        raise ValueError(
            f"structure maps are made of images of {', '.join(spec.channels)}, height x width x {spec.n_channels}; got "
            f"{image.shape}, channels last"
        )
    return _grey(image.astype(np.int64), spec).astype(spec.dtype)


def _whole_levels(image: Tensor, spec: ImageSpec) -> Tensor:
    """Whole grey levels of a float tensor in [0, 1]: an image read from a file gives its own values back."""
    if not image.is_floating_point():
        raise TypeError(f"expected a float tensor in [0, 1], got {image.dtype}; divide 8-bit images by 255")
    low, high = spec.value_range
    return (image.float() * (high - low) + low).round().clamp(low, high).long()


def _grey(pixels: Values, spec: ImageSpec) -> Values:
    """Grey level of whole numbers (..., C), halves rounded up."""
    weights = _REC_601 if spec.channels == RGB.channels else (1,) * spec.n_channels
    total, weighted = sum(weights), weights[0] * pixels[..., 0]
    for channel, weight in enumerate(weights[1:], start=1):
        weighted = weighted + weight * pixels[..., channel]
    grey: Values = (2 * weighted + total) // (2 * total)
    return grey
