"""Background textures: uneven light, dirt, ghosts out of focus and sensor grain, taken from real images.

A generator gives each background one clean colour. A segmenter trained on such images alone takes the grain of a pale
smear, its dark corners and its dirt for cells. So the background texture of a training image with a similar colour (the
image without its cells, filled in smoothly) is laid over each generated image, with fresh grain of the same kind.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from skimage.transform import downscale_local_mean, resize

from rbc_lightning.core.files import replacing, write_arrays
from rbc_lightning.errors import InputError
from rbc_lightning.translators.weights import read_stored_arrays

Floats = NDArray[np.float64]

PLATES_FILE = "plates.npy"
_STORED, _WHAT = ("background", "covariance", "correlation", "sizes", "ends", "deep"), "background textures"
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
    """The textures of N training images; those of whole images lie packed, and one at a time is unpacked.

    Attributes:
        background: (N, C), see `Texture`, also for the next two.
        covariance: (N, C, C).
        correlation: (N,).
        sizes: int64 (N, 2), height and width of each image.
        ends: int64 (N,), where in `plates` each image ends.
        plates: uint8 (bytes,), light and dirt of every image packed by zlib; loaded ones stay in their file, of which all
            processes share what they read.
        deep: 16 bits of each value rather than 8.
    """

    background: Floats
    covariance: Floats
    correlation: Floats
    sizes: NDArray[np.int64]
    ends: NDArray[np.int64]
    plates: NDArray[np.uint8]
    deep: bool = False

    @classmethod
    def fit(cls, samples: Iterable[Mapping[str, Any]], deep: bool = False) -> BackgroundTextures:
        """Measure the training images; those with too little clean background are left out.

        Args:
            samples: of the training split: `image` float32 (C, H, W) in [0, 1], `label_map` (H, W).
            deep: keep 16 bits of each value rather than 8.
        """
        measured = (measure_texture(s["image"].numpy(), s["label_map"].numpy(), deep) for s in samples)
        return cls._pack((texture for texture in measured if texture is not None), deep)

    @classmethod
    def _pack(cls, textures: Iterable[Texture], deep: bool) -> BackgroundTextures:
        known = [
            (t.background, t.covariance, t.correlation, t.light.shape[1:], zlib.compress(t.light.tobytes() + t.dirt.tobytes()))
            for t in textures
        ]
        backgrounds, covariances, correlations, sizes, packed = zip(*known, strict=True) if known else ((),) * 5
        channels = len(backgrounds[0]) if known else 0
        return cls(
            np.array(backgrounds).reshape(len(known), channels),
            np.array(covariances).reshape(len(known), channels, channels),
            np.array(correlations),
            np.array(sizes, dtype=np.int64).reshape(-1, 2),
            np.cumsum([len(plate) for plate in packed], dtype=np.int64),
            np.frombuffer(b"".join(packed), np.uint8),
            deep,
        )

    def texture(self, index: int) -> Texture:
        """Unpack the texture of one image."""
        start = self.ends[index - 1] if index else 0
        light_type, dirt_type = (np.uint16, np.int16) if self.deep else (np.uint8, np.int8)
        values = np.frombuffer(zlib.decompress(self.plates[start : self.ends[index]].data), light_type)
        light, dirt = values.reshape(2, -1, *self.sizes[index])
        return Texture(
            self.background[index], self.covariance[index], float(self.correlation[index]), light, dirt.view(dirt_type)
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
        source = self.texture(int(rng.choice(order[:_NEAREST])))
        window = _window(rng, source.light.shape[1:], ground.shape)
        light = source.light[window] / np.iinfo(source.light.dtype).max - source.background[:, None, None]
        dirt = source.dirt[window] / np.iinfo(source.dirt.dtype).max * ground
        root = np.linalg.cholesky(source.covariance + 1e-12 * np.eye(len(background)))
        grain = _correlated_noise(rng, (len(background), *ground.shape), source.correlation)
        return np.asarray(light + dirt + np.tensordot(root, grain, axes=(1, 0)))

    def save(self, path: Path) -> None:
        """Write the textures as an .npz file, and beside it their plates as an .npy file, each atomically."""
        # The plates first: they are missing beside a file of the earlier layout alone.
        with replacing(path.with_name(PLATES_FILE)) as file:
            np.save(file, self.plates, allow_pickle=False)
        write_arrays(path, {name: np.asarray(getattr(self, name)) for name in _STORED})

    @classmethod
    def load(cls, path: Path) -> BackgroundTextures:
        """Read what `save` wrote, the plates when they are needed; raises an `InputError` for another file."""
        plates = path.with_name(PLATES_FILE)
        if not plates.is_file():
            return cls._load_earlier(path)
        arrays = read_stored_arrays(path, _STORED, _WHAT)
        try:
            packed = np.load(plates, mmap_mode="r", allow_pickle=False)
            if len(packed) != max(arrays["ends"], default=0):
                raise ValueError(f"{len(packed)} bytes, expected {max(arrays['ends'], default=0)}")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{plates} does not belong to {path.name} ({error}); make the translator again with stage=translator"
            ) from error
        return cls(**{**arrays, "deep": bool(arrays["deep"])}, plates=packed)

    @classmethod
    def _load_earlier(cls, path: Path) -> BackgroundTextures:
        """Read the earlier layout: one .npz file with the plates of all images, padded to the largest."""
        names = ("background", "covariance", "correlation", "sizes", "light", "dirt")
        columns = read_stored_arrays(path, names, _WHAT)
        textures = (
            Texture(background, covariance, correlation, light[:, : size[0], : size[1]], dirt[:, : size[0], : size[1]])
            for background, covariance, correlation, size, light, dirt in zip(*columns.values(), strict=True)
        )
        return cls._pack(textures, columns["light"].itemsize > 1)


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
