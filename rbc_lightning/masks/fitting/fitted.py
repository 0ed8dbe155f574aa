"""`FittedSampler`: what a fit found, the sampler it makes, and what of it the layouts give without a search."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rbc_lightning.masks.bank.shapes import ShapeBank
from rbc_lightning.masks.sampler.sampler import CountFamily, MaskSampler, Placement, SizeModel
from rbc_lightning.masks.statistics.layout import LayoutStatistics

# Under 1 in 20, the normal and the gamma distribution count as refuted by the images' cell counts.
REFUTED = 0.05


@dataclass(frozen=True)
class FittedSampler:
    """The sampler's values as fitted to a set of label maps; arguments of `MaskSampler` unless said otherwise.

    By default those of Bailo et al. 2019, but cells of their image's size.

    Attributes:
        image_area: pixels of the image that the counts refer to.
        mismatch: root mean square of distance / half-to-half distance over the matched statistics, at the end. Halves have
            half the images, so that about 0.7, not 1, is what chance gives; for the test of a sampler see the layout card.
    """

    image_area: float
    count_mean: float
    count_std: float
    count_family: CountFamily
    count_observed: tuple[float, ...]
    size_model: SizeModel
    cell_size: float
    n_init: int = 20
    kernel_tail: float = 1.0
    uniform_share: float = 0.0
    max_overlap: float = 0.0
    overlap_power: float = 0.0
    lone_acceptance: float = 1.0
    line_share: float = 0.0
    scale_mean: float = 1.0
    scale_std: float = 0.0
    margin: int = 0
    mismatch: float = math.nan

    def build(
        self, bank: ShapeBank, height: int, width: int, placement: Placement = "adhesion", n_colors: int = 8
    ) -> MaskSampler:
        """Make the sampler for masks of some size in pixels; the number of cells goes with the area.

        The placement "uniform" keeps shapes, counts and overlaps, and drops everything that draws cells together.

        Raises:
            ValueError: see `MaskSampler`.
        """
        values = dict(vars(self))
        share = height * width / values.pop("image_area")
        values.pop("mismatch")
        values |= {"count_mean": self.count_mean * share, "count_std": self.count_std * share}
        values["count_observed"] = tuple(n * share for n in self.count_observed)
        if placement == "uniform":
            values["lone_acceptance"] = 1.0
        return MaskSampler(bank, height, width, placement=placement, n_colors=n_colors, **values)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FittedSampler":
        """Read what `asdict` gave, also after a round trip through JSON or YAML."""
        size_model, observed = SizeModel(**values["size_model"]), tuple(values["count_observed"])
        return cls(**{**values, "size_model": size_model, "count_observed": observed})


def starting_point(real: LayoutStatistics, bank: ShapeBank) -> FittedSampler:
    """Set what the layouts and their shapes give without a search: number and size of the cells, and the margin.

    Raises:
        ValueError: the bank is empty.
    """
    if len(bank) == 0:
        raise ValueError("no cell lies wholly inside its image: there is no shape to sample")
    image_area, counts = _counts(real)
    family, observed = choose_family(counts)
    size_model = fit_sizes(real)
    return FittedSampler(
        image_area=image_area,
        count_mean=float(counts.mean()),
        count_std=float(counts.std(ddof=1)) if len(counts) > 1 else 0.0,
        count_family=family,
        count_observed=observed,
        size_model=size_model,
        cell_size=size_model.diameter,
        margin=math.ceil(float(bank.radii().max())),
    )


def choose_family(counts: NDArray[np.float64]) -> tuple[CountFamily, tuple[float, ...]]:
    """Choose the distribution of the number of cells, given that of each image, float64 (n,).

    It is the likelier of normal and gamma, or "empirical", with the counts themselves, if a Kolmogorov-Smirnov test refutes
    both.
    """
    mean, std = float(counts.mean()), float(counts.std())
    if len(counts) < 3 or std == 0:
        return "normal", ()
    # A count of 0 has no gamma density; half a cell stands in for it.
    positive = np.maximum(counts, 0.5)
    families: dict[CountFamily, Any] = {
        "normal": stats.norm(mean, std),
        "gamma": stats.gamma((mean / std) ** 2, scale=std**2 / mean),
    }
    if all(stats.kstest(positive, model.cdf).pvalue < REFUTED for model in families.values()):
        return "empirical", tuple(float(n) for n in counts)
    return max(families, key=lambda name: float(families[name].logpdf(positive).sum())), ()


def fit_sizes(real: LayoutStatistics) -> SizeModel:
    """Regress the log of the images' mean cell diameter on the log of their number of cells per area.

    Images without cells are left out; with fewer than 8 images the slope is 0.
    """
    counts = _counts(real)[1]
    used = counts > 0
    diameter, count = np.log(real.diameters[used]), np.log(counts[used])
    slope = 0.0
    if used.sum() >= 8 and count.std() > 0:
        slope = float(np.polyfit(count, diameter, 1)[0])
    rest = diameter - slope * (count - count.mean())
    return SizeModel(math.exp(diameter.mean()), math.exp(count.mean()), slope, float(rest.std()))


def _counts(real: LayoutStatistics) -> tuple[float, NDArray[np.float64]]:
    """Area of an image, the median one, in pixels, and cells per such an area in each image."""
    area = float(np.median([image.shape[0] * image.shape[1] for image in real.images]))
    return area, real.densities * area / 1e6
