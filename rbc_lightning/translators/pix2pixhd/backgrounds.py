"""Background textures: uneven light, dirt, ghosts out of focus and sensor grain, taken from real images.

A generator gives each background one clean colour. A segmenter trained on such images alone takes the grain of a pale
smear, its dark corners and its dirt for cells. So the background texture of a training image with a similar colour (the
image without its cells, filled in smoothly) is laid over each generated image, with fresh grain of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from skimage.transform import downscale_local_mean, resize

from rbc_lightning.core.files import write_arrays
from rbc_lightning.translators.weights import read_stored_arrays

Floats = NDArray[np.float64]

_SCALES = (80.0, 20.0, 5.0)  # pixels: what is finer than the last Gaussian is grain; the others fill the place of cells
_CLEARANCE = 6  # pixels between a cell and the background that is measured
_MIN_SHARE = 0.03  # of an image that must be such background
_OUTLIER = 4.0  # robust standard deviations beyond which a pixel is dirt, not grain
_NEAREST = 3  # real images with the most similar background, one of which is taken


@dataclass(frozen=True)
class Texture:
    """Background of one image; colours in [0, 1].

    Attributes:
        background: (C,) mean colour of the background.
        covariance: (C, C) covariance of the grain between channels.
        correlation: correlation of the grain between neighbouring pixels, in [0, 0.95].
        light: uint8 or uint16 (C, H, W), over its type's range: the image without cells, grain and dirt.
        dirt: int8 or int16 (C, H, W), over its type's range: what is added where there is dirt, else 0.
    """

    background: Floats
    covariance: Floats
    correlation: float
    light: NDArray[np.unsignedinteger[Any]]
    dirt: NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class BackgroundTextures:
    """The textures of N training images, stacked.

    Attributes:
        background: (N, C), see `Texture`, also for the next two.
        covariance: (N, C, C).
        correlation: (N,).
        sizes: int64 (N, 2), height and width of each image; the arrays below are padded to the largest.
        light: (N, C, H, W), see `Texture`.
        dirt: (N, C, H, W), see `Texture`.
    """

    background: Floats
    covariance: Floats
    correlation: Floats
    sizes: NDArray[np.int64]
    light: NDArray[np.unsignedinteger[Any]]
    dirt: NDArray[np.signedinteger[Any]]

    @classmethod
    def fit(cls, samples: Iterable[Mapping[str, Any]], deep: bool = False) -> BackgroundTextures:
        """Measure the training images; those with too little clean background are left out.

        Args:
            samples: of the training split: `image` float32 (C, H, W) in [0, 1], `label_map` (H, W).
            deep: keep 16 bits of each value rather than 8.
        """
        measured = [measure_texture(s["image"].numpy(), s["label_map"].numpy(), deep) for s in samples]
        known = [texture for texture in measured if texture is not None]
        channels = len(known[0].background) if known else 0
        sizes = np.array([texture.light.shape[1:] for texture in known], dtype=np.int64).reshape(-1, 2)
        height, width = sizes.max(axis=0) if known else (0, 0)
        shape = len(known), channels, height, width
        light = np.zeros(shape, dtype=np.uint16 if deep else np.uint8)
        dirt = np.zeros(shape, dtype=np.int16 if deep else np.int8)
        for index, (texture, (h, w)) in enumerate(zip(known, sizes, strict=True)):
            light[index, :, :h, :w], dirt[index, :, :h, :w] = texture.light, texture.dirt
        return cls(
            np.array([texture.background for texture in known]).reshape(len(known), channels),
            np.array([texture.covariance for texture in known]).reshape(len(known), channels, channels),
            np.array([texture.correlation for texture in known]),
            sizes,
            light,
            dirt,
        )

    def render(self, background: Floats, ground: NDArray[np.bool_], seed: np.random.SeedSequence) -> Floats:
        """Draw what is to be added to a generated image, from a training image with a similar background.

        Args:
            background: (C,) mean colour of the generated image's background, in [0, 1].
            ground: (H, W), where there is no cell: dirt lies there only.
            seed: of choice, position, orientation and grain.

        Returns:
            (C, H, W), zeros where no training image has a texture.
        """
        if len(self.background) == 0:
            return np.zeros((len(background), *ground.shape))
        rng = np.random.default_rng(seed)
        order = np.argsort(((self.background - background) ** 2).sum(axis=1), kind="stable")
        source = int(rng.choice(order[:_NEAREST]))
        window = _window(rng, tuple(self.sizes[source]), ground.shape)
        light = self.light[source][window] / np.iinfo(self.light.dtype).max - self.background[source][:, None, None]
        dirt = self.dirt[source][window] / np.iinfo(self.dirt.dtype).max * ground
        root = np.linalg.cholesky(self.covariance[source] + 1e-12 * np.eye(len(background)))
        grain = _correlated_noise(rng, (len(background), *ground.shape), float(self.correlation[source]))
        return np.asarray(light + dirt + np.tensordot(root, grain, axes=(1, 0)))

    def save(self, path: Path) -> None:
        """Write the textures as one .npz file, atomically."""
        write_arrays(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> BackgroundTextures:
        """Read what `save` wrote; raises an `InputError` for another file."""
        return cls(**read_stored_arrays(path, [field.name for field in fields(cls)], "background textures"))


def measure_texture(image: Floats, label_map: NDArray[np.integer], deep: bool = False) -> Texture | None:
    """Take the cells out of an image (C, H, W) in [0, 1] with label map (H, W); None where there is too little background."""
    clear = binary_erosion(label_map == 0, iterations=_CLEARANCE, border_value=1)
    if clear.mean() < _MIN_SHARE:
        return None
    light = _fill(image.astype(np.float64), clear)
    residual = image - light
    spread = 1.4826 * np.median(np.abs(residual[:, clear]), axis=1)
    dirty = clear & (np.abs(residual) > _OUTLIER * spread[:, None, None]).any(axis=0)
    clean = clear & ~dirty
    if clean.mean() < _MIN_SHARE:
        return None
    # Dirt fades out over its rim: its own border pixels are below the threshold.
    around = gaussian_filter(binary_dilation(dirty, iterations=2).astype(np.float64), 1.0) * clear
    return Texture(
        background=light[:, clean].mean(axis=1),
        covariance=np.atleast_2d(np.cov(residual[:, clean])),
        correlation=_neighbor_correlation(residual, clean),
        # Small types at once: the textures of all images are held together.
        light=_quantized(np.clip(light, 0, 1), np.uint16 if deep else np.uint8),
        dirt=_quantized(np.clip(residual * around, -1, 1), np.int16 if deep else np.int8),
    )


def _quantized(values: Floats, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def _fill(image: Floats, clear: NDArray[np.bool_]) -> Floats:
    """Smooth the clear part of an image (C, H, W) and continue it under the rest, from coarse to fine."""
    filled = np.broadcast_to(image[:, clear].mean(axis=1)[:, None, None], image.shape)
    for scale in _SCALES:
        weight = _blur(clear.astype(np.float64), scale)
        smooth = np.stack([_blur(channel * clear, scale) for channel in image]) / np.maximum(weight, 1e-6)
        # Where little is known at this scale the coarser one stays.
        trust = np.clip(weight / 0.5, 0, 1)
        filled = trust * smooth + (1 - trust) * filled
    return np.asarray(filled)


def _blur(x: Floats, width: float) -> Floats:
    """Gaussian blur of (H, W); a wide one is made on a smaller copy, which costs a hundredth."""
    factor = max(1, int(width // 5))
    if factor == 1:
        return np.asarray(gaussian_filter(x, width))
    # Mirrored up to a multiple: padding with zeros would darken the border.
    padded = np.pad(x, [(0, -side % factor) for side in x.shape], mode="symmetric")
    small = gaussian_filter(downscale_local_mean(padded, factor), width / factor)
    return np.asarray(resize(small, padded.shape, order=1, mode="edge"))[: x.shape[0], : x.shape[1]]


def _window(rng: np.random.Generator, have: tuple[int, ...], want: tuple[int, ...]) -> tuple[Any, ...]:
    """Index of a random window of an image, flipped at random, mirrored where the image is too small."""
    axes = []
    for size, length in zip(have, want, strict=True):
        index = np.arange(length) + int(rng.integers(max(size - length, 0) + 1))
        index = np.abs((index + size - 1) % max(2 * (size - 1), 1) - (size - 1))
        # A field of view may lie either way round.
        axes.append(index[::-1] if rng.random() < 0.5 else index)
    return (slice(None), axes[0][:, None], axes[1])


def _neighbor_correlation(residual: Floats, clear: NDArray[np.bool_]) -> float:
    """Mean correlation of vertical and horizontal neighbours over the channels, clipped to [0, 0.95]."""
    pairs = []
    for first, second in (((slice(1, None), slice(None)), (slice(-1), slice(None))), ((..., slice(1, None)), (..., slice(-1)))):
        both = clear[first] & clear[second]
        a, b = residual[(slice(None), *first)][:, both], residual[(slice(None), *second)][:, both]
        pairs.append(float((a * b).mean() / max((a * a).mean(), 1e-12)))
    return float(np.clip(np.mean(pairs), 0.0, 0.95))


def _correlated_noise(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> Floats:
    """Noise (C, H, W) of unit variance whose neighbouring pixels correlate as asked.

    White noise under a Gaussian of width s correlates as exp(-d^2 / 4 s^2) at distance d.
    """
    noise = rng.standard_normal(shape)
    if correlation < 0.02:
        return noise
    width_of_blur = 0.5 / np.sqrt(-np.log(correlation))
    blurred = np.stack([gaussian_filter(channel, width_of_blur, mode="wrap") for channel in noise])
    return np.asarray(blurred / blurred.std())
