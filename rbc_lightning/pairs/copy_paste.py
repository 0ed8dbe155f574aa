"""Real training images with cells of other ones pasted in: pairs without a generator (Ghiasi et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.data.augment.copy_paste import CopyPaste, CopyPasteSettings
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.pairs.base import Pair, PairSource

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store


@dataclass(frozen=True, kw_only=True)
class CopyPastePairs(CopyPasteSettings, PairSource):
    """A training image drawn by the seed, with cells of others pasted in; an `InputError` refuses values out of range."""

    p: float = field(default=1.0, init=False, repr=False, metadata={"decides": False})  # every pair is pasted into

    def __post_init__(self) -> None:
        with blaming("pairs"):
            super().__post_init__()
        if any(sample.spec.labels == "classes" for sample in self.train.samples):
            raise InputError("pairs=copy_paste cuts out single cells, and these label maps hold classes; take pairs=translated")

    def open(self, store: Store) -> Callable[[int], Pair]:  # noqa: ARG002 (the samples lie in no store)
        """See `PairSource`; cuts out the cells of all training images first."""
        samples = self.train.samples
        paste = CopyPaste(samples, self, self.seed)

        def draw(index: int) -> Pair:
            host_seed, paste_seed = pair_seeds(self.seed, index)
            host = samples[int(np.random.default_rng(host_seed).integers(len(samples)))]
            return Pair(*paste(host.load_image(), host.load_label_map(), int(paste_seed.generate_state(1)[0])))

        return draw
