"""Are synthetic pairs many, and are they new? Diversity, and the nearest training pair of each, beside real pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import squareform
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from rbc_lightning.evaluation.distances import nearest_distances, nearest_patterns, pattern_distances
from rbc_lightning.evaluation.pair_quality.measured import SIDE, MeasuredPair, smalls

# Of three of the five scales, which `SIDE` has room for, their weights scaled to a sum of 1 (Wang et al. 2003).
_WEIGHTS = np.array([0.0448, 0.2856, 0.3001]) / 0.6305
# Pairs of images that a mean is over, and cells that are compared at most.
_MOST_PAIRS, _MOST_CELLS, _MOST_TRAIN_CELLS = 500, 2000, 20000
# Images are compared as wholes on a grid of half `SIDE`, moved by this many of its positions; values, by twice as many pixels.
_SHIFT = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Diversity:
    """How much the pairs of one set differ.

    Attributes:
        images: 1 - MS-SSIM of two images drawn at random, averaged (Odena et al. 2017): 0 = all the same.
        masks: see `MeasuredPair.mask_distance`, of two pairs drawn at random from those that are not empty, averaged.
        twins: median distance of a small image's pattern to the nearest other one of the set; 0 = copies of each other.
        twin_distances: of each, float64 (n,).
    """

    images: float
    masks: float
    twins: float
    twin_distances: Floats


@dataclass(frozen=True)
class Nearest:
    """The nearest training pair of every pair of one set.

    Attributes:
        distance: of the patterns of small images, as `nearest_distances` of cells: 0 = copy, 1.41 = unrelated; float64 (n,).
        index: of the training pair, int64 (n,).
        rmse: root mean square difference to it in grey levels at the best small shift and mirror image, float64 (n,).
    """

    distance: Floats
    index: NDArray[np.int64]
    rmse: Floats


def diversity(pairs: Sequence[MeasuredPair], seed: int, twins_of: int) -> Diversity:
    """Of a set of pairs of one size; NaN where there are too few.

    Args:
        pairs: of one set.
        seed: of which pairs are compared.
        twins_of: so many pairs look for a twin among each other: the more there are, the nearer the nearest is.
    """
    rng = np.random.default_rng(seed)
    images = smalls(pairs)
    filled = [pair for pair in pairs if not pair.is_empty]
    two = [(filled[a], filled[b]) for a, b in _two_of(len(filled), rng)]
    apart_in_mask = [a.mask_distance(b) for a, b in two if np.array_equal(a.shape, b.shape)]
    apart = squareform(pattern_distances(images[:twins_of]))
    np.fill_diagonal(apart, np.inf)
    twins = apart.min(axis=1) if len(apart) > 1 else np.zeros(0)
    return Diversity(
        images=_dissimilarity(images, _two_of(len(pairs), rng)),
        masks=float(np.mean(apart_in_mask)) if apart_in_mask else float("nan"),
        twins=float(np.median(twins)) if len(twins) else float("nan"),
        twin_distances=twins,
    )


def nearest_training_pairs(pairs: Sequence[MeasuredPair], train: Sequence[MeasuredPair]) -> Nearest:
    """Find the training pair whose image is most like each image, whatever its brightness and contrast."""
    ours, theirs = smalls(pairs), smalls(train)
    found = nearest_patterns(_halved(ours), _halved(theirs), shift=_SHIFT)
    rmse = [aligned_rmse(image, theirs[index]) for image, index in zip(ours, found.index, strict=True)]
    return Nearest(found.distance, found.index, np.array(rmse))


def nearest_cells(cells: Sequence[NDArray[np.float32]], train: Sequence[NDArray[np.float32]], seed: int) -> Floats:
    """Distances of cells or patches, of each image (n, 16, 16, C), to the nearest of train, float64 (m,).

    Of many at most so many are drawn at random.
    """
    rng = np.random.default_rng(seed)
    some, known = (_some(np.concatenate(each), most, rng) for each, most in ((cells, _MOST_CELLS), (train, _MOST_TRAIN_CELLS)))
    return nearest_distances(some, known) if len(some) and len(known) else np.zeros(0)


def aligned_rmse(image: NDArray[np.float32], reference: NDArray[np.float32], shift: int = 2 * _SHIFT) -> float:
    """Smallest root mean square difference of two images (H, W, C) over mirror images and shifts of so many pixels."""
    height, width = image.shape[:2]
    inner = reference[shift : height - shift, shift : width - shift]
    squares = []
    for mirrored in (image, image[::-1], image[:, ::-1], image[::-1, ::-1]):
        for top in range(2 * shift + 1):
            for left in range(2 * shift + 1):
                window = mirrored[top : top + inner.shape[0], left : left + inner.shape[1]]
                squares.append(float(np.square(window - inner, dtype=np.float64).mean()))
    return float(np.sqrt(min(squares)))


def _dissimilarity(images: NDArray[np.float32], chosen: Sequence[tuple[int, int]]) -> float:
    if not chosen:
        return float("nan")
    first, second = (torch.from_numpy(images[list(side)]).permute(0, 3, 1, 2) for side in zip(*chosen, strict=True))
    similarity = multiscale_structural_similarity_index_measure(
        first, second, data_range=255.0, betas=tuple(_WEIGHTS.tolist()), normalize="relu"
    )
    return 1 - float(similarity)


def _two_of(n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of two different numbers below n: all, or as many as are compared, drawn at random."""
    if n * (n - 1) // 2 <= _MOST_PAIRS:
        return [(a, b) for a in range(n) for b in range(a)]
    first = rng.integers(n, size=_MOST_PAIRS)
    second = (first + rng.integers(1, n, size=_MOST_PAIRS)) % n
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _halved(images: NDArray[np.float32]) -> NDArray[np.float32]:
    n, half = len(images), SIDE // 2
    return np.asarray(images.reshape(n, half, 2, half, 2, -1).mean(axis=(2, 4)))


def _some(crops: NDArray[np.float32], most: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return crops if len(crops) <= most else crops[np.sort(rng.choice(len(crops), most, replace=False))]
