"""How the voxels of a volume become axial slices of one orientation and spacing, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """Axial slices of a volume: from the lowest up, rows from front to back, columns from the patient's right to left.

    Slices follow the axis of the volume that is nearest to up, whatever the order and direction of its storage; nothing is
    turned by less than 90 degrees, so that an oblique scan keeps its own planes.

    Args:
        shape: of the volume, (x, y, z).
        affine: float64 (4, 4), voxel indices to mm.
        side: rows and columns of a slice; None for as many as the volume has.
        wanted: mm between pixels; None for those of the volume.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    side: int | None
    wanted: float | None

    @classmethod
    def of(
        cls, shape: tuple[int, ...], affine: NDArray[np.float64], side: int | None = None, spacing: float | None = None
    ) -> SliceGrid:
        """The grid of slices; the middle of a slice is that of the volume."""
        return cls(tuple(shape), affine, side, spacing)

    @property
    def depth(self) -> int:
        """Number of slices."""
        return self._native[0]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        rows, columns = self._axes
        return rows.n_out, columns.n_out

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance between rows and between columns, mm."""
        rows, columns = self._axes
        return rows.spacing, columns.spacing

    @property
    def thickness(self) -> float:
        """Distance between slices, mm."""
        return self._voxel[0]

    @property
    def is_whole(self) -> bool:
        """Whether the slices show all of the volume."""
        return all(axis.start < 0.5 and axis.start + (axis.n_out - 1) * axis.step > axis.n_in - 1.5 for axis in self._axes)

    @property
    def resamples(self) -> bool:
        """Whether pixels are other than voxels, not only a part of them or more."""
        return any(not axis.exact for axis in self._axes)

    def to_slices(self, array: NDArray[Any], order: Literal[0, 1]) -> NDArray[Any]:
        """The slices (depth, rows, columns) of a volume.

        Args:
            array: (x, y, z).
            order: 0 for the nearest voxel, in the array's own type; 1 for a linear mean over the width of a pixel, or
                between voxels where pixels are smaller, float32. What lies outside of the volume is 0.
        """
        native = apply_orientation(array, self._transform).transpose(2, 1, 0)
        rows, columns = self._axes
        if order == 0 or not self.resamples:
            taken = columns.take(rows.take(native, 1), 2)
            return taken if order == 0 else taken.astype(np.float32)
        return np.asarray(rows.weights @ native.astype(np.float32) @ columns.weights.T)

    def to_volume(self, slices: NDArray[Any]) -> NDArray[Any]:
        """The volume (x, y, z) of slices (depth, rows, columns), in the slices' type, 0 where they do not reach.

        Integers, which are labels, are taken from the nearest pixel; other numbers are interpolated.
        """
        rows, columns = (axis.inverse() for axis in self._axes)
        if slices.dtype.kind == "f" and self.resamples:
            native = np.asarray(rows.weights @ slices.astype(np.float32) @ columns.weights.T, dtype=slices.dtype)
        else:
            native = columns.take(rows.take(slices, 1), 2)
        back = ornt_transform(axcodes2ornt("LPS"), io_orientation(self.affine))
        return np.ascontiguousarray(apply_orientation(native.transpose(2, 1, 0), back))

    @cached_property
    def _transform(self) -> NDArray[np.float64]:
        return np.asarray(ornt_transform(io_orientation(self.affine), axcodes2ornt("LPS")))

    @cached_property
    def _turned(self) -> NDArray[np.float64]:
        """The affine of the volume with axes left, back, up."""
        return np.asarray(self.affine @ inv_ornt_aff(self._transform, self.shape))

    @cached_property
    def _native(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the volume itself."""
        depth, rows, columns = apply_orientation(np.empty(self.shape, dtype=np.bool_), self._transform).transpose(2, 1, 0).shape
        return depth, rows, columns

    @cached_property
    def _voxel(self) -> tuple[float, float, float]:
        """Distances between slices, rows and columns of the volume itself, mm."""
        right, back, up = np.linalg.norm(self._turned[:3, :3], axis=0).tolist()
        return up, back, right

    @cached_property
    def _axes(self) -> tuple[_Axis, _Axis]:
        rows, columns = (
            _Axis.of(n, spacing, self.side, self.wanted) for n, spacing in zip(self._native[1:], self._voxel[1:], strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class _Axis:
    """Pixels along a line of voxels: pixel i lies at voxel `start + i * step`."""

    n_in: int
    n_out: int
    start: float
    step: float
    spacing: float  # mm between pixels

    @classmethod
    def of(cls, n_in: int, voxel: float, side: int | None, spacing: float | None) -> _Axis:
        step = 1.0 if spacing is None else spacing / voxel
        n_out = side or max(1, round(n_in / step))
        if abs(step - 1) * max(n_in, n_out) < 0.5:
            # Less than half a voxel at the ends together: voxels as they are, rather than blurred.
            n_out = side or n_in
            return cls(n_in, n_out, float((n_in - n_out) // 2), 1.0, voxel)
        return cls(n_in, n_out, ((n_in - 1) - (n_out - 1) * step) / 2, step, step * voxel)

    @property
    def exact(self) -> bool:
        """Whether pixels are voxels."""
        return self.step == 1

    def inverse(self) -> _Axis:
        """Voxels along the line of pixels."""
        return _Axis(self.n_out, self.n_in, -self.start / self.step, 1 / self.step, self.spacing / self.step)

    def take(self, array: NDArray[Any], axis: int) -> NDArray[Any]:
        """The nearest voxel of every pixel along an axis, 0 outside."""
        nearest = np.floor(self.start + self.step * np.arange(self.n_out) + 0.5).astype(np.int64)
        inside = (nearest >= 0) & (nearest < self.n_in)
        shape = [1] * array.ndim
        shape[axis] = self.n_out
        taken = np.take(array, np.clip(nearest, 0, self.n_in - 1), axis=axis)
        return np.asarray(np.where(inside.reshape(shape), taken, array.dtype.type(0)))

    @cached_property
    def weights(self) -> Floats:
        """Shares (n_out, n_in) of voxels in pixels: triangles as wide as the larger of both; shares outside are lost."""
        width = max(1.0, self.step)
        margin = int(np.ceil(width)) + 1
        centres = self.start + self.step * np.arange(self.n_out)
        # The sum over all voxels that a triangle touches, were the line endless.
        around = np.floor(centres)[:, None] + np.arange(-margin, margin + 1)
        total = np.maximum(0, 1 - np.abs(around - centres[:, None]) / width).sum(axis=1, keepdims=True)
        shares = np.maximum(0, 1 - np.abs(np.arange(self.n_in) - centres[:, None]) / width)
        return np.asarray(shares / total, dtype=np.float32)
