"""`PairSource`: whatever makes pairs of image and label map; the configuration group `pairs`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.recipe import Node
from rbc_lightning.data.lineage import Ancestor, refuse_held_out
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import Image, LabelMap
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.datamodule import Paint
    from rbc_lightning.data.stream import DrawLabelMap


@dataclass(frozen=True)
class Pair:
    """A synthetic image (H, W, C), of the training images' kind, its label map, and how many objects found no place in it."""

    image: NDArray[np.unsignedinteger[Any]]
    label_map: NDArray[np.int32]
    not_placed: int = 0


@dataclass(frozen=True)
class RealView:
    """A real pair that synthetic ones are compared with: a sample, what lies around in its label map, or a part of it."""

    sample: Sample
    cut: Callable[[Image, LabelMap], tuple[Image, LabelMap]] | None = None

    def load(self) -> tuple[Image, LabelMap]:
        """Image (H, W, C) and label map int32 (H, W)."""
        pair = self.sample.load_image(), self.sample.load_label_map()
        return pair if self.cut is None else self.cut(*pair)


@dataclass(frozen=True, kw_only=True)
class PairSource(Node):
    """Makes pair number i of an endless sequence that follows from settings, inputs and seed.

    A subclass is a frozen dataclass that overrides `open`. Of `masks` (a `LabelMapSource`), `translator` (a
    `TranslatorRecipe`) and `style` it is given those that it has fields for.
    """

    kind: ClassVar[str] = "pairs"

    train: Samples  # real ones; pairs are of their kind, context in their label maps or not
    seed: int  # of the pairs; `core.seeds.pair_seeds` derives those of pair i

    @abstractmethod
    def open(self, store: Store) -> Callable[[int], Pair]:
        """A function that makes pair number i, which depends on i alone; `store` makes what pairs are made from."""

    def online(self, store: Store, manifest: Manifest) -> tuple[DrawLabelMap, Paint]:  # noqa: ARG002 (for overriding)
        """For pairs made while training: draw a label map in a loader process, and generate images on the training device.

        Raises:
            InputError: these pairs are made whole, or descend from held-out samples of the manifest.
        """
        raise InputError(f"synthetic.mode=online cannot make the pairs of {type(self).__name__}; take synthetic.mode=offline")

    def trained_on(self, store: Store) -> tuple[Ancestor, ...]:  # noqa: ARG002 (for overriding)
        """All real samples and label maps that a pair may descend from."""
        return self.train.ancestors

    def refuse_held_out(self, store: Store, manifest: Manifest) -> None:
        """Refuse pairs that descend from validation or test samples, before any is made; the `InputError` names one."""
        refuse_held_out(manifest.samples, "the pair source", self.trained_on(store))

    def count_for(self, images: int) -> int:
        """Pairs that hold as much as so many training images: as many, of pairs of their size."""
        return images

    @property
    def window(self) -> int | None:
        """Side of the pairs, pixels, where they are like windows of the training images; None: like these as a whole."""
        return None

    def views(self, samples: Samples) -> Callable[[int], RealView]:
        """A function that gives the real view number i of `samples`, which pairs are to be compared with.

        Of whole images, as here, view i is sample i; of windows there is no last one, each seeded by its number.
        """
        every = samples.with_context().samples
        return lambda index: RealView(every[index])

    def batch_sizes(self) -> dict[str, int]:
        """Images of an optimiser step of the trainings that pairs need, by the name of the setting."""
        return {}

    def check_samples(self, *, one_patient: bool = False) -> None:
        """Refuse training samples that no such pairs can be made of, before anything is made; the `InputError` says why.

        Args:
            one_patient: whether a single patient was asked for, as by `data.n_real_patients=1`.
        """

    @property
    def translator_key(self) -> str:
        """Hash of what makes the images, for the lineage of pairs."""
        return self.key

    def settings(self) -> dict[str, Any]:
        """With the name of the class: pairs of two classes are never the same."""
        return {"source": type(self).__name__, **super().settings()}
