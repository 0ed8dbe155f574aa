"""The mask sampler of Bailo et al. (2019), Sec. 4.1, to the letter: one full probability map, updated and sampled by cell.

Plain NumPy, slow on purpose; shares nothing with `rbc_lightning.masks`. It is the yardstick of `make bench` and the
independent word on the formulas.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def excitation_map(row: float, column: float, height: int, width: int, cell_size: float) -> NDArray[np.float64]:
    """z(l) on the whole image, cut at its border and scaled to sum 1."""
    rows = np.arange(height, dtype=np.float64)[:, None] - row
    columns = np.arange(width, dtype=np.float64)[None, :] - column
    squared = rows**2 + columns**2
    sigma = cell_size / np.sqrt(2.0 * np.log(2.0))
    gaussian = np.exp(-(rows**2) / (2 * sigma**2)) * np.exp(-(columns**2) / (2 * sigma**2))
    z = np.where(squared <= cell_size**2, 1.0 - gaussian, gaussian)
    return z / z.sum()


def probability_map(
    centers: NDArray[np.integer], height: int, width: int, cell_size: float, n_init: int, exact_mean: bool = False
) -> NDArray[np.float64]:
    """P(n + 1) after n centres, by the recursion of equation 3."""
    n = len(centers)
    if n < n_init:
        return np.full((height, width), 1.0 / (height * width))
    maps = [excitation_map(row, column, height, width, cell_size) for row, column in centers]
    probability = np.mean(maps[:n_init], axis=0)
    for i in range(n_init + 2, n + 2):
        a = 1.0 / (i - 1) if exact_mean else 1.0 / i
        probability = (1.0 - a) * probability + a * maps[i - 2]
    return probability


@dataclass
class FullMapSampler:
    """The paper's sampler with the map: 8-neighbour colours, no overlap, rotation, scale and flips drawn per cell.

    Args:
        shapes: bool (h, w) bitmaps.
        height: mask height.
        width: mask width.
        cell_size: cell diameter in pixels.
        n_init: cells placed uniformly at first.
        n_colors: palette size.
        max_tries: draws of a place before the shape is changed.
        weights: what the chance of drawing each shape is proportional to; None for equal chances.
    """

    shapes: list[NDArray[np.bool_]]
    height: int
    width: int
    cell_size: float
    n_init: int = 20
    n_colors: int = 8
    max_tries: int = 1000
    weights: NDArray[np.float64] | None = None
    tried: int = field(default=0, init=False)

    def sample(self, seed: int, count: int) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
        """Label map, colours and centres of one mask."""
        rng = np.random.default_rng(seed)
        labels = np.zeros((self.height, self.width), np.int32)
        colors = np.zeros((self.height, self.width), np.uint8)
        centers: list[tuple[int, int]] = []
        uniform = np.full((self.height, self.width), 1.0 / (self.height * self.width))
        probability = uniform
        while len(centers) < count:
            i = len(centers) + 1
            if i == self.n_init + 1:
                probability = np.mean([self._z(*center) for center in centers], axis=0)
            elif i > self.n_init + 1:
                probability = (1 - 1 / i) * probability + self._z(*centers[-1]) / i
            cumulative = np.cumsum(probability)
            for _ in range(50):
                shape = self._draw_shape(rng)
                for _ in range(self.max_tries):
                    self.tried += 1
                    place = min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1])), cumulative.size - 1)
                    row, column = divmod(place, self.width)
                    if self._place(rng, shape, row, column, i, labels, colors):
                        centers.append((row, column))
                        break
                if len(centers) == i:
                    break
            else:
                raise RuntimeError(f"no place for cell {i} of {count}")
        return labels, colors, np.array(centers, np.int64).reshape(-1, 2)

    def _z(self, row: int, column: int) -> NDArray[np.float64]:
        return excitation_map(row, column, self.height, self.width, self.cell_size)

    def _draw_shape(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Rotate, scale and flip a random bitmap by nearest-neighbour warping."""
        if self.weights is None:
            shape = self.shapes[int(rng.integers(len(self.shapes)))]
        else:
            shape = self.shapes[draw_by_weight(rng.random(), self.weights)]
        if rng.random() < 0.5:
            shape = shape[::-1]
        if rng.random() < 0.5:
            shape = shape[:, ::-1]
        return warp(shape, rng.uniform(0, 2 * np.pi), float(np.clip(rng.normal(1, 5 / 46), 0.8, 1.2)))

    def _place(
        self,
        rng: np.random.Generator,
        shape: NDArray[np.bool_],
        row: int,
        column: int,
        label: int,
        labels: NDArray[np.int32],
        colors: NDArray[np.uint8],
    ) -> bool:
        """Write the shape centred at (row, column) if the place is free and a colour is left."""
        h, w = shape.shape
        top, left = row - h // 2, column - w // 2
        rows = slice(max(top, 0), min(top + h, self.height))
        columns = slice(max(left, 0), min(left + w, self.width))
        part = shape[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if not part.any() or labels[rows, columns][part].any():
            return False
        padded = np.pad(shape, 1)
        grown = np.zeros_like(padded)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                grown |= np.roll(padded, (dy, dx), (0, 1))
        around_rows = slice(max(top - 1, 0), min(top + h + 1, self.height))
        around_columns = slice(max(left - 1, 0), min(left + w + 1, self.width))
        ring = grown[
            around_rows.start - top + 1 : around_rows.stop - top + 1,
            around_columns.start - left + 1 : around_columns.stop - left + 1,
        ]
        taken = np.unique(colors[around_rows, around_columns][ring])
        free = np.setdiff1d(np.arange(1, self.n_colors + 1), taken)
        if len(free) == 0:
            return False
        labels[rows, columns][part] = label
        colors[rows, columns][part] = rng.choice(free)
        return True


def draw_by_weight(share: float, weights: NDArray[np.float64]) -> int:
    """Index of the weight in whose part of their sum, laid end to end, the share of 1 lies."""
    left = share * float(weights.sum())
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1


def warp(shape: NDArray[np.bool_], angle: float, scale: float) -> NDArray[np.bool_]:
    """Rotate and scale a bitmap about its rounded centroid, nearest neighbour, on a square centred there."""
    rows, columns = np.nonzero(shape)
    centre_row, centre_column = int(rows.mean() + 0.5), int(columns.mean() + 0.5)
    reach = int(np.ceil(np.hypot(rows - centre_row, columns - centre_column).max() * scale)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    # Where each target pixel comes from: the inverse of x' = scale R x.
    source_row = np.rint((np.cos(angle) * y + np.sin(angle) * x) / scale).astype(int) + centre_row
    source_column = np.rint((-np.sin(angle) * y + np.cos(angle) * x) / scale).astype(int) + centre_column
    inside = (source_row >= 0) & (source_row < shape.shape[0]) & (source_column >= 0) & (source_column < shape.shape[1])
    warped = np.zeros(y.shape, np.bool_)
    warped[inside] = shape[source_row[inside], source_column[inside]]
    return warped
