"""A reader: pairs made in memory, two fluorescence channels of 16 bit, several images of each donor."""

from dataclasses import dataclass

import numpy as np

from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import ImageSpec

SPEC = ImageSpec(channels=("membrane", "nucleus"), value_range=(0, 65535), objects="bright")


@dataclass(frozen=True, kw_only=True)
class FluorescenceReader(Reader):
    """Bright discs on a dark ground, uint16 (side, side, 2).

    Args:
        donors: each gives two images; the last one is the test split.
        side: pixels.
    """

    donors: int = 4
    side: int = 96

    def read(self, store: Store) -> Manifest:
        samples = []
        for number in range(2 * self.donors):
            image, label_map = self._draw(np.random.default_rng(number))
            donor = number // 2
            pair = ArrayPair(image, label_map, f"field {number}")
            split = "test" if donor == self.donors - 1 else "train"
            samples.append(Sample(f"field_{number}", split, f"donor_{donor}", *pair.sha256, pair, spec=SPEC))
        return Manifest(tuple(samples))

    def _draw(self, rng):
        rows, columns = np.mgrid[: self.side, : self.side]
        label_map, image = np.zeros((self.side, self.side), np.int32), np.full((self.side, self.side, 2), 1500.0)
        step = self.side // 3
        for cell in range(9):
            row, column = (step * (place + 0.5) + rng.uniform(-3, 3) for place in divmod(cell, 3))
            distance, radius = np.hypot(rows - row, columns - column), rng.uniform(9, 13)
            label_map[distance < radius] = cell + 1
            image[distance < radius, 0] = 20000 + 4000 * rng.normal()
            image[distance < radius / 2, 1] = 40000 + 4000 * rng.normal()
        image += rng.normal(0, 400, image.shape)
        return image.clip(0, 65535).astype(np.uint16), label_map
