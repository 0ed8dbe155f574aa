"""`RealMasks`: the train split's own label maps, moved, turned, mirrored and bent; cells stay whole, classes as they are."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rbc_lightning.core.label_files import make_contiguous
from rbc_lightning.core.seeds import Seed
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.bank.measure import largest_pieces
from rbc_lightning.masks.sampler.sampled import SampledMask
from rbc_lightning.masks.sources.base import Draw, LabelMapSource

Border = Literal["cyclic", "mirrored"]
Floats = NDArray[np.float64]

_MOST_STRAIN = 0.25
_UPRIGHT_TURN = 10.0  # degrees, largest of what has an up and a down
_SIDE_SHARE = 0.1  # of the shorter side of a map of classes, which stands for the mean cell diameter


@dataclass(frozen=True, kw_only=True)
class RealMasks(LabelMapSource):
    """The train split's own label maps, each draw one of them moved, turned, mirrored and bent at random; no sampler.

    Of upright images none is moved or mirrored upside down, and none turned by more than 10 degrees. The bend of classes is
    counted in tenths of the map's shorter side in place of mean cell diameters.

    Args:
        move: "cyclic" or "mirrored": by any distance, with the opposite side, or its own mirror image, coming in at the
            border; "none" not at all.
        turn: largest angle to either side in degrees; what comes in at the corners is as `move` says, mirrored for "none".
        mirror: mirror rows and columns with probability 1/2 each.
        bend: standard deviation of a smooth displacement along rows and along columns, in mean cell diameters; 0 for none.
        bend_length: over which the displacement changes, in mean cell diameters.

    Raises:
        InputError: a value is refused.
    """

    move: Literal["cyclic", "mirrored", "none"] = "mirrored"
    turn: float = 180.0
    mirror: bool = True
    bend: float = 0.1
    bend_length: float = 2.0

    def __post_init__(self) -> None:
        if self.move not in ("cyclic", "mirrored", "none"):
            raise InputError(f"masks.move={self.move}; expected one of cyclic, mirrored, none")
        if not 0 <= self.turn <= 180:
            raise InputError(f"masks.turn={self.turn}; expected an angle from 0 (none) to 180 degrees (any)")
        if not 0 <= self.bend <= _MOST_STRAIN * self.bend_length:
            raise InputError(
                f"masks.bend={self.bend}; expected a number from 0 (off) to a quarter of masks.bend_length={self.bend_length}, "
                "beyond which cells fold over"
            )

    def settings(self) -> dict[str, Any]:
        """Without the seed: each draw brings its own."""
        without = ("seed",) if self.bend else ("seed", "bend_length")
        found = {name: value for name, value in super().settings().items() if name not in without}
        return found | ({"move": self._move, "turn": self._turn} if self.train.spec.upright else {})

    @property
    def _move(self) -> str:
        return "none" if self.train.spec.upright else self.move

    @property
    def _turn(self) -> float:
        return min(self.turn, _UPRIGHT_TURN) if self.train.spec.upright else self.turn

    def open(self, store: Store) -> Draw:  # noqa: ARG002 (the label maps lie in no store)
        """Read the label maps.

        Raises:
            InputError: there is no cell in them.
        """
        label_maps = self.train.label_maps()
        areas = np.concatenate([np.bincount(label_map.ravel())[1:] for label_map in label_maps])
        if not areas.any():
            raise InputError("the train split's label maps hold no cell; expected some: check labels/, or take another masks=")
        if self.train.spec.labels == "classes":
            return partial(self._draw, label_maps, _SIDE_SHARE * min(map(min, (each.shape for each in label_maps))))
        return partial(self._draw, label_maps, float(np.sqrt(4 * areas[areas > 0] / np.pi).mean()))

    def _draw(self, label_maps: list[NDArray[np.int32]], diameter: float, seed: Seed) -> SampledMask:
        rng = np.random.default_rng(seed)
        label_map = label_maps[int(rng.integers(len(label_maps)))]
        height, width = label_map.shape
        row, column, turn, *flips = rng.random(5)
        bend = None
        if self.bend:
            bend = smooth_displacement(rng, height, width, self.bend * diameter, max(1.0, self.bend_length * diameter))
        spec = self.train.spec
        moved = warp_label_map(
            label_map,
            shift=(0, 0) if self._move == "none" else (int(row * height), int(column * width)),
            angle=float(np.deg2rad(self._turn * (2 * turn - 1))),
            flips=(bool(self.mirror and not spec.upright and flips[0] < 0.5), bool(self.mirror and flips[1] < 0.5)),
            bend=bend,
            border="cyclic" if self._move == "cyclic" else "mirrored",
            labelled=spec.labels,
        )
        return SampledMask.from_label_map(moved, spec.labels)


def warp_label_map(
    label_map: NDArray[np.int32],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    angle: float = 0.0,
    flips: tuple[bool, bool] = (False, False),
    bend: tuple[Floats, Floats] | None = None,
    border: Border = "mirrored",
    labelled: Literal["instances", "classes"] = "instances",
) -> NDArray[np.int32]:
    """Move, turn, mirror and bend a label map; its size is kept.

    Pixel p of the result is what lies at A (p + bend(p) - c) + c + shift, c being the centre and A the mirrored turn; bend is
    float64 (H, W) along rows and columns, lengths are pixels and angles radians. Beyond the border the plane is tiled by
    copies of the map, of the same hand ("cyclic") or each the mirror image of the next ("mirrored"); each copy of a cell
    becomes a cell, of which the largest 4-connected piece inside the frame is kept. Values of classes are kept as they are.

    Returns:
        int32 (H, W), ids contiguous in raster order, each of one piece.
    """
    height, width = label_map.shape
    centre_row, centre_column = (height - 1) / 2, (width - 1) / 2
    y = np.arange(height, dtype=np.float64)[:, None] - centre_row
    x = np.arange(width, dtype=np.float64)[None, :] - centre_column
    if bend is not None:
        y, x = y + bend[0], x + bend[1]
    cosine, sine = math.cos(angle), math.sin(angle)
    signs = [-1.0 if flip else 1.0 for flip in flips]
    rows = signs[0] * (cosine * y - sine * x) + centre_row + shift[0]
    columns = signs[1] * (sine * y + cosine * x) + centre_column + shift[1]
    (row_tiles, row), (column_tiles, column) = _tiled(rows, height, border), _tiled(columns, width, border)
    labels = label_map[row, column]
    if labelled == "classes":
        return labels
    # One id for each cell of each copy of the map.
    across = int(column_tiles.max() - column_tiles.min()) + 1
    tile = (row_tiles - row_tiles.min()) * across + column_tiles - column_tiles.min()
    copies = np.where(labels > 0, tile * (int(label_map.max()) + 1) + labels, 0)
    numbers = make_contiguous(np.ascontiguousarray(copies, dtype=np.int32))
    return largest_pieces(numbers, int(numbers.max()))


def smooth_displacement(
    rng: np.random.Generator, height: int, width: int, amplitude: float, length: float
) -> tuple[Floats, Floats]:
    """Draw a smooth random field of displacements: cubic B-splines over independent normal values on a lattice.

    ``amplitude`` is the standard deviation of either component, the same everywhere, ``length`` the spacing of the lattice,
    both in pixels. Returns the displacements along rows and along columns, float64 (height, width).
    """
    down, across = _splines(height, length), _splines(width, length)
    row, column = (amplitude * (across @ (down @ rng.standard_normal((down.shape[1], across.shape[1]))).T).T for _ in range(2))
    return row, column


def _tiled(places: Floats, size: int, border: Border) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the copy in which each place lies, and the nearest index inside it."""
    tile, index = np.divmod(np.floor(places + 0.5).astype(np.int64), size)
    return tile, np.where(tile % 2 == 1, size - 1 - index, index) if border == "mirrored" else index


def _splines(size: int, length: float) -> csr_array:
    """Weights (size, knots) of the four cubic B-splines around every pixel, their squares adding up to 1."""
    first, t = np.divmod(np.arange(size) / length, 1.0)
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    knots = first.astype(np.int64)[:, None] + np.arange(4)
    rows = np.repeat(np.arange(size), 4)
    return csr_array((weights.ravel(), (rows, knots.ravel())), shape=(size, int(knots.max()) + 1))
