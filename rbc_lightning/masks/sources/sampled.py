"""`SampledMasks`: layouts sampled anew, and the settings of their sampler."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rbc_lightning.core.recipe import Node
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.masks.bank.recipe import BANK, ShapeBankRecipe
from rbc_lightning.masks.fitting.search import LayoutFitRecipe
from rbc_lightning.masks.sampler.sampler import MaskSampler
from rbc_lightning.masks.sources.base import Draw, LabelMapSource

CROWDED = "sampler=adhesion with a smaller sampler.count_mean, or a larger sampler.max_overlap, makes room"
"""What to do about cells that found no place."""

# With `sampler.fitted` these come from the fit.
_FITTED = ("count_mean", "count_std", "cell_size", "n_init", "max_overlap")
_SEARCH = ("generations", "population")
_BESIDE_THE_FIT = ("height", "width", "placement", "n_colors")
# Bailo et al. 2019, Sec. 5.1 start 20 of 669 cells uniformly; smaller fields keep the share.
_PAPER_INIT_SHARE = 20 / 669


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """The configuration group `sampler`: arguments of `MaskSampler`, None where measured on the train split, and of the fit.

    Args:
        placement, height, width, count_mean, count_std, cell_size, n_colors: see `MaskSampler`.
        n_init: cells placed uniformly at first; None for 3 % of the mean count.
        max_overlap: None for 0.
        fitted: fit all values but size, placement and n_colors to the train split.
        generations, population: rounds of the fit, and candidates per round.

    Raises:
        InputError: a value is refused.
    """

    placement: Literal["adhesion", "uniform"] = "adhesion"
    height: int | None = None
    width: int | None = None
    count_mean: float | None = None
    count_std: float | None = None
    cell_size: float | None = None
    n_init: int | None = None
    n_colors: int = 8
    max_overlap: float | None = None
    fitted: bool = False
    generations: int = 10
    population: int = 24

    def __post_init__(self) -> None:
        check_count("sampler.generations", self.generations, 0)
        check_count("sampler.population", self.population, 4)
        check_count("sampler.n_colors", self.n_colors, 2)
        if self.placement not in ("adhesion", "uniform"):
            raise InputError(f"sampler.placement={self.placement}; expected one of adhesion, uniform")
        set_by_hand = [name for name in _FITTED if getattr(self, name) is not None]
        if self.fitted and set_by_hand:
            raise InputError(
                f"sampler.{set_by_hand[0]}={getattr(self, set_by_hand[0])} is a value that the fitted sampler chooses itself; "
                "take sampler=adhesion to set it by hand"
            )

    def decisive(self) -> dict[str, Any]:
        """The values that have an effect."""
        values = {**asdict(self), "max_overlap": self.max_overlap or 0.0}
        without = [*_SEARCH, *(_FITTED if self.fitted else ())]
        if self.placement == "uniform":
            without += ["cell_size", "n_init"]
        return {name: value for name, value in values.items() if name not in without}


@dataclass(frozen=True, kw_only=True)
class SampledMasks(LabelMapSource):
    """Layouts sampled anew from the shapes of the train split (Bailo et al. 2019, Sec. 4.1)."""

    format = 5

    sampler: SamplerSettings = SamplerSettings()

    def __post_init__(self) -> None:
        if self.train.spec.labels == "classes":
            raise InputError("masks=sampled lays out single cells, and these label maps hold classes; take masks=real")

    @property
    def bank(self) -> ShapeBankRecipe:
        """Shapes and measured values."""
        return ShapeBankRecipe(self.train)

    @property
    def fitted(self) -> LayoutFitRecipe | None:
        """The fit, where the values come from one."""
        if not self.sampler.fitted:
            return None
        return LayoutFitRecipe(self.bank, self.sampler.generations, self.sampler.population, self.seed)

    def settings(self) -> dict[str, Any]:
        """Without the seed, which decides the fit alone."""
        return {"source": type(self).__name__, "sampler": self.sampler.decisive()}

    def inputs(self) -> dict[str, Node]:
        """Bank and fit."""
        return {"bank": self.bank, **({"fit": self.fitted} if self.fitted else {})}

    def values(self, store: Store) -> dict[str, Any]:
        """Arguments of `MaskSampler` without a fit: the settings, and the train split's where those are None."""
        of_a_fit = ("fitted", *_SEARCH)
        chosen = {key: value for key, value in asdict(self.sampler).items() if key not in of_a_fit and value is not None}
        values = {"max_overlap": 0.0, **asdict(self.bank.layout(store)), **chosen}
        return {"n_init": max(1, round(_PAPER_INIT_SHARE * values["count_mean"])), **values}

    def open(self, store: Store) -> Draw:
        """`MaskSampler.sample`, bank and fit made first.

        Raises:
            InputError: a value is refused, or there is too little to fit.
        """
        bank, values = store.make(self.bank), self.values(store)
        fitted = store.make(self.fitted) if self.fitted else None
        with blaming("sampler"):
            if fitted is not None:
                return fitted.build(bank, **{key: values[key] for key in _BESIDE_THE_FIT}).sample
            return MaskSampler(bank, **values).sample

    def about(self, store: Store) -> str:
        """Number of shapes, and their file."""
        return f"{len(store.make(self.bank))} shapes in {store.path(self.bank) / BANK}"
