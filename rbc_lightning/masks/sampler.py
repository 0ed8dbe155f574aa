"""`MaskSampler`: new cell layouts as label maps and colour masks (S3 section 4.1)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks import adhesion, kernels, raster
from rbc_lightning.masks.shapes import ShapeBank

Placement = Literal["adhesion", "uniform"]


@dataclass(frozen=True)
class SampledMask:
    """One sampled layout.

    Attributes:
        label_map: int32 (H, W), 0 = background, 1..n = cells in the order of placing, contiguous.
        colors: uint8 (H, W), palette index 1..n_colors, 0 = background; cells that touch never share one.
        centers: int64 (n, 2), row and column of each cell's location l_i.
        shape_index: int32 (n,), which shape of the bank each cell is.
        asked: how many cells were to be placed.
        by_fallback: how many found a place only by the uniform last resort.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    centers: NDArray[np.int64]
    shape_index: NDArray[np.int32]
    asked: int
    by_fallback: int

    @property
    def placed(self) -> int:
        """How many cells are in the mask."""
        return len(self.centers)

    @property
    def not_placed(self) -> int:
        """How many cells found no place."""
        return self.asked - self.placed


class MaskSampler:
    """Draw instance masks as S3 section 4.1 does, without ever building the probability map.

    P(i) is a weighted mean of one z per placed cell, so a draw from it is a placed cell by its weight, then an offset
    from the lattice table of z. A place that is occupied, or has no colour left, is drawn again as a whole. After
    ``tries_per_shape`` draws the cell gets a new shape, after ``shapes_per_cell`` shapes ``uniform_tries`` places
    anywhere, and then is given up and counted in `SampledMask.not_placed`.

    Args:
        bank: cell shapes.
        height: mask height in pixels.
        width: mask width in pixels.
        count_mean: mean number of cells; n ~ Norm(count_mean, count_std), rounded, at least 1.
        count_std: its standard deviation.
        cell_size: cell diameter in pixels, the radius at which z peaks.
        n_init: cells placed uniformly at first.
        n_colors: palette size, 1..255.
        placement: "adhesion", or "uniform" for S3's baseline.
        max_overlap: share of a cell that may lie over or under others.
        exact_mean: a_i = 1/(i-1) instead of the printed 1/i.
        rotate: turn every cell by a uniform angle.
        flip: mirror every cell along each axis with probability 1/2.
        scale_std: every cell's scale ~ Norm(1, scale_std), clipped to ``scale_range``; 5/46 is S3's Table 1.
        scale_range: smallest and largest scale.
        tries_per_shape: places drawn before the shape is changed.
        shapes_per_cell: shapes drawn before the uniform last resort.
        uniform_tries: places drawn uniformly before a cell is given up.

    Raises:
        ValueError: an empty bank, a shape larger than the mask, or a number out of its range.
    """

    def __init__(
        self,
        bank: ShapeBank,
        height: int,
        width: int,
        count_mean: float,
        count_std: float,
        cell_size: float,
        n_init: int = 20,
        n_colors: int = 8,
        placement: Placement = "adhesion",
        max_overlap: float = 0.0,
        *,
        exact_mean: bool = False,
        rotate: bool = True,
        flip: bool = True,
        scale_std: float = 5 / 46,
        scale_range: tuple[float, float] = (0.8, 1.2),
        tries_per_shape: int = 1000,
        shapes_per_cell: int = 3,
        uniform_tries: int = 1000,
    ) -> None:
        _check_numbers(count_mean=count_mean, count_std=count_std, scale_std=scale_std)
        _check_bank(bank, height, width)
        self.bank = bank
        self.height, self.width = height, width
        self.count_mean, self.count_std = count_mean, count_std
        self.max_overlap = max_overlap
        self._table = adhesion.offset_table(adhesion.lattice_kernel(cell_size))
        self._reach = math.ceil(float(bank.radii().max()) * scale_range[1]) + 1
        self._recipe = kernels.Recipe(
            n_init,
            placement == "adhesion",
            exact_mean,
            n_colors,
            rotate,
            flip,
            scale_std,
            *scale_range,
            tries_per_shape,
            shapes_per_cell,
            uniform_tries,
        )

    def sample(self, seed: int | np.random.SeedSequence, count: int | None = None) -> SampledMask:
        """Draw one mask, a function of the seed (and count) alone.

        Args:
            seed: any non-negative integer, or a seed sequence.
            count: number of cells; drawn from the count distribution if None. 0 gives an empty mask.

        Returns:
            The mask, with a report of what could not be placed.

        Raises:
            ValueError: a negative seed or count.
        """
        rng = np.random.default_rng(seed)
        if count is None:
            count = max(1, round(rng.normal(self.count_mean, self.count_std)))
        if count < 0:
            raise ValueError(f"count must be at least 0, got {count}")
        brush = raster.new_brush(self._reach)
        canvas = kernels.new_canvas(self.height, self.width, count, self._recipe.n_colors, self._reach)
        kernels.place_cells(
            rng, count, self.bank.vertices, self.bank.starts, self._table, self._recipe, brush, canvas
        )
        placed = int(canvas.report[kernels.PLACED])
        return SampledMask(
            canvas.label_map,
            canvas.colors,
            canvas.centers[:placed].copy(),
            canvas.shape_index[:placed].copy(),
            count,
            int(canvas.report[kernels.FALLBACK]),
        )


def _check_numbers(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number >= 0, got {value}")


def _check_bank(bank: ShapeBank, height: int, width: int) -> None:
    if len(bank) == 0:
        raise ValueError("the shape bank is empty: no cell of the label maps lies wholly inside its image")
    extents = bank.extents()
    largest = extents.max(axis=0)
    if largest[0] > height or largest[1] > width:
        raise ValueError(
            f"the shape bank holds cells up to {largest[0]} x {largest[1]} pixels, larger than the {height} x {width} "
            "mask; sample larger masks or keep smaller shapes with bank.select(...)"
        )
