"""The grids of a phantom head, smooth random fields on them, and what distances of simple bodies are made of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.float32]
"""(X, Y, Z) on one of the grids, or what broadcasts to it; distances are in mm and negative inside."""

STEP = 2.5  # mm between the nodes on which shapes are described; they are smooth, so that finer voxels are interpolated
LOW, HIGH = (-95.0, -117.5, -82.5), (95.0, 117.5, 95.0)  # mm: the nodes' box, x to the right, y to the front, z up


@dataclass(frozen=True)
class Grid:
    """Positions of voxels in mm along the three axes: `x`, `y`, `z`, all float32 (n,)."""

    x: Field
    y: Field
    z: Field

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return len(self.x), len(self.y), len(self.z)

    @cached_property
    def positions(self) -> tuple[Field, Field, Field]:
        """x, y, z as arrays that broadcast to the grid's shape."""
        return self.x[:, None, None], self.y[None, :, None], self.z[None, None, :]

    def spread(self, nodes: Field) -> Field:
        """A field given on `NODES`, at this grid's voxels: by cubic convolution along each axis, float32 `self.shape`."""
        out = nodes @ _weights(self.z, NODES.z).T
        out = np.matmul(_weights(self.y, NODES.y), out)
        return np.asarray(np.tensordot(_weights(self.x, NODES.x), out, axes=1), dtype=np.float32)


def _axis(low: float, high: float) -> Field:
    return np.arange(low, high + STEP / 2, STEP, dtype=np.float32)


NODES = Grid(*(_axis(low, high) for low, high in zip(LOW, HIGH, strict=True)))


def _weights(positions: Field, nodes: Field) -> Field:
    """Catmull-Rom weights (positions, nodes); beyond the nodes the last one counts."""
    distance = np.abs(np.clip(positions, nodes[0], nodes[-1])[:, None] - nodes[None]) / np.float32(STEP)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def noise(rng: np.random.Generator, length: float) -> Field:
    """A smooth random field on `NODES`, of mean 0 and deviation 1; `length` is the sigma of its smoothing in mm."""
    white = rng.standard_normal(NODES.shape, dtype=np.float32)
    smooth = gaussian_filter(white, length / STEP, mode="wrap", truncate=3)
    return np.asarray((smooth - smooth.mean()) / smooth.std(), dtype=np.float32)


def ellipsoid(
    position: tuple[Field, Field, Field],
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    power: float = 2,
) -> Field:
    """About the distance from an ellipsoid's surface, mm; a `power` above 2 makes it squarer."""
    parts = ((np.abs(p - c) / r) ** power for p, c, r in zip(position, centre, radii, strict=True))
    scaled = sum(parts) ** (1 / power)
    # Along the ray from the centre the surface lies at 1; the mean radius there turns it into mm.
    away = np.sqrt(sum((p - c) ** 2 for p, c in zip(position, centre, strict=True)))
    return np.asarray((scaled - 1) * np.maximum(away, 1) / np.maximum(scaled, 1e-3), dtype=np.float32)


def tube(
    position: tuple[Field, Field, Field],
    points: NDArray[np.float64],
    radii: NDArray[np.float64],
    scale: tuple[float, float, float],
) -> Field:
    """About the distance from a bent tube, mm.

    Args:
        position: x, y, z.
        points: its course (n, 3), mm.
        radii: (n,), mm.
        scale: above 1 it is narrower along that axis.
    """
    nearest: Field | None = None
    for start, end, first, last in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        step = (end - start) * np.array(scale)
        offset = [(p - s) * k for p, s, k in zip(position, start, scale, strict=True)]
        along = np.clip(sum(o * d for o, d in zip(offset, step, strict=True)) / (step @ step), 0, 1)
        away = np.sqrt(sum((o - along * d) ** 2 for o, d in zip(offset, step, strict=True)))
        distance = away - (first + (last - first) * along)
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return np.asarray(nearest, dtype=np.float32)
