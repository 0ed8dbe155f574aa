"""Small label maps and checks for the tests of `rbc_lightning.masks`."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EIGHT = np.ones((3, 3), np.bool_)


def disc_map(centers: list[tuple[float, float]], radius: float, height: int, width: int) -> NDArray[np.int32]:
    """Label map of discs: pixel centres within ``radius`` of each centre; later ones lie above."""
    rows, columns = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int32)
    for label, (row, column) in enumerate(centers, start=1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = label
    return labels


def blob_map(seed: int, height: int = 96, width: int = 128, n: int = 9, radius: float = 9.0) -> NDArray[np.int32]:
    """Label map of irregular cells on a jittered grid, some of them cut by the border."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int32)
    for label in range(1, n + 1):
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        angle = np.arctan2(rows - row, columns - column)
        wave = 1 + 0.25 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.1 * np.cos(5 * angle + rng.uniform(0, 6))
        labels[(np.hypot(rows - row, columns - column) <= radius * wave) & (labels == 0)] = label
    return labels


def read_back(colors: NDArray[np.uint8], structure: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
    """Label map from a colour mask: connected components per colour."""
    labels = np.zeros(colors.shape, np.int32)
    total = 0
    for color in range(1, int(colors.max(initial=0)) + 1):
        parts, n = ndimage.label(colors == color, structure)
        labels[parts > 0] = parts[parts > 0] + total
        total += n
    return labels


def same_cells(first: NDArray[np.integer], second: NDArray[np.integer]) -> bool:
    """Tell whether two label maps hold the same cells, whatever their ids."""
    codes = np.unique(first.ravel().astype(np.int64) << 32 | second.ravel().astype(np.int64))
    low, high = codes >> 32, codes & 0xFFFFFFFF
    return bool(((low == 0) == (high == 0)).all()) and len(set(low)) == len(set(high)) == len(codes)


def touching_pairs(labels: NDArray[np.integer]) -> set[tuple[int, int]]:
    """Pairs of labels with pixels in each other's 8-neighbourhood, by brute force over shifted copies."""
    height, width = labels.shape
    pairs: set[tuple[int, int]] = set()
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = labels[: height - dy, max(0, -dx) : width - max(0, dx)]
        second = labels[dy:, max(0, dx) : width - max(0, -dx)]
        differ = (first != second) & (first > 0) & (second > 0)
        low, high = np.minimum(first[differ], second[differ]), np.maximum(first[differ], second[differ])
        pairs |= set(zip(low.tolist(), high.tolist(), strict=True))
    return pairs
