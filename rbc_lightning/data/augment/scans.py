"""Changes of grey values that one scan may have against the next: contrast, and a slow change of sensitivity over the head."""

from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
_MEAN, _DEVIATION = 0.4, 0.1
"""Of what is stored of the brain, as shares of the range of values; see `data.volumes.intensity.STANDARD`."""


class ScanContrast(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """Each channel by a curve of its own, of which the brain's mean is the fixed point: a power, a factor, then a shift.

    Args:
        power: range of the exponent of value / mean.
        scale: range of the factor of the distance from the mean.
        shift: range of what is added, in deviations of the brain.
        p: probability.
    """

    def __init__(
        self, power: Range = (0.85, 1.15), scale: Range = (0.8, 1.2), shift: Range = (-0.3, 0.3), p: float = 0.5
    ) -> None:
        super().__init__(p=p)
        for name, (low, high) in (("power", power), ("scale", scale)):
            if not 0 < low <= high:
                raise ValueError(f"{name} must be a range [smallest, largest] above 0, got {[low, high]}.")
        self.power, self.scale, self.shift = power, scale, shift

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw a curve for each channel."""
        ranges = self.power, self.scale, self.shift
        draws = [[self.py_random.uniform(*each) for _ in range(params["shape"][2])] for each in ranges]
        return {"curves": np.array(draws, dtype=np.float32)}

    def apply(self, img: NDArray[Any], curves: NDArray[Any], **_: object) -> NDArray[Any]:
        """Send all values through the curves."""
        power, scale, shift = curves
        bent = _MEAN * np.power(_unit(img) / _MEAN, power)
        return _like(img, (bent - _MEAN) * scale + _MEAN + _DEVIATION * shift)


class BiasField(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """Add to each channel a quadratic surface over the image, as uneven sensitivity of the coil leaves one.

    Args:
        strength: standard deviation of each of the five coefficients, in deviations of the brain.
        p: probability.
    """

    def __init__(self, strength: float = 0.3, p: float = 0.5) -> None:
        super().__init__(p=p)
        if not strength >= 0:
            raise ValueError(f"strength must be at least 0, got {strength}.")
        self.strength = strength

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw the coefficients."""
        draws = [[self.py_random.gauss(0, self.strength) for _ in range(params["shape"][2])] for _ in range(5)]
        return {"coefficients": np.array(draws, dtype=np.float32)}

    def apply(self, img: NDArray[Any], coefficients: NDArray[Any], **_: object) -> NDArray[Any]:
        """Add the surface."""
        y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in img.shape[:2])
        rows, columns = y[:, None, None], x[None, :, None]
        a, b, c, d, e = _DEVIATION * coefficients
        surface = a * rows + b * columns + c * (rows**2 - 1 / 3) + d * (columns**2 - 1 / 3) + e * rows * columns
        return _like(img, _unit(img) + surface)


def _unit(img: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(img / np.float32(255) if img.dtype == np.uint8 else img, dtype=np.float32)


def _like(img: NDArray[Any], unit: NDArray[np.float32]) -> NDArray[Any]:
    """Values cut to [0, 1], in the type of `img`."""
    cut = np.clip(unit, 0, 1)
    return np.rint(cut * 255).astype(np.uint8) if img.dtype == np.uint8 else cut.astype(np.float32)
