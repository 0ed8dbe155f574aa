"""Near-duplicates: pictures of one field in two splits, though saved anew, mirrored, turned, resized or cropped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rbc_lightning.data.conversions import to_levels
from rbc_lightning.data.sample import Sample

SIDE = 128
"""Pixels along each side of the picture that is hashed, whatever the image's own shape."""
COEFFICIENTS = 16
"""Along rows and along columns, without the mean: 255 bits."""
CUTS = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2)
"""Shares of a side cut off at either end, in which crops are looked for."""
THRESHOLD = 0.24
"""Largest distance of near-duplicates, see `find_near_duplicates`."""
MOST_PAIRS = 500_000
"""Pairs among which crops are looked for, 0.2 ms each; among more of them whole images alone are compared."""

Floats = NDArray[np.float32]
_ORIENTATIONS = tuple(product((False, True), repeat=3))


@dataclass(frozen=True)
class NearDuplicate:
    """Two samples of different splits that look like one image; the share of bits in which their hashes differ."""

    first: Sample
    second: Sample
    distance: float


def find_near_duplicates(
    samples: Sequence[Sample], *, progress: Callable[[int, int], None] | None = None
) -> list[NearDuplicate]:
    """Find samples of different splits that show the same field.

    The hash of an image is the signs of its low-frequency DCT coefficients (Zauner 2010, "Implementation and benchmarking of
    perceptual image hash functions", Sec. 3.2.1, which takes the median where we take 0, so that mirroring and turning by
    90 degrees change signs and order of the coefficients in a known way: all eight orientations follow from one hash). A crop
    is looked for by hashing 1,296 windows of either image, up to 20 % cut off at each side, against the other one whole.

    Distances, as shares of the 255 bits. Different smears: 80 of BBBC041, all 3,160 pairs, 0.31 and more, median 0.38; 120 of
    another laboratory (CBC) 0.31; 140 of a third (Chula-RBC-12) 0.29, where two fields show the same pointer; three pairs below
    0.1 in the last two are one field photographed twice. Copies of the 80, the worst of each kind: mirrored or turned and
    saved as JPEG of quality 50 0.03; quality 10 0.08; half size 0.04; gamma 1.5 0.05; up to 10 % cut off each side 0.16, up to
    20 % 0.20 (mirrored, quality 70); of those with up to 25 %, one in ten is missed. Images of one value all over take no part.
    Values are scaled by the range of the data set: imagehash 4.3.2 and CleanVision 0.3.7 clip 16-bit ones at 255, and take any
    two such images for copies (`findings/hashes_of_16_bit_images.sh`).
    Fields of little content come nearer: 0.16 for three drawn cells each in the same uneven light. Not measured on images that
    are alike by nature, such as heads in one frame.

    Args:
        samples: of all splits.
        progress: called with (images compared, images in all).

    Returns:
        Pairs with a distance below `THRESHOLD`, the nearest first.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(_picture, samples))
    kept = [index for index, picture in enumerate(pictures) if float(np.ptp(picture)) > 0]
    samples, pictures = [samples[index] for index in kept], [pictures[index] for index in kept]
    splits = np.array([sample.split for sample in samples])
    windows = _WINDOWS if n_pairs(samples) <= MOST_PAIRS else _WINDOWS[:1]
    turned = np.asarray([_orientations(hashes(picture, _WINDOWS[:1])[0]) for picture in pictures], dtype=np.float32)
    nearest: dict[tuple[int, int], float] = {}
    for index, picture in enumerate(pictures):
        others = np.flatnonzero(splits != splits[index])
        if len(others):
            found = distances(turned[others], hashes(picture, windows))
            for other, distance in zip(others.tolist(), found.tolist(), strict=True):
                pair = (min(index, other), max(index, other))
                if distance < min(THRESHOLD, nearest.get(pair, 1.0)):
                    nearest[pair] = distance
        if progress:
            progress(index + 1, len(pictures))
    by_distance = sorted(nearest.items(), key=lambda item: item[1])
    return [NearDuplicate(samples[first], samples[second], distance) for (first, second), distance in by_distance]


def n_pairs(samples: Sequence[Sample]) -> int:
    """Pairs of samples of different splits."""
    _, counts = np.unique([sample.split for sample in samples], return_counts=True)
    return int(len(samples) ** 2 - (counts**2).sum()) // 2


def hashes(picture: Floats, windows: Floats) -> Floats:
    """Signs of the DCT coefficients of every window of a picture (SIDE, SIDE).

    Args:
        picture: grey levels.
        windows: bases (n, COEFFICIENTS, SIDE) along one side; all n * n products of two are taken.

    Returns:
        -1, 0 or 1, (n * n, COEFFICIENTS, COEFFICIENTS), the mean set to 0.
    """
    n = len(windows)
    flat = windows.reshape(n * COEFFICIENTS, SIDE)
    values = (flat @ picture @ flat.T).reshape(n, COEFFICIENTS, n, COEFFICIENTS).transpose(0, 2, 1, 3)
    signs = np.sign(values.reshape(n * n, COEFFICIENTS, COEFFICIENTS))
    signs[:, 0, 0] = 0
    return np.asarray(signs, dtype=np.float32)


def distances(turned: Floats, windows: Floats) -> Floats:
    """Smallest share of differing bits over orientations and windows.

    Args:
        turned: hashes of n images in eight orientations, (n, 8, COEFFICIENTS, COEFFICIENTS).
        windows: hashes of the windows of one image, (m, COEFFICIENTS, COEFFICIENTS).

    Returns:
        (n,), 0 to 1.
    """
    bits = COEFFICIENTS**2 - 1
    agreement = turned.reshape(-1, COEFFICIENTS**2) @ windows.reshape(-1, COEFFICIENTS**2).T
    return np.asarray((bits - agreement.max(axis=1).reshape(len(turned), -1).max(axis=1)) / (2 * bits))


def _picture(sample: Sample) -> Floats:
    """The image as grey levels float32 (SIDE, SIDE), mean over its channels, resized by area."""
    grey = to_levels(sample.load_image(), sample.spec).mean(axis=2)
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def _orientations(one: Floats) -> Floats:
    """The hash (COEFFICIENTS, COEFFICIENTS) of an image from those of its eight orientations, (8, ...)."""
    odd = (-1.0) ** np.arange(COEFFICIENTS, dtype=np.float32)
    turned = []
    for transpose, flip_rows, flip_columns in _ORIENTATIONS:
        signs = np.outer(odd if flip_rows else odd**2, odd if flip_columns else odd**2)
        turned.append((one.T if transpose else one) * signs)
    return np.asarray(turned, dtype=np.float32)


def _basis(before: float, after: float) -> Floats:
    """DCT-II along one side, less the shares cut off before and after; (COEFFICIENTS, SIDE)."""
    low, high = before * SIDE, (1 - after) * SIDE
    centres = np.arange(SIDE) + 0.5
    # A pixel counts as far as it lies inside.
    inside = np.clip(np.minimum(centres + 0.5, high) - np.maximum(centres - 0.5, low), 0, 1)
    waves = np.cos(np.pi * np.arange(COEFFICIENTS)[:, None] * (centres - low) / (high - low))
    return np.asarray(inside * waves, dtype=np.float32)


# The whole side comes first.
_WINDOWS: Floats = np.stack([_basis(before, after) for before, after in product(CUTS, repeat=2)])
