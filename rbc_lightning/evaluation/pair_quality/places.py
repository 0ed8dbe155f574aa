"""The place in the training images that is most like a crop: a copy may lie anywhere, where drawn crops would miss it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbc_lightning.evaluation.distances import patterns

Levels = NDArray[np.float32]
Mirror = tuple[bool, bool]

_MIRRORS: tuple[Mirror, ...] = ((False, False), (False, True), (True, False), (True, True))
# Outer pixels of a halved crop that do not count, as where images are compared as wholes: it may reach out of the image so far.
_MARGIN = 1
# Windows and crops whose deviation is smaller, in grey levels, show nothing that could be copied.
_FLAT = 0.5
# Crops that are searched: at most so many, fewer where there are many places to compare them with, but not fewer than that.
_MOST_CROPS, _MOST_PLACES, _FEWEST_CROPS = 200, 3e9, 20
# From so many of the best places of all images the search goes on pixel by pixel, for every crop.
_TRIED = 4
# To a pixel and its neighbours; the same one several times at a border.
_STEPS = np.array([(row, column) for row in (0, -1, 1) for column in (0, -1, 1)])
# Crops whose correlations are held at a time.
_CHUNK = 16


class Place(NamedTuple):
    """The window of a training image that is most like a crop.

    Attributes:
        distance: of the patterns at half resolution, as of `nearest_patterns`: 0 = copy, 1.41 = unrelated.
        image: number of the training image.
        corner: row and column of the window's upper left pixel there.
        flipped: whether rows, and columns, of the window stand in reverse order in the crop.
        rmse: root mean square difference of crop and window in grey levels.
    """

    distance: float
    image: int
    corner: tuple[int, int]
    flipped: Mirror
    rmse: float


@dataclass(frozen=True)
class PlacesOfCrops:
    """Where the first crops of a source, and of validation, have their likes in the training images; may be none.

    Attributes:
        window: side of the crops, pixels.
        ids: sample_ids of the training images.
        cells: of each of these as a whole, see `cell_crops`: a copied cell lies anywhere too.
        generated, val: of each crop.
    """

    window: int
    ids: tuple[str, ...]
    cells: tuple[Levels, ...]
    generated: tuple[Place, ...]
    val: tuple[Place, ...]


def n_searched(wanted: int, sizes: Sequence[tuple[int, int]], window: int, *, upright: bool) -> int:
    """How many of the crops wanted are searched for in training images of these sizes, pixels.

    At most 200; fewer, but no less than 20, where each would be compared with so many places that it took minutes.
    """
    less = window // 2 - 2 * _MARGIN - 1
    places = sum((height // 2 - less) * (width // 2 - less) for height, width in sizes) * len(_mirrors(upright))
    return min(wanted, _MOST_CROPS, max(_FEWEST_CROPS, int(_MOST_PLACES / places)))


def nearest_places(crops: Levels, load: Callable[[int], Levels], n_images: int, *, upright: bool) -> list[Place]:
    """Find the most similar window of all training images and their mirror images for every crop.

    Similar is what correlates, after the mean of each channel is taken from both, as in `nearest_patterns`: brightness and
    contrast do not count. The best window at every second pixel of each image is found by Fourier transforms; from the few
    best of all images steps of a pixel lead on.

    Args:
        crops: grey levels (n, S, S, C), S even.
        load: gives image number i of train, grey levels (H, W, C), H and W at least S.
        n_images: images of train.
        upright: of images that are never upside down only the mirror image left to right is searched.
    """
    n, window, mirrors = len(crops), crops.shape[1], _mirrors(upright)
    search = _Search(_inner(crops))
    best, corners = np.zeros((n_images, len(mirrors), n)), np.zeros((n_images, len(mirrors), n, 2), np.int64)
    for index in range(n_images):
        half = _halved(load(index)[None])[0]
        for turn, mirror in enumerate(mirrors):
            best[index, turn], at = search.best(_turned(half, mirror))
            start = 2 * (at - _MARGIN)
            # Counted from the other end where the image was reversed.
            corners[index, turn] = np.where(mirror, 2 * np.array(half.shape[:2]) - window - start, start)
    order = np.argsort(-best.reshape(-1, n), axis=0, kind="stable")[:_TRIED]
    found: list[list[Place]] = [[] for _ in range(n)]
    for index in np.unique(order // len(mirrors)).tolist():
        image = load(index)
        for rank, one in np.argwhere(order // len(mirrors) == index).tolist():
            turn = int(order[rank, one]) % len(mirrors)
            place = Place(_distance(best[index, turn, one]), index, (0, 0), mirrors[turn], 0.0)
            found[one].append(_refined(place, crops[one], image, corners[index, turn, one]))
    return [min(places) for places in found]


class _Search:
    """The spectra of templates (n, h, h, C), to be correlated with images."""

    def __init__(self, templates: Levels) -> None:
        flat = templates.std(axis=(1, 2)).max(axis=1) < _FLAT
        rows = np.where(flat[:, None], 0, patterns(templates)).reshape(templates.shape)
        self.templates = torch.from_numpy(rows / np.float32(np.sqrt(templates[0].size))).permute(0, 3, 1, 2)
        self._spectra: dict[int, Tensor] = {}

    def best(self, image: Levels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The largest correlation of every template with a window of an image (H, W, C), at least 0, and where: (n, 2)."""
        n, h = len(self.templates), self.templates.shape[-1]
        centred = image - image.mean(axis=(0, 1))
        scale = torch.from_numpy(_inverse_norms(centred, h))
        pixels = torch.from_numpy(np.ascontiguousarray(centred.transpose(2, 0, 1)))
        # A tile holds several templates side by side, and no more of nothing than it must.
        side = 1 << (min(4 * h, max(image.shape[:2])) - 1).bit_length()
        best, at, step = torch.zeros(n), torch.zeros((n, 2), dtype=torch.int64), side - h + 1
        for top in range(0, scale.shape[0], step):
            for left in range(0, scale.shape[1], step):
                factor = scale[top : top + step, left : left + step]
                spectrum = torch.fft.rfft2(pixels[:, top : top + side, left : left + side], s=(side, side))
                for first in range(0, n, _CHUNK):
                    part = slice(first, first + _CHUNK)
                    product = (self._spectrum(side)[part] * spectrum).sum(dim=1)
                    values = torch.fft.irfft2(product, s=(side, side))[:, : factor.shape[0], : factor.shape[1]] * factor
                    found, place = values.flatten(1).max(dim=1)
                    better = found > best[part]
                    rows, columns = place // factor.shape[1] + top, place % factor.shape[1] + left
                    best[part][better] = found[better]
                    at[part][better] = torch.stack((rows, columns), dim=1)[better]
        return best.double().numpy(), at.numpy()

    def _spectrum(self, side: int) -> Tensor:
        if side not in self._spectra:
            self._spectra[side] = torch.fft.rfft2(self.templates, s=(side, side)).conj().resolve_conj()
        return self._spectra[side]


def _inverse_norms(image: Levels, side: int) -> Levels:
    """One over the norm of every window of an image (H, W, C), the mean of each channel taken off; 0 where it is flat."""
    total, squares = (_box_sums(values, side) for values in (image, np.square(image, dtype=np.float64)))
    variances = np.clip(squares / side**2 - (total / side**2) ** 2, 0, None)
    norms = np.sqrt(variances.sum(axis=2)) * side
    return np.asarray(np.where(variances.max(axis=2) < _FLAT**2, 0, 1 / np.maximum(norms, _FLAT)), np.float32)


def _box_sums(values: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Sums over all windows of so many pixels, (H - side + 1, W - side + 1, C)."""
    sums = np.pad(values.cumsum(axis=0, dtype=np.float64).cumsum(axis=1), ((1, 0), (1, 0), (0, 0)))
    rows = sums[side:] - sums[:-side]
    return np.asarray(rows[:, side:] - rows[:, :-side])


def _refined(place: Place, crop: Levels, image: Levels, corner: NDArray[np.int64]) -> Place:
    """The place found by steps of a pixel to the most similar window, and the smaller one of both distances."""
    side, most = len(crop), np.array(image.shape[:2]) - len(crop)
    own, best, corner = patterns(_inner(crop[None])), -np.inf, np.clip(corner, 0, most)
    while True:
        corners = np.clip(corner + _STEPS, 0, most)
        windows = np.stack([_turned(image[row : row + side, column : column + side], place.flipped) for row, column in corners])
        correlations = (patterns(_inner(windows)) * own).mean(axis=1)
        chosen = int(correlations.argmax())
        if correlations[chosen] <= best:
            break
        best, corner, window = float(correlations[chosen]), corners[chosen], windows[chosen]
    return place._replace(
        distance=min(place.distance, _distance(best)),
        corner=tuple(corner.tolist()),
        rmse=float(np.sqrt(np.square(window - crop, dtype=np.float64).mean())),
    )


def _distance(correlation: float) -> float:
    return float(np.sqrt(2 * (1 - np.clip(correlation, 0, 1))))


def _inner(crops: Levels) -> Levels:
    """Crops at half resolution without their margin."""
    return _halved(crops)[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _halved(images: Levels) -> Levels:
    """Images (n, H, W, C) averaged over squares of two pixels, (n, H // 2, W // 2, C)."""
    height, width = (side // 2 for side in images.shape[1:3])
    cut = images[:, : 2 * height, : 2 * width]
    return np.asarray(cut.reshape(len(images), height, 2, width, 2, -1).mean(axis=(2, 4)), np.float32)


def _turned(image: Levels, mirror: Mirror) -> Levels:
    return image[:: -1 if mirror[0] else 1, :: -1 if mirror[1] else 1]


def _mirrors(upright: bool) -> tuple[Mirror, ...]:
    return _MIRRORS[:2] if upright else _MIRRORS
