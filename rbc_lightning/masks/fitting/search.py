"""Fit the sampler's free values to real label maps, so that its layouts match theirs; the fit as a recipe."""

import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Recipe, Work
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.store import Store
from rbc_lightning.errors import blaming
from rbc_lightning.masks.bank.recipe import ShapeBankRecipe
from rbc_lightning.masks.bank.shapes import ShapeBank
from rbc_lightning.masks.fitting.fitted import FittedSampler, starting_point
from rbc_lightning.masks.statistics.compare import STATISTICS, distances, half_distances
from rbc_lightning.masks.statistics.layout import ImageLayout, LayoutStatistics

_FITTED = "fitted.json"

# What the search matches; number and size of the cells are set directly.
MATCHED = (
    "area (px)",
    "axis ratio",
    "nearest neighbour (diameters)",
    "touching share",
    "abutting share",
    "cluster size",
    "g(r)",
)

# Free values of the search with their range; cell_size in mean cell diameters.
RANGES = {
    "cell_size": (0.6, 1.6),
    "n_init": (1.0, 20.0),
    "kernel_tail": (0.1, 1.0),
    "uniform_share": (0.0, 1.0),
    "max_overlap": (0.0, 0.85),
    "overlap_power": (0.0, 6.0),
    "lone_acceptance": (0.05, 1.0),
    "line_share": (0.0, 1.0),
    "scale_mean": (0.95, 1.2),
    "scale_std": (0.0, 0.08),
}


@dataclass(frozen=True)
class LayoutFitRecipe(Recipe[FittedSampler]):
    """The sampler's values fitted to the layouts that a bank's shapes come from; `seed` is `masks.seed`."""

    kind = "layout_fit"
    format = 2
    title = "fit of the sampler"

    bank: ShapeBankRecipe
    generations: int
    population: int
    seed: int

    def build(self, directory: Path, store: Store) -> None:
        """Search on all cores.

        Raises:
            InputError: too few images or cells.
        """
        tell(f"Fitting the sampler to the train split: {self.generations} rounds of {self.population}")
        with blaming("sampler"):
            fitted = fit_sampler(
                self.bank.train.label_maps(),
                generations=self.generations,
                population=self.population,
                seed=derive_seed(self.seed, "layout"),
                workers=os.cpu_count() or 1,
                bank=store.make(self.bank),
            )
        write_text(directory / _FITTED, json.dumps(asdict(fitted), indent=2))

    def load(self, directory: Path, store: Store) -> FittedSampler:  # noqa: ARG002 (nothing else is needed)
        """Read the values."""
        return FittedSampler.from_dict(json.loads((directory / _FITTED).read_text()))

    def work(self) -> Work:
        """One mask for each training image and candidate, and one more round for the best."""
        n_train = len(self.bank.train)
        return Work((self.generations * self.population + 1) * n_train, "masks", {"images": n_train})


def fit_sampler(
    label_maps: Sequence[NDArray[np.integer]],
    generations: int = 10,
    population: int = 24,
    seed: int = 0,
    workers: int = 1,
    bank: ShapeBank | None = None,
) -> FittedSampler:
    """Choose the sampler's values by simulation, such that sampled layouts differ from the real as little as can be.

    The number of cells per image and their mean size follow from the images directly. For the rest, the cross-entropy
    method draws candidates, lets each sample one mask for every real image, with that image's number and size of cells,
    and measures the mean square of distance / half-to-half distance over `MATCHED`; the best quarter of a generation
    gives the mean and spread of the next. A generation shares its seeds, which leaves little noise between candidates.
    0 generations keep the starting point; the result does not depend on ``workers``, the number of threads.

    ``label_maps``, integer (H, W), are those of the train split; the sampler will use the shapes of ``bank``, by default
    all their whole cells.

    Raises:
        ValueError: fewer than 2 images with cells, no whole cell, or a population below 4.
    """
    if population < 4:
        raise ValueError(f"population must be at least 4, got {population}")
    measured = LayoutStatistics.from_label_maps(label_maps)
    with_cells = np.flatnonzero(measured.counts)
    if len(with_cells) < 2:
        raise ValueError(f"fitting needs at least 2 images with cells, got {len(with_cells)}")
    real = measured.subset(with_cells)
    bank = ShapeBank.from_label_maps(label_maps) if bank is None else bank
    search = _Search(real, bank, starting_point(measured, bank), _units(real), seed, workers)
    low, high = np.array(list(RANGES.values())).T
    # The start is a mild version of what real smears show; the spread covers a quarter of every range.
    mean, spread = np.array([1.0, 5, 0.7, 0.5, 0.5, 3, 0.6, 0.6, 1.02, 0.02]), (high - low) / 4
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    elite = population // 4
    weights = np.log(elite + 1) - np.log(np.arange(1, elite + 1))
    weights /= weights.sum()
    for generation in range(generations):
        candidates = np.clip(mean + spread * rng.standard_normal((population, len(mean))), low, high)
        candidates[0] = mean
        scores = [search.mismatch(search.candidate(values), generation) for values in candidates]
        best = candidates[np.argsort(scores)[:elite]]
        mean = weights @ best
        # A part of the old spread is kept, against settling too early on lucky candidates.
        spread = 0.3 * spread + 0.7 * np.sqrt(weights @ (best - mean) ** 2)
    fitted = search.candidate(mean)
    return replace(fitted, mismatch=math.sqrt(search.mismatch(fitted, generations)))


@dataclass(frozen=True)
class _Search:
    """What every candidate of the search is measured with."""

    real: LayoutStatistics
    bank: ShapeBank
    start: FittedSampler
    units: dict[str, float]
    seed: int
    workers: int

    def candidate(self, values: NDArray[np.float64]) -> FittedSampler:
        """Name the values of a point of the search space."""
        named: dict[str, Any] = dict(zip(RANGES, (float(value) for value in values), strict=True))
        named["cell_size"] *= self.start.size_model.diameter
        named["n_init"] = round(named["n_init"])
        return replace(self.start, **named)

    def sample(self, fitted: FittedSampler, generation: int) -> LayoutStatistics:
        """Sample and measure one mask per real image, with its number and size of cells."""
        samplers = {shape: fitted.build(self.bank, *shape) for shape in {image.shape for image in self.real.images}}

        def draw(index: int) -> ImageLayout:
            image = self.real.images[index]
            seed = np.random.SeedSequence([self.seed, generation + 1, index])
            mask = samplers[image.shape].sample(seed, len(image.centers), image.diameter)
            return ImageLayout.from_label_map(mask.label_map)

        with ThreadPoolExecutor(self.workers) as pool:
            return LayoutStatistics(tuple(pool.map(draw, range(len(self.real)))))

    def mismatch(self, fitted: FittedSampler, generation: int) -> float:
        """Mean square of distance / half-to-half distance over the matched statistics."""
        apart = distances(self.sample(fitted, generation), self.real)
        ratios = [apart[name] / self.units[name] for name in MATCHED if name in self.units and math.isfinite(apart[name])]
        return float(np.mean(np.square(ratios))) if ratios else math.inf


def _units(real: LayoutStatistics) -> dict[str, float]:
    """Half-to-half distances, kept off zero for tiny sets whose halves happen to agree."""
    halves = half_distances(real, n_splits=50)
    sizes = {name: abs(summary(real)) for name, (summary, _) in STATISTICS.items()}
    # NaN where the images are too sparse to have the statistic: it then takes no part in the fit.
    return {name: max(half, 0.01 * sizes[name], 1e-3) for name, half in halves.items() if math.isfinite(half)}
