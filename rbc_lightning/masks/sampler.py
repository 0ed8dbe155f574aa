"""`MaskSampler`: new cell layouts as label maps and colour masks (S3 section 4.1)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks import adhesion, kernels, raster
from rbc_lightning.masks.canvas import CELLS, FALLBACK, PLACES_TRIED, Canvas, Recipe, new_canvas
from rbc_lightning.masks.density import CountFamily, CountModel, SizeModel
from rbc_lightning.masks.shapes import ShapeBank

Placement = Literal["adhesion", "uniform"]


@dataclass(frozen=True)
class SampledMask:
    """One sampled layout.

    Attributes:
        label_map: int32 (H, W), 0 = background, 1..n = cells in the order of placing, contiguous.
        colors: uint8 (H, W), palette index 1..n_colors, 0 = background; cells that touch never share one.
        centers: int64 (n, 2), row and column of each cell's location l_i.
        z_order: int64 (n,), 0 = lowest; where cells overlap, the higher one is seen.
        shape_index: int32 (n,), which shape of the bank each cell is.
        poses: float64 (n, 2, 2), how it was turned, flipped and scaled: the shape's point q, row and column from its centre
            in pixels, lies at centers[i] + poses[i] @ q. What belongs to a shape can so be drawn in the same place.
        asked: how many cells were to be placed.
        by_fallback: how many found a place only by the uniform last resort.
        places_tried: how many places were drawn in all.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    centers: NDArray[np.int64]
    z_order: NDArray[np.int64]
    shape_index: NDArray[np.int32]
    poses: NDArray[np.float64]
    asked: int
    by_fallback: int
    places_tried: int

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

    With the defaults this is S3; the arguments from ``count_family`` on widen it, and `fit.fit_sampler` chooses them.

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
        max_overlap: largest share of a cell that may lie under others. A new cell that meets others within it goes above
            or below all of them with equal chance; what stays visible of a cell is always one 4-connected piece.
        exact_mean: a_i = 1/(i-1) instead of the printed 1/i.
        rotate: turn every cell by a uniform angle.
        flip: mirror every cell along each axis with probability 1/2.
        scale_std: every cell's scale ~ Norm(scale_mean, scale_std), clipped; 5/46 is S3's Table 1.
        scale_range: smallest and largest scale.
        count_family: distribution of the number of cells, see `density.CountModel`.
        count_observed: numbers of cells to draw from, for "empirical".
        size_model: draws each image's mean cell size; None takes the shapes as they are.
        scale_mean: mean of the scale.
        overlap_power: each cell's allowance is max_overlap u^overlap_power, u uniform in [0, 1]; 0 allows all the same.
        kernel_tail: stretch of z beyond ``cell_size``, (0, 1], see `adhesion.excitation`.
        uniform_share: share of places drawn uniformly instead of from P(i).
        lone_acceptance: probability of accepting a place where the cell touches no other.
        line_share: share of cells drawn on top with a line of background one pixel wide around them, as annotators do.
        margin: pixels around the image in which cells may be centred, so that some show only in part as in a real field
            of view; P(i) then spans image and margin, and the count is of the cells that show.
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
        count_family: CountFamily = "normal",
        count_observed: tuple[float, ...] = (),
        size_model: SizeModel | None = None,
        scale_mean: float = 1.0,
        overlap_power: float = 0.0,
        kernel_tail: float = 1.0,
        uniform_share: float = 0.0,
        lone_acceptance: float = 1.0,
        line_share: float = 0.0,
        margin: int = 0,
        tries_per_shape: int = 1000,
        shapes_per_cell: int = 3,
        uniform_tries: int = 1000,
    ) -> None:
        if placement not in ("adhesion", "uniform"):
            raise ValueError(f"expected placement adhesion or uniform, got {placement!r}")
        _check_range(1, 255, n_colors=n_colors)
        _check_range(1, math.inf, height=height, width=width, n_init=n_init)
        _check_range(1, math.inf, tries_per_shape=tries_per_shape, shapes_per_cell=shapes_per_cell)
        _check_range(0, math.inf, scale_std=scale_std, uniform_tries=uniform_tries, margin=margin)
        _check_range(0, 1, uniform_share=uniform_share, lone_acceptance=lone_acceptance, line_share=line_share)
        _check_range(0, 0.9, max_overlap=max_overlap)
        _check_range(0, 20, overlap_power=overlap_power)
        _check_range(0.1, 10, smallest_scale=scale_range[0], largest_scale=scale_range[1])
        _check_range(scale_range[0], scale_range[1], scale_mean=scale_mean)
        _check_bank(bank, height, width)
        self.bank, self.height, self.width, self.n_colors = bank, height, width, n_colors
        self.count_model = CountModel(count_mean, count_std, count_family, count_observed)
        self.size_model = size_model
        self._radii = bank.radii()
        self._table = adhesion.offset_table(adhesion.lattice_kernel(cell_size, kernel_tail))
        self._recipe = Recipe(
            n_init=n_init,
            adhesion=placement == "adhesion",
            exact_mean=exact_mean,
            max_overlap=float(max_overlap),
            overlap_power=float(overlap_power),
            rotate=rotate,
            flip=flip,
            scale_mean=float(scale_mean),
            scale_std=float(scale_std),
            scale_min=float(scale_range[0]),
            scale_max=float(scale_range[1]),
            uniform_share=float(uniform_share),
            lone_acceptance=float(lone_acceptance),
            line_share=float(line_share),
            tries_per_shape=tries_per_shape,
            shapes_per_cell=shapes_per_cell,
            uniform_tries=uniform_tries,
            margin=margin,
        )

    def sample(
        self, seed: int | np.random.SeedSequence, count: int | None = None, diameter: float | None = None
    ) -> SampledMask:
        """Draw one mask, a function of the arguments alone.

        Args:
            seed: any integer >= 0, or a seed sequence.
            count: number of cells; drawn from the count distribution if None. 0 gives an empty mask.
            diameter: mean cell diameter in pixels; by the size model, or the shapes as they are, if None.

        Returns:
            The mask, with a report of what could not be placed.

        Raises:
            ValueError: a negative seed or count, or a diameter that is not positive.
        """
        if diameter is not None and not 0 < diameter < math.inf:
            raise ValueError(f"diameter must be a finite number of pixels > 0, got {diameter}")
        if count is not None and count < 0:
            raise ValueError(f"count must be at least 0, got {count}")
        rng = np.random.default_rng(seed)
        asked = self.count_model.draw(rng) if count is None else int(count)
        if diameter is None and self.size_model is not None:
            diameter = self.size_model.draw(rng, asked)
        sizes = np.ones(len(self.bank)) if diameter is None else diameter / self.bank.image_diameters.astype(np.float64)
        reach = math.ceil(float((self._radii * sizes).max()) * self._recipe.scale_max) + 1
        canvas = new_canvas(self.height, self.width, asked, self.n_colors, reach, self._recipe.margin)
        kernels.place_cells(
            rng,
            asked,
            self.bank.vertices,
            self.bank.starts,
            sizes,
            self._table,
            self._recipe,
            raster.new_brush(reach),
            raster.new_brush(reach),
            canvas,
        )
        return _finish(canvas, asked)


def _finish(canvas: Canvas, asked: int) -> SampledMask:
    """Cut the arrays of the canvas to the cells that were placed."""
    cells = int(canvas.report[CELLS])
    shown = canvas.labels[:cells] > 0
    placed = int(shown.sum())
    z_order = np.empty(placed, np.int64)
    z_order[np.argsort(canvas.height[:placed])] = np.arange(placed)
    return SampledMask(
        canvas.label_map,
        canvas.colors,
        canvas.centers[:cells][shown],
        z_order,
        canvas.shape_index[:cells][shown],
        canvas.poses[:cells][shown],
        asked,
        int(canvas.report[FALLBACK]),
        int(canvas.report[PLACES_TRIED]),
    )


def _check_range(low: float, high: float, **numbers: float) -> None:
    """Refuse numbers outside [low, high], NaN among them."""
    for name, value in numbers.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value}")


def _check_bank(bank: ShapeBank, height: int, width: int) -> None:
    """Refuse a bank without shapes, or with one that does not fit into the mask."""
    if len(bank) == 0:
        raise ValueError("the shape bank is empty: no cell of the label maps lies wholly inside its image")
    largest = bank.extents().max(axis=0)
    if largest[0] > height or largest[1] > width:
        raise ValueError(
            f"the shape bank holds cells up to {largest[0]} x {largest[1]} pixels, larger than the {height} x {width} "
            "mask; sample larger masks or keep smaller shapes with bank.select(...)"
        )
