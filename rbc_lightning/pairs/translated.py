"""Pairs of a label map and the image that a translator makes of it (Bailo et al. 2019, Sec. 4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.seeds import Seed, pair_seeds
from rbc_lightning.data.lineage import Ancestor, refuse_held_out
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sources import LabelMapSource
from rbc_lightning.pairs.base import Pair, PairSource
from rbc_lightning.translators.base import TranslatorRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from rbc_lightning.core.store import Store
    from rbc_lightning.data.datamodule import Paint
    from rbc_lightning.data.stream import DrawLabelMap


@dataclass(frozen=True, kw_only=True)
class TranslatedPairs(PairSource):
    """Label maps of `masks`, translated into images by `translator`.

    Args:
        style: how styles are drawn, "per_image", "per_cell", "cluster:<number>" or "source:<number>", else an `InputError`;
            without effect on translators that have none.
    """

    masks: LabelMapSource
    translator: TranslatorRecipe
    style: str = "per_image"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"per_image|per_cell|(cluster|source):\d+", self.style):
            raise InputError(f"synthetic.style={self.style}; expected per_image, per_cell, cluster:<number> or source:<number>")
        kind, _, number = self.style.partition(":")
        # A translator that is given does not say how many there are before it is loaded.
        n_clusters = getattr(self.translator, "n_clusters", math.inf)
        if kind == "cluster" and int(number) >= n_clusters:
            raise InputError(
                f"synthetic.style={self.style}; expected one of cluster:0 to cluster:{n_clusters - 1} "
                f"(translator.n_clusters={n_clusters})"
            )

    def settings(self) -> dict[str, Any]:
        """Without the style where the translator has none."""
        found = super().settings()
        if not self.translator.has_styles:
            del found["style"]
        return found

    def open(self, store: Store) -> Callable[[int], Pair]:
        """See `PairSource`."""
        draw_mask, translator = self.masks.open(store), store.make(self.translator)

        def draw(index: int) -> Pair:
            mask_seed, image_seed = pair_seeds(self.seed, index)
            mask = draw_mask(mask_seed)
            return Pair(translator.paint_sampled(mask, image_seed, self.style, index), mask.label_map, mask.not_placed)

        return draw

    def online(self, store: Store, manifest: Manifest) -> tuple[DrawLabelMap, Paint]:
        """See `PairSource`."""
        import torch

        self.refuse_held_out(store, manifest)
        translator, device = store.make(self.translator), self.translator.trainer.device

        def paint(label_maps: Tensor, seeds: Sequence[int]) -> Tensor:
            with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
                return translator.paint_batch(label_maps, seeds, self.style)

        return partial(_draw_label_map, self.masks.open(store)), paint

    def trained_on(self, store: Store) -> tuple[Ancestor, ...]:
        """The training samples, those of the translator, which may have had others, and label maps from elsewhere."""
        return tuple(sorted({*self.train.ancestors, *self.translator.trained_on(store), *self._label_maps}))

    @property
    def _label_maps(self) -> tuple[Ancestor, ...]:
        return tuple(Ancestor(name, "", sha256) for name, sha256 in self.masks.foreign_label_maps().items())

    def refuse_held_out(self, store: Store, manifest: Manifest) -> None:
        """See `PairSource`; also a translator whose checkpoint was chosen on test samples."""
        refuse_held_out(manifest.samples, "the source of label maps", self._label_maps)
        self.translator.refuse_held_out(manifest)
        where = getattr(self.translator, "path", store.path(self.translator))
        refuse_held_out(manifest.samples, f"the translator in {where}", self.translator.trained_on(store))

    def batch_sizes(self) -> dict[str, int]:
        """Those of the translator."""
        return self.translator.batch_sizes()

    @property
    def translator_key(self) -> str:
        """Of the translator."""
        return self.translator.key


def _draw_label_map(draw: Callable[[Seed], SampledMask], seed: np.random.SeedSequence) -> NDArray[np.int32]:
    return draw(seed).label_map  # in a function of the module, which loader processes can be sent
