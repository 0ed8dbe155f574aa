"""The loss of generated images of held-out masks: what `translator.choose=validation` chooses checkpoints by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Node
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.lineage import Ancestor
from rbc_lightning.data.manifest import Samples
from rbc_lightning.masks import SampledMask

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.translators.base import Translator

# Beside the seeds of previews and of measured images.
_STREAM = 2


@dataclass(frozen=True, kw_only=True)
class LossChooser(Node):
    """Chooses by the L1 of every validation image's mask, painted as pairs are: Novoselov and Smirnov 2024 keep what lowers it.

    Their loss has the adversarial part beside it, which is a hundredth of the weight and depends on the discriminator of the
    day.
    """

    kind = "held_out_loss"

    val: Samples
    style: str
    seed: int

    @property
    def chosen_on(self) -> tuple[Ancestor, ...]:
        """The samples that have a say: all of validation."""
        return self.val.ancestors

    def open(self, store: Store) -> LossChooser:  # noqa: ARG002 (nothing is made first)
        """Ready as it is."""
        return self

    def score(self, translator: Translator) -> float:
        """Minus the mean absolute difference of generated and real images, in [-1, 1] units: the higher the better."""
        seed, spec, losses = derive_seed(self.seed, "preview"), self.val.spec, []
        with count_progress("Painting validation masks", len(self.val)) as advance:
            for index, sample in enumerate(self.val):
                mask = SampledMask.from_label_map(sample.load_label_map(), spec.labels)
                own = np.random.SeedSequence([seed, _STREAM, index])
                painted = to_unit(translator.paint_sampled(mask, own, self.style, index), spec)
                losses.append(2 * np.abs(painted - to_unit(sample.load_image(), spec)).mean())
                advance(index + 1, len(self.val))
        return -float(np.mean(losses))
