"""Fit number and mean size of the cells per image, which the images tell without a search."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rbc_lightning.masks.density import CountFamily, SizeModel
from rbc_lightning.masks.layout import LayoutStatistics

# Under 1 in 20, the normal and the gamma distribution count as refuted by the images' cell counts.
REFUTED = 0.05


def choose_family(counts: NDArray[np.float64]) -> tuple[CountFamily, tuple[float, ...]]:
    """Choose the distribution of the number of cells: the likelier of normal and gamma, or the counts themselves.

    Args:
        counts: float64 (n,), cells per image.

    Returns:
        The family, and the observed counts if it is "empirical": that is, if a Kolmogorov-Smirnov test refutes both.
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

    Args:
        real: the layouts; images without cells are left out.

    Returns:
        The model; with fewer than 8 images the slope is 0.
    """
    counts = real.densities * np.median([image.shape[0] * image.shape[1] for image in real.images]) / 1e6
    used = counts > 0
    diameter, count = np.log(real.diameters[used]), np.log(counts[used])
    slope = 0.0
    if used.sum() >= 8 and count.std() > 0:
        slope = float(np.polyfit(count, diameter, 1)[0])
    rest = diameter - slope * (count - count.mean())
    return SizeModel(math.exp(diameter.mean()), math.exp(count.mean()), slope, float(rest.std()))
