"""A pair source: training pairs mirrored, the first half of one beside the second half of another."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rbc_lightning.core.label_files import make_contiguous
from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.core.store import Store
from rbc_lightning.pairs.base import Pair, PairSource


@dataclass(frozen=True, kw_only=True)
class Halves(PairSource):
    """Left half of one training pair, right half of another; needs neither label maps nor a translator.

    Args:
        mirror: top to bottom as well, half of the time.
    """

    mirror: bool = True

    def open(self, store: Store) -> Callable[[int], Pair]:
        pairs = [(sample.load_image(), sample.load_label_map()) for sample in self.train]

        def make(index: int) -> Pair:
            rng = np.random.default_rng(pair_seeds(self.seed, index)[0])
            (left, left_ids), (right, right_ids) = (pairs[i] for i in rng.integers(len(pairs), size=2))
            half = left_ids.shape[1] // 2
            image = np.concatenate([left[:, :half], right[:, half:]], axis=1)
            other = np.where(right_ids > 0, right_ids + left_ids.max(), 0)
            label_map = make_contiguous(np.concatenate([left_ids[:, :half], other[:, half:]], axis=1).astype(np.int32))
            if self.mirror and rng.random() < 0.5:
                image, label_map = np.flipud(image).copy(), np.flipud(label_map).copy()
            return Pair(image, label_map)

        return make
