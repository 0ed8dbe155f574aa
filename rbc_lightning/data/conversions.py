"""Values of images as shares of their range, as grey levels, and as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.spec import RGB, Image, ImageSpec


def to_unit(image: NDArray[Any], spec: ImageSpec = RGB) -> NDArray[np.float32]:
    """Scale values of the spec's range to [0, 1], float32 of the same shape."""
    low, high = map(np.float32, spec.value_range)
    unit = image.astype(np.float32)  # in place, and only what is needed: this is done for every sample that is loaded
    if low != 0:
        unit -= low
    unit /= high - low
    if image.dtype != np.uint8 or spec.value_range != RGB.value_range:
        np.clip(unit, 0, 1, out=unit)
    return unit


def from_unit(array: NDArray[Any], spec: ImageSpec = RGB) -> Image:
    """Scale [0, 1] to the spec's range and type, rounded; what lies outside is clipped."""
    low, high = spec.value_range
    return np.asarray(np.rint(np.clip(array, 0, 1) * np.float32(high - low) + np.float32(low)), dtype=spec.dtype)


def to_levels(values: NDArray[Any], spec: ImageSpec = RGB) -> NDArray[np.float32]:
    """Grey levels, float32: 0..255 over the spec's range, whatever its bits."""
    return values.astype(np.float32) if spec.value_range == RGB.value_range else to_unit(values, spec) * np.float32(255)


def from_levels(levels: NDArray[Any], spec: ImageSpec = RGB) -> Image:
    """Grey levels 0..255 in the spec's range and type, rounded; what lies outside is clipped."""
    if spec.value_range == RGB.value_range:
        return np.asarray(np.clip(np.rint(levels), 0, 255), dtype=np.uint8)
    return from_unit(levels / np.float32(255), spec)


def to_rgb(image: Image, spec: ImageSpec = RGB) -> NDArray[np.uint8]:
    """As a picture, uint8 (H, W, 3): one channel, or a scan's first, as grey, two as red and green, else the first three."""
    shown = np.asarray(from_levels(to_levels(image[..., : 1 if spec.standard else 3], spec)), dtype=np.uint8)
    if shown.shape[2] == 1:
        return np.repeat(shown, 3, axis=2)
    return np.pad(shown, ((0, 0), (0, 0), (0, 3 - shown.shape[2])))
