"""`LayoutStatistics`: what a set of label maps looks like as an arrangement of cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from rbc_lightning.masks.bank import measure

# Annotators leave a thin line between cells that touch: up to this many background pixels still count as contact.
CONTACT_GAP = 2
# Of g(r), in diameters.
BIN_WIDTH = 0.1
MAX_DISTANCE = 4.0
EDGES: NDArray[np.float64] = np.linspace(0.0, MAX_DISTANCE, round(MAX_DISTANCE / BIN_WIDTH) + 1)
CENTRES: NDArray[np.float64] = (EDGES[1:] + EDGES[:-1]) / 2


@dataclass(frozen=True)
class ImageLayout:
    """The arrangement of cells in one label map; lengths in diameters refer to this image's mean cell.

    Attributes:
        shape: height and width in pixels.
        centers: float64 (n, 2), row and column of each cell's visible centroid.
        diameter: mean equivalent diameter sqrt(4 area / pi) of the whole cells in pixels, weighted.
        area: float64 (m,), pixels of the whole cells, those that do not reach the border.
        axis_ratio: float64 (m,), minor over major axis of the ellipse of equal second moments.
        orientation: float64 (m,), angle of the major axis against the column axis, [0, pi).
        weight: float64 (m,), how many cells of its size each whole cell stands for, see `measure.border_weights`.
        neighbor_distance: float64 (n,), centre to nearest other centre in diameters; empty where n < 2.
        touching: bool (n,), whether another cell is at most ``contact_gap`` background pixels away.
        abutting: bool (n,), whether another cell is in the 8-neighbourhood.
        cluster_sizes: int64, cells in each group held together by contacts; a lone cell is a group of 1.
        pairs: float64 (bins,), translation-corrected pair sums of g(r), see `pair_sums`.
        pairs_expected: float64 (bins,), the same under complete randomness.
    """

    shape: tuple[int, int]
    centers: NDArray[np.float64]
    diameter: float
    area: NDArray[np.float64]
    axis_ratio: NDArray[np.float64]
    orientation: NDArray[np.float64]
    weight: NDArray[np.float64]
    neighbor_distance: NDArray[np.float64]
    touching: NDArray[np.bool_]
    abutting: NDArray[np.bool_]
    cluster_sizes: NDArray[np.int64]
    pairs: NDArray[np.float64]
    pairs_expected: NDArray[np.float64]

    @classmethod
    def from_label_map(cls, label_map: NDArray[np.integer], contact_gap: int = CONTACT_GAP) -> "ImageLayout":
        """Measure one label map (integer (H, W), 0 = background); see `LayoutStatistics.from_label_maps`."""
        labels = measure.check_label_map(label_map)
        height, width = labels.shape
        table = measure.cell_moments(labels, int(labels.max()))
        present = np.flatnonzero(table[:, measure.AREA])
        moments = measure.central_moments(table[present])
        area, centers = moments[:, 0], moments[:, 1:3]
        whole = measure.lies_inside(table[present], height, width)
        weight = measure.border_weights(table[present][whole], height, width)
        sized, weights = (area[whole], weight) if whole.any() else (area, None)
        diameter = float(np.average(np.sqrt(4 * sized / np.pi), weights=weights)) if len(area) else float("nan")
        touching, cluster_sizes = _contacts(labels, present, contact_gap)
        abutting, _ = _contacts(labels, present, 0)
        pairs, expected = pair_sums(centers, height, width, diameter)
        nearest = np.asarray(KDTree(centers).query(centers, k=2)[0])[:, 1] / diameter if len(centers) > 1 else np.empty(0)
        whole_cells = (area[whole], *_ellipses(moments[whole]), weight)
        return cls(
            (height, width), centers, diameter, *whole_cells, nearest, touching, abutting, cluster_sizes, pairs, expected
        )


def _pooled(name: str) -> cached_property[NDArray[Any]]:
    """What `ImageLayout` has under a name, of all images end to end."""
    return cached_property(lambda statistics: np.concatenate([getattr(image, name) for image in statistics.images]))


@dataclass(frozen=True)
class LayoutStatistics:
    """Layout statistics of a set of images, kept per image so that halves and resamples cost nothing.

    `area`, `axis_ratio`, `orientation`, `weight`, `neighbor_distance` and `cluster_sizes` are those of all images, end to end;
    `touching_share` and `abutting_share` the shares of all cells that are flagged so, NaN without cells.

    Raises:
        ValueError: there is no image.
    """

    images: tuple[ImageLayout, ...]

    area, axis_ratio, orientation, weight = _pooled("area"), _pooled("axis_ratio"), _pooled("orientation"), _pooled("weight")
    neighbor_distance, cluster_sizes = _pooled("neighbor_distance"), _pooled("cluster_sizes")
    _touching, _abutting = _pooled("touching"), _pooled("abutting")
    touching_share = cached_property(lambda statistics: mean(statistics._touching))
    abutting_share = cached_property(lambda statistics: mean(statistics._abutting))

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("layout statistics need at least one label map, got none")

    @classmethod
    def from_label_maps(cls, label_maps: Iterable[NDArray[np.integer]], contact_gap: int = CONTACT_GAP) -> "LayoutStatistics":
        """Measure label maps, integer (H, W), which may differ in size; ids need not be contiguous.

        Two cells touch if at most ``contact_gap`` background pixels lie between them, counted in the 8-neighbourhood.

        Raises:
            TypeError: a label map is not of an integer type.
            ValueError: no label map, one that is not (H, W) with ids >= 0, or a negative gap.
        """
        if contact_gap < 0:
            raise ValueError(f"contact_gap must be at least 0 pixels, got {contact_gap}")
        return cls(tuple(ImageLayout.from_label_map(label_map, contact_gap) for label_map in label_maps))

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> "LayoutStatistics":
        """Statistics of some of the images, by index."""
        return LayoutStatistics(tuple(self.images[int(i)] for i in indices))

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Cells per image, int64 (n_images,)."""
        return np.array([len(image.centers) for image in self.images], np.int64)

    @cached_property
    def densities(self) -> NDArray[np.float64]:
        """Cells per megapixel of each image, float64 (n_images,)."""
        areas = np.array([image.shape[0] * image.shape[1] for image in self.images], np.float64)
        return np.asarray(self.counts * 1e6 / areas)

    @cached_property
    def diameters(self) -> NDArray[np.float64]:
        """Mean cell diameter of each image in pixels, float64 (n_images,); NaN where there is no cell."""
        return np.array([image.diameter for image in self.images])

    @cached_property
    def pair_correlation(self) -> NDArray[np.float64]:
        """g(r) at `CENTRES` (in diameters), pooled over the images as a ratio of sums."""
        pairs: NDArray[np.float64] = np.sum([image.pairs for image in self.images], axis=0)
        expected: NDArray[np.float64] = np.sum([image.pairs_expected for image in self.images], axis=0)
        return np.divide(pairs, expected, out=np.full_like(pairs, np.nan), where=expected > 0)


def pair_sums(
    centers: NDArray[np.float64], height: int, width: int, diameter: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum pairs of centres (n, 2) in a window per distance bin in diameters, and what complete randomness would give.

    Every ordered pair counts A / ((H - |dy|) (W - |dx|)), the translation correction (Ohser and Stoyan 1981), so that
    its expectation under complete randomness is n (n - 1) ring / A whatever the window. Over several images both sums
    are added before they are divided.

    Returns:
        Two float64 (bins,) arrays over `EDGES`: observed and expected; g(r) is their ratio.
    """
    bins = len(CENTRES)
    n = len(centers)
    # A distance the window hardly holds has no stable correction.
    if n < 2 or MAX_DISTANCE * diameter > 0.9 * min(height, width):
        return np.zeros(bins), np.zeros(bins)
    first, second = np.triu_indices(n, 1)
    step = np.abs(centers[first] - centers[second])
    distance = np.hypot(step[:, 0], step[:, 1]) / diameter
    near = distance < MAX_DISTANCE
    weight = 2.0 * height * width / ((height - step[near, 0]) * (width - step[near, 1]))
    observed, _ = np.histogram(distance[near], EDGES, weights=weight)
    ring = np.pi * (EDGES[1:] ** 2 - EDGES[:-1] ** 2) * diameter**2
    return observed, n * (n - 1) * ring / (height * width)


def mean(values: NDArray[Any]) -> float:
    """Mean of numbers or of flags; NaN without any."""
    return float(values.mean()) if len(values) else float("nan")


def _ellipses(moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axis ratio and orientation from rows of `measure.central_moments`."""
    # A pixel is a unit square, whose own second moment is 1/12: single pixels stay round.
    row_row, column_column, row_column = moments[:, 3] + 1 / 12, moments[:, 4] + 1 / 12, moments[:, 5]
    mean, half = (row_row + column_column) / 2, (column_column - row_row) / 2
    spread = np.hypot(half, row_column)
    return np.sqrt((mean - spread) / (mean + spread)), np.mod(0.5 * np.arctan2(row_column, half), np.pi)


def _contacts(labels: NDArray[np.int32], present: NDArray[np.int64], gap: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which cells touch another one, and the sizes of the clusters that contacts form."""
    n = len(present)
    if n == 0:
        return np.zeros(0, np.bool_), np.zeros(0, np.int64)
    pairs = np.unique(measure.contact_pairs(labels, gap), axis=0)
    first, second = np.searchsorted(present, pairs[:, 0]), np.searchsorted(present, pairs[:, 1])
    touching = np.zeros(n, np.bool_)
    touching[first] = touching[second] = True
    graph = coo_array((np.ones(len(pairs), np.int8), (first, second)), shape=(n, n))
    members = connected_components(graph, directed=False)[1]
    return touching, np.bincount(members).astype(np.int64)
