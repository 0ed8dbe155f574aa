"""What a microscope adds to every image: sensor grain and uneven illumination, measured on real backgrounds.

A generator paints each background in one clean colour. A segmenter trained on such images alone takes the grain of a pale
smear for cells, so grain and illumination of a real image with a similar background are laid over each painted one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter

from rbc_lightning.errors import InputError

Floats = NDArray[np.float64]

_FINE = 5.0  # pixels: what is finer than this Gaussian is grain, what is coarser is illumination
_CLEARANCE = 6  # pixels between a cell and the background that is measured
_MIN_SHARE = 0.03  # of an image that must be such background
_OUTLIER = 4.0  # robust standard deviations beyond which a pixel is dirt, not grain
_BRIGHTEST = 0.15  # largest change of level: a parabola fitted to a corner of background must not run away
_NEAREST = 3  # real images with the most similar background, one of which is taken


@dataclass(frozen=True)
class SurfaceBank:
    """Grain and illumination of the training images; colours in [0, 1].

    Attributes:
        background: (N, 3) mean background RGB.
        covariance: (N, 3, 3) covariance of the grain between channels.
        correlation: (N,) correlation of the grain between neighbouring pixels, in [0, 1).
        illumination: (N, 3, 5) coefficients of x, y, x^2, y^2, xy per channel, x and y from -1 to 1 across the image.
    """

    background: Floats
    covariance: Floats
    correlation: Floats
    illumination: Floats

    @classmethod
    def fit(cls, samples: Iterable[Mapping[str, Any]]) -> SurfaceBank:
        """Measure the training images; those with too little clean background are left out.

        Args:
            samples: of the training split: `image` float32 (3, H, W) in [0, 1], `label_map` (H, W).
        """
        measured = [measure_surface(s["image"].numpy(), s["label_map"].numpy()) for s in samples]
        known = [surface for surface in measured if surface is not None]
        if not known:
            return cls(np.empty((0, 3)), np.empty((0, 3, 3)), np.empty(0), np.empty((0, 3, 5)))
        return cls(*(np.stack(part) for part in zip(*known, strict=True)))

    def render(self, background: Floats, height: int, width: int, seed: np.random.SeedSequence) -> Floats:
        """Draw what is to be added to an image (3, H, W), from a training image with a similar background.

        Args:
            background: (3,) mean background RGB of the painted image, in [0, 1].
            height: of the image, pixels.
            width: of the image, pixels.
            seed: of choice, grain and orientation.

        Returns:
            (3, H, W), zeros where the bank is empty.
        """
        if len(self.background) == 0:
            return np.zeros((3, height, width))
        rng = np.random.default_rng(seed)
        order = np.argsort(((self.background - background) ** 2).sum(axis=1), kind="stable")
        source = int(rng.choice(order[:_NEAREST]))
        grain = _correlated_noise(rng, height, width, float(self.correlation[source]))
        root = np.linalg.cholesky(self.covariance[source] + 1e-12 * np.eye(3))
        # A field of view may lie either way round: mirror the illumination at random.
        mirror = rng.choice([-1.0, 1.0], 2)
        light = np.tensordot(self.illumination[source], _basis(height, width, *mirror), axes=(1, 0))
        light = np.clip(light, -_BRIGHTEST, _BRIGHTEST)
        return np.asarray(np.tensordot(root, grain, axes=(1, 0)) + light)

    def save(self, path: Path) -> None:
        """Write the bank as one .npz file, atomically."""
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        Path(file.name).replace(path)

    @classmethod
    def load(cls, path: Path) -> SurfaceBank:
        """Read what `save` wrote.

        Raises:
            InputError: not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{field.name: file[field.name] for field in fields(cls)})
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path} holds no surfaces ({error}); make the translator again with stage=translator") from error


def measure_surface(image: Floats, label_map: NDArray[np.integer]) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Background colour, grain covariance, grain correlation and illumination of one image; None for too little background.

    Args:
        image: (3, H, W) in [0, 1].
        label_map: (H, W), 0 = background.
    """
    clear = binary_erosion(label_map == 0, iterations=_CLEARANCE, border_value=1)
    smooth = np.stack([gaussian_filter(channel.astype(np.float64), _FINE) for channel in image])
    residual = image - smooth
    spread = 1.4826 * np.median(np.abs(residual[:, clear]), axis=1) if clear.any() else np.zeros(3)
    clear &= (np.abs(residual) <= _OUTLIER * spread[:, None, None]).all(axis=0)
    if clear.mean() < _MIN_SHARE:
        return None
    grain = residual[:, clear]
    covariance = np.cov(grain)
    background = smooth[:, clear].mean(axis=1)
    basis = _basis(*label_map.shape)[:, clear]
    design = np.vstack([np.ones(basis.shape[1]), basis]).T
    coefficients = np.linalg.lstsq(design, smooth[:, clear].T, rcond=None)[0]
    return background, covariance, np.asarray(_neighbor_correlation(residual, clear)), coefficients[1:].T


def _neighbor_correlation(residual: Floats, clear: NDArray[np.bool_]) -> float:
    """Mean correlation of vertical and horizontal neighbours over the channels, clipped to [0, 0.95]."""
    pairs = []
    for first, second in (((slice(1, None), slice(None)), (slice(-1), slice(None))), ((..., slice(1, None)), (..., slice(-1)))):
        both = clear[first] & clear[second]
        a, b = residual[(slice(None), *first)][:, both], residual[(slice(None), *second)][:, both]
        pairs.append(float((a * b).mean() / max((a * a).mean(), 1e-12)))
    return float(np.clip(np.mean(pairs), 0.0, 0.95))


def _correlated_noise(rng: np.random.Generator, height: int, width: int, correlation: float) -> Floats:
    """Noise (3, H, W) of unit variance whose neighbouring pixels correlate as asked.

    White noise under a Gaussian of width s correlates as exp(-d^2 / 4 s^2) at distance d.
    """
    noise = rng.standard_normal((3, height, width))
    if correlation < 0.02:
        return noise
    width_of_blur = 0.5 / np.sqrt(-np.log(correlation))
    blurred = np.stack([gaussian_filter(channel, width_of_blur, mode="wrap") for channel in noise])
    return np.asarray(blurred / blurred.std())


def _basis(height: int, width: int, mirror_y: float = 1.0, mirror_x: float = 1.0) -> Floats:
    """(5, H, W): x, y, x^2, y^2, xy over the image, each from -1 to 1 before squaring."""
    y, x = np.meshgrid(mirror_y * np.linspace(-1, 1, height), mirror_x * np.linspace(-1, 1, width), indexing="ij")
    return np.stack([x, y, x**2, y**2, x * y])
