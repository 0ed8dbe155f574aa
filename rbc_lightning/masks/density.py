"""How many cells an image holds and how large they are there, drawn anew for every mask."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

CountFamily = Literal["normal", "gamma", "empirical"]


@dataclass(frozen=True)
class CountModel:
    """Distribution of the number of cells in one image.

    Args:
        mean: mean number of cells, above 0.
        std: standard deviation.
        family: "normal" is S3's; "gamma" has that mean and deviation and no weight below 0; "empirical" draws one of
            ``observed``.
        observed: numbers of cells seen, for "empirical"; they need not be whole.

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
