"""`MaskSampler`: new cell layouts as label maps and colour masks (Bailo et al. 2019, Sec. 4.1)."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np

from rbc_lightning.core.seeds import Seed
from rbc_lightning.masks.bank.shapes import ShapeBank
from rbc_lightning.masks.sampler import adhesion, kernels, raster
from rbc_lightning.masks.sampler.canvas import CELLS, FALLBACK, PLACES_TRIED, Placing, new_canvas
from rbc_lightning.masks.sampler.sampled import SampledMask

Placement = Literal["adhesion", "uniform"]
CountFamily = Literal["normal", "gamma", "empirical"]

# Smallest and largest value.
_RANGES = {
    (1, 255): ("n_colors",),
    (1, math.inf): ("height", "width", "n_init", "tries_per_shape", "shapes_per_cell"),
    (0, math.inf): ("scale_std", "uniform_tries", "margin"),
    (0, 1): ("uniform_share", "lone_acceptance", "line_share"),
    (0, 0.9): ("max_overlap",),
    (0, 20): ("overlap_power",),
}


@dataclass(frozen=True)
class CountModel:
    """Distribution of the number of cells in one image, with some mean and standard deviation.

    Args:
        mean, std: of the number.
        family: "normal" is that of Bailo et al. 2019; "gamma" has the same mean and deviation and no weight below 0;
            "empirical" draws one of ``observed``.
        observed: numbers of cells seen, which need not be whole.

    Raises:
        ValueError: a number that is not finite or out of its range, or an unknown family.
    """

    mean: float
    std: float
    family: CountFamily = "normal"
    observed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.mean > 0):
            raise ValueError(f"count_mean must be a finite number > 0, got {self.mean}")
        if not (math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"count_std must be a finite number >= 0, got {self.std}")
        if self.family not in ("normal", "gamma", "empirical"):
            raise ValueError(f"expected the count family normal, gamma or empirical, got {self.family!r}")
        if self.family == "empirical" and not (self.observed and all(0 <= n < math.inf for n in self.observed)):
            raise ValueError(f"the empirical count family needs observed counts, finite and >= 0, got {self.observed}")

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a number of cells, rounded, at least 1."""
        if self.family == "empirical":
            value = self.observed[int(rng.integers(len(self.observed)))]
        elif self.std == 0:
            value = self.mean
        elif self.family == "gamma":
            value = rng.gamma((self.mean / self.std) ** 2, self.std**2 / self.mean)
        else:
            value = rng.normal(self.mean, self.std)
        return max(1, round(float(value)))


@dataclass(frozen=True)
class SizeModel:
    """Mean cell diameter of an image: log d ~ Norm(log(diameter) + slope * log(n / count), spread).

    Args:
        diameter: geometric mean of the images' mean cell diameters, in pixels.
        count: the number of cells that goes with it.
        slope: change of log diameter per log count; crowded images tend to hold smaller cells.
        spread: deviation of the log diameter that is left.

    Raises:
        ValueError: a number that is not finite or out of its range.
    """

    diameter: float
    count: float
    slope: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        positive = math.isfinite(self.diameter) and self.diameter > 0 and math.isfinite(self.count) and self.count > 0
        if not (positive and math.isfinite(self.slope) and math.isfinite(self.spread) and self.spread >= 0):
            raise ValueError(f"expected a positive diameter and count, a finite slope and a spread >= 0, got {self}")

    def draw(self, rng: np.random.Generator, count: int) -> float:
        """Draw the mean diameter in pixels of an image with ``count`` cells; at most 2.5 deviations off."""
        deviation = min(max(float(rng.normal()), -2.5), 2.5)
        return self.diameter * math.exp(self.slope * math.log(max(count, 1) / self.count) + self.spread * deviation)


@dataclass(eq=False, repr=False)
class MaskSampler:
    """Draw instance masks as Bailo et al. 2019, Sec. 4.1 do, without ever building the probability map.

    P(i) is a weighted mean of one z per placed cell, so a draw from it is a placed cell by its weight, then an offset
    from the lattice table of z. A place that is occupied, or has no colour left, is drawn again as a whole. After
    ``tries_per_shape`` draws the cell gets a new shape, after ``shapes_per_cell`` shapes ``uniform_tries`` places
    anywhere, and then is given up and counted in `SampledMask.not_placed`.

    The defaults are the paper's; arguments from ``count_family`` on widen it, and `fitting.search.fit_sampler` chooses them.

    Args:
        height, width: of the mask, in pixels.
        count_mean, count_std: of the number of cells; n ~ Norm(count_mean, count_std), rounded, at least 1.
        cell_size: cell diameter in pixels, the radius at which z peaks.
        n_init: cells placed uniformly at first.
        n_colors: palette size, 1..255.
        placement: "adhesion", or "uniform" for the paper's baseline.
        max_overlap: largest share of a cell that may lie under others. A new cell that meets others within it goes above
            or below all of them with equal chance; what stays visible of a cell is always one 4-connected piece.
        exact_mean: a_i = 1/(i-1) instead of the printed 1/i.
        rotate: turn every cell by a uniform angle.
        flip: mirror every cell along each axis with probability 1/2.
        scale_std: every cell's scale ~ Norm(scale_mean, scale_std), clipped; 5/46 is the paper's Table 1.
        scale_range: smallest and largest scale.
        count_family: distribution of the number of cells, see `CountModel`.
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

    bank: ShapeBank
    height: int
    width: int
    count_mean: float
    count_std: float
    cell_size: float
    n_init: int = 20
    n_colors: int = 8
    placement: Placement = "adhesion"
    max_overlap: float = 0.0
    _: KW_ONLY
    exact_mean: bool = False
    rotate: bool = True
    flip: bool = True
    scale_std: float = 5 / 46
    scale_range: tuple[float, float] = (0.8, 1.2)
    count_family: CountFamily = "normal"
    count_observed: tuple[float, ...] = ()
    size_model: SizeModel | None = None
    scale_mean: float = 1.0
    overlap_power: float = 0.0
    kernel_tail: float = 1.0
    uniform_share: float = 0.0
    lone_acceptance: float = 1.0
    line_share: float = 0.0
    margin: int = 0
    tries_per_shape: int = 1000
    shapes_per_cell: int = 3
    uniform_tries: int = 1000

    def __post_init__(self) -> None:
        if self.placement not in ("adhesion", "uniform"):
            raise ValueError(f"expected placement adhesion or uniform, got {self.placement!r}")
        for (low, high), names in _RANGES.items():
            _check_range(low, high, **{name: getattr(self, name) for name in names})
        smallest, largest = self.scale_range
        _check_range(0.1, 10, smallest_scale=smallest, largest_scale=largest)
        _check_range(smallest, largest, scale_mean=self.scale_mean)
        if len(self.bank) == 0:
            raise ValueError("the shape bank is empty: no cell of the label maps lies wholly inside its image")
        rows, columns = self.bank.extents().max(axis=0)
        if rows > self.height or columns > self.width:
            raise ValueError(
                f"the shape bank holds cells up to {rows} x {columns} pixels, larger than the {self.height} x {self.width} "
                "mask; sample larger masks or keep smaller shapes with bank.select(...)"
            )
        self.count_model = CountModel(self.count_mean, self.count_std, self.count_family, self.count_observed)
        self._radii, self._cumulative = self.bank.radii(), self.bank.cumulative_weights()
        self._table = adhesion.offset_table(adhesion.lattice_kernel(self.cell_size, self.kernel_tail))
        numbers = {**vars(self), "adhesion": self.placement == "adhesion", "scale_min": smallest, "scale_max": largest}
        self._placing = Placing(**{name: kind(numbers[name]) for name, kind in Placing.__annotations__.items()})

    def sample(self, seed: Seed, count: int | None = None, diameter: float | None = None) -> SampledMask:
        """Draw one mask, a function of the arguments alone.

        Args:
            seed: any integer >= 0, or a seed sequence.
            count: number of cells; drawn from the count distribution if None. 0 gives an empty mask.
            diameter: mean cell diameter in pixels; by the size model, or the shapes as they are, if None.

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
        reach = math.ceil(float((self._radii * sizes).max()) * self._placing.scale_max) + 1
        canvas = new_canvas(self.height, self.width, asked, self.n_colors, reach, self._placing.margin)
        brushes = raster.new_brush(reach), raster.new_brush(reach)
        shapes = self.bank.vertices, self.bank.starts, sizes, self._cumulative
        kernels.place_cells(rng, asked, *shapes, self._table, self._placing, *brushes, canvas)
        kept = np.flatnonzero(canvas.labels[: canvas.report[CELLS]])
        z_order = np.argsort(np.argsort(canvas.height[: len(kept)]))
        centers, shape_index, poses = canvas.centers[kept], canvas.shape_index[kept], canvas.poses[kept]
        counts = asked, int(canvas.report[FALLBACK]), int(canvas.report[PLACES_TRIED])
        return SampledMask(canvas.label_map, canvas.colors, centers, z_order, shape_index, poses, *counts)


def _check_range(low: float, high: float, **numbers: float) -> None:
    """Refuse numbers outside [low, high], NaN among them."""
    for name, value in numbers.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value}")
