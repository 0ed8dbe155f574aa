"""The shape bank of a train split as a recipe, and what else a sampler needs to know of it: field, counts, cell size."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.bank import measure
from rbc_lightning.masks.bank.shapes import ShapeBank

BANK, _LAYOUT = "bank.npz", "layout.json"
# Cells that touch a neighbour are left out of the bank as long as so many others are there.
_ENOUGH_SHAPES = 50


class Meaning(Protocol):
    """The part of `data.spec.ImageSpec` that sources of label maps go by."""

    @property
    def labels(self) -> Literal["instances", "classes"]:
        """Whether values of a label map are ids of cells, or classes."""

    @property
    def upright(self) -> bool:
        """Whether up and down differ."""


class LabelMaps(Protocol):
    """Samples seen from here: a `core.recipe.Node` that has label maps."""

    @property
    def key(self) -> str:
        """Hash of the samples."""

    @property
    def spec(self) -> Meaning:
        """What the values of their label maps mean."""

    def __len__(self) -> int: ...

    def label_maps(self) -> list[NDArray[np.int32]]:
        """int32 (H, W) of each sample, 0 = background, 1..n = cells; read anew at every call."""


@dataclass(frozen=True)
class TrainLayout:
    """Measures of the label maps of a train split.

    Attributes:
        height, width: the commonest size, pixels.
        count_mean, count_std: mean number of cells per label map, and its standard deviation.
        cell_size: mean equivalent diameter of the cells off the border, weighted by `measure.border_weights`, pixels.
    """

    height: int
    width: int
    count_mean: float
    count_std: float
    cell_size: float


@dataclass(frozen=True)
class ShapeBankRecipe(Recipe[ShapeBank]):
    """Shapes and layout numbers of the label maps of a train split."""

    kind = "shape_bank"
    format = 4
    title = "shape bank"

    train: LabelMaps

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (the samples lie in no store)
        """Collect the free-standing cells, or all whole cells where those are too few.

        Raises:
            InputError: no cell lies off the border.
        """
        label_maps = self.train.label_maps()
        layout = measure_layout(label_maps)
        bank, every = (ShapeBank.from_label_maps(label_maps, free_standing=alone) for alone in (True, False))
        if len(bank) < _ENOUGH_SHAPES:
            bank = every
        bank.save(directory / BANK)
        write_text(directory / _LAYOUT, json.dumps(asdict(layout), indent=2))
        tell(
            f"Shape bank: {len(bank)} shapes of {len(every)} whole cells; {layout.count_mean:.0f} +- {layout.count_std:.0f} "
            f"cells of {layout.cell_size:.1f} px in {layout.height} x {layout.width}"
        )

    def load(self, directory: Path, store: Store) -> ShapeBank:  # noqa: ARG002 (nothing else is needed)
        """Read the bank."""
        return ShapeBank.load(directory / BANK)

    def layout(self, store: Store) -> TrainLayout:
        """Size, counts and cell size of the samples, made with the bank if need be."""
        return TrainLayout(**json.loads((store.ensure(self) / _LAYOUT).read_text()))


def measure_layout(label_maps: Sequence[NDArray[np.int32]]) -> TrainLayout:
    """Measure label maps, int32 (H, W) with contiguous ids, at least one.

    Raises:
        InputError: no cell lies off the border.
    """
    counts = np.array([int(label_map.max()) for label_map in label_maps], dtype=np.float64)
    diameters: list[float] = []
    weights: list[float] = []
    for label_map in label_maps:
        table = measure.cell_moments(label_map, int(label_map.max()))
        whole = table[measure.lies_inside(table, *label_map.shape)]
        diameters += list(2.0 * np.sqrt(whole[:, measure.AREA] / np.pi))
        weights += list(measure.border_weights(whole, *label_map.shape))
    if not diameters:
        raise InputError(
            "the train split's label maps hold no cell off the border, from which the cell size is measured; expected some: "
            "check labels/"
        )
    height, width = Counter(label_map.shape for label_map in label_maps).most_common(1)[0][0]
    return TrainLayout(height, width, float(counts.mean()), float(counts.std()), float(np.average(diameters, weights=weights)))
