"""A label-map source: rings of discs around a centre."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rbc_lightning.core.seeds import Seed
from rbc_lightning.core.store import Store
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sources import LabelMapSource


@dataclass(frozen=True, kw_only=True)
class Rosette(LabelMapSource):
    """Discs on a circle, as cells stick to one in their middle.

    Args:
        petals: discs on the circle.
        radius: of a disc, pixels.
    """

    petals: int = 5
    radius: int = 9

    def open(self, store: Store) -> Callable[[Seed], SampledMask]:
        height, width = self.train.label_maps()[0].shape
        rows, columns = np.mgrid[:height, :width]

        def draw(seed: Seed, count: int | None = None) -> SampledMask:
            turn = np.random.default_rng(seed).uniform(0, 2 * np.pi)
            label_map = np.zeros((height, width), dtype=np.int32)
            for petal in range(count or self.petals):
                angle = turn + 2 * np.pi * petal / (count or self.petals)
                row, column = height / 2 + 25 * np.sin(angle), width / 2 + 25 * np.cos(angle)
                label_map[np.hypot(rows - row, columns - column) <= self.radius] = petal + 1
            return SampledMask.from_label_map(label_map)

        return draw
