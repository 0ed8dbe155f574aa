"""White matter lesions of one subject: how much, how many, how large, where, how long; sizes in mm and ml."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue
from rbc_lightning.data.readers.brain_phantom.fields import Field, Grid, noise

# Of 30 patients (Lesjak et al. 2017): logarithms of total ml and number, and their correlation.
LOG_ML, LOG_COUNT, CORRELATION = (2.14, 1.47), (4.30, 0.91), 0.76
LEAST_ML, MOST_ML = 0.33, 52.6
LOG_SIZE = (-4.04, 1.70)  # ml of one lesion
LOG_DISTANCE = (np.log(7.2), 0.66)  # mm of lesion voxels from the ventricles
CONFLUENT = 0.5  # ml of a part of a confluent lesion
TISSUES = (Tissue.WHITE, Tissue.RIM, Tissue.DEEP, Tissue.PALLIDUM)


@dataclass(frozen=True)
class Lesions:
    """Lesions at the voxels of a grid, float32 (X, Y, Z) each."""

    share: Field  # of a voxel that is lesion, 0 to 1
    strength: Field  # their contrast relative to the scan's, about 1; where there is none, 0

    @classmethod
    def none(cls, grid: Grid) -> "Lesions":
        """A brain without a lesion."""
        return cls(*np.zeros((2, *grid.shape), dtype=np.float32))


def draw_load(rng: np.random.Generator, log_ml: tuple[float, float]) -> tuple[float, int]:
    """Total volume in ml and number of lesions of one subject."""
    ml = float(np.clip(np.exp(rng.normal(*log_ml)), LEAST_ML, MOST_ML))
    standing = (np.log(ml) - LOG_ML[0]) / LOG_ML[1]
    spread = LOG_COUNT[1] * np.sqrt(1 - CORRELATION**2)
    count = np.exp(LOG_COUNT[0] + CORRELATION * LOG_COUNT[1] * standing + rng.normal(0, spread))
    return ml, round(float(np.clip(count, 10, 420)))


def draw_lesions(
    rng: np.random.Generator, tissues: NDArray[np.uint8], distance: Field, grid: Grid, log_ml: tuple[float, float] = LOG_ML
) -> Lesions:
    """Lesions in white and deep grey matter: single ones, then parts of confluent ones until the load is reached.

    Args:
        rng: of this subject's lesions.
        tissues: uint8 (X, Y, Z), see `Tissue`.
        distance: of each voxel from the ventricles, mm.
        grid: the voxels' positions.
        log_ml: mean and deviation of the logarithm of the load in ml.
    """
    ml, count = draw_load(rng, log_ml)
    canvas = _Canvas(rng, tissues, grid)
    places = _Places(rng, tissues, distance, grid)
    sizes = np.exp(rng.normal(*LOG_SIZE, count)).clip(max=2.5)
    for size in sizes:
        if canvas.ml >= ml:
            break
        canvas.draw(places.one(), min(float(size), ml - canvas.ml + 0.01), rng)
    centre = places.one()
    for part in range(2000):
        if canvas.ml >= ml:
            break
        # A confluent lesion grows along the ventricle for a while, then another begins.
        centre = places.one() if part % 12 == 0 or rng.random() < 0.12 else places.beside(centre)
        canvas.draw(centre, min(CONFLUENT * float(rng.uniform(0.3, 1.5)), ml - canvas.ml + 0.01), rng)
    return Lesions(canvas.share, canvas.strength)


class _Places:
    """Where lesions may lie: voxels of white and deep grey matter in order of their distance from the ventricles."""

    def __init__(self, rng: np.random.Generator, tissues: NDArray[np.uint8], distance: Field, grid: Grid) -> None:
        found = np.flatnonzero(np.isin(tissues, (Tissue.WHITE, Tissue.RIM)))
        found = rng.choice(found, min(len(found), 20000), replace=False, shuffle=False)
        found = found[np.argsort(distance.ravel()[found], kind="stable")]
        index = np.unravel_index(found, grid.shape)
        self._points = np.stack([axis[i] for axis, i in zip((grid.x, grid.y, grid.z), index, strict=True)], axis=1)
        self._distance = distance.ravel()[found]
        self._rng = rng

    def one(self) -> NDArray[np.float32]:
        wanted = np.exp(self._rng.normal(*LOG_DISTANCE))
        low, high = np.searchsorted(self._distance, [0.93 * wanted - 0.3, 1.07 * wanted + 0.3])
        low = min(int(low), len(self._distance) - 2)
        point: NDArray[np.float32] = self._points[self._rng.integers(low, max(int(high), low + 1))]
        return point

    def beside(self, centre: NDArray[np.float32]) -> NDArray[np.float32]:
        """Another place nearby, not much further from the ventricles."""
        away = np.linalg.norm(self._points - centre, axis=1)
        near = np.flatnonzero((away < 7) & (self._distance < 9 + 4 * self._rng.random()))
        return self._points[self._rng.choice(near)] if len(near) else self.one()


class _Canvas:
    """Draws ellipsoids with uneven borders, and keeps account of their volume."""

    def __init__(self, rng: np.random.Generator, tissues: NDArray[np.uint8], grid: Grid) -> None:
        self._grid, self._allowed = grid, np.isin(tissues, TISSUES)
        self._rough = grid.spread(noise(rng, 2.2))
        self._axes = (grid.x, grid.y, grid.z)
        self._voxel = float(np.prod([axis[1] - axis[0] for axis in self._axes])) / 1000
        self.share = np.zeros(grid.shape, dtype=np.float32)
        self.strength = np.zeros(grid.shape, dtype=np.float32)
        self.ml = 0.0

    def draw(self, centre: NDArray[np.float32], ml: float, rng: np.random.Generator) -> None:
        radius = (3 * 1000 * ml / (4 * np.pi)) ** (1 / 3)
        ratio = float(np.exp(np.clip(rng.normal(0.45, 0.3), 0, 1.2)))
        # Long away from the ventricles: outwards in the axial plane, more or less.
        outward = centre / np.array([1.0, 1.6, 2.5]) * np.array([1, 1, 0.6]) + rng.normal(0, 6, 3)
        outward /= np.linalg.norm(outward) + 1e-6
        reach = radius * ratio ** (2 / 3) * 1.5 + 1
        box = tuple(slice(*np.searchsorted(axis, [c - reach, c + reach])) for axis, c in zip(self._axes, centre, strict=True))
        if any(part.start >= part.stop for part in box):
            return
        x, y, z = np.ix_(*(axis[part] - c for axis, part, c in zip(self._axes, box, centre, strict=True)))
        along = x * outward[0] + y * outward[1] + z * outward[2]
        square = x**2 + y**2 + z**2
        short, long = radius * ratio ** (-1 / 3), radius * ratio ** (2 / 3)
        away = np.sqrt((square - along**2).clip(0) / short**2 + along**2 / long**2) * (1 + 0.22 * self._rough[box])
        share = np.clip((1 - away) * short / 1.6 + 0.5, 0, 1) * self._allowed[box]
        strength = float(np.exp(rng.normal(0, 0.11))) * (0.92 + 0.15 * np.clip(1 - away, 0, 1))
        before = self.share[box]
        self.ml += float(np.maximum(share - before, 0).sum()) * self._voxel
        self.strength[box] = np.where(share > before, strength, self.strength[box])
        self.share[box] = np.maximum(share, before)
