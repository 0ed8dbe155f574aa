"""The structure bank of a training split as a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rbc_lightning.core.recipe import Recipe
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.masks.bank.recipe import ShapeBankRecipe
from rbc_lightning.translators.pix2pix.structures.bank import FORMAT_VERSION, StructureBank

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

_FILE = "structures.npz"


@dataclass(frozen=True)
class StructureBankRecipe(Recipe[StructureBank]):
    """Structure crops of all shapes of a shape bank, and the backgrounds of the images that they come from.

    Args:
        method: how an image's threshold is found, see `structure_threshold`.
        shapes: the shape bank of the same samples.
        train: training samples.
    """

    kind: ClassVar[str] = "structure_bank"
    format: ClassVar[int] = FORMAT_VERSION
    title: ClassVar[str] = "structure bank"

    method: str | float
    shapes: ShapeBankRecipe
    train: Samples

    @classmethod
    def of(cls, train: Samples, method: str | float) -> StructureBankRecipe:
        """The structure bank of training samples, beside their shape bank."""
        return cls(method, ShapeBankRecipe(train=train), train)

    def build(self, directory: Path, store: Store) -> None:
        """Cut the structure maps of all samples apart; an `InputError` names an image without a threshold."""
        # With PyTorch, which a recipe does without until it is built.
        from rbc_lightning.translators.pix2pix.structures.maps import structure_map, thresholds

        # Before the slow part: an image without a threshold should be named at once.
        levels = thresholds(self.train, self.method)
        n_shapes = len(store.make(self.shapes))
        # The shape bank leaves out cells that touch others unless fewer than 50 are left.
        for free_standing in (True, False):
            maps = ((s.load_label_map(), structure_map(s.load_image(), levels[s.sample_id], s.spec)) for s in self.train)
            bank = StructureBank.from_samples(maps, free_standing)
            if len(bank) == n_shapes:
                return bank.save(directory / _FILE)
        raise InputError(
            f"{store.path(self.shapes)} holds {n_shapes} shapes where the training label maps have {len(bank)}; expected "
            "as many: delete that directory to have it made again"
        )

    def load(self, directory: Path, store: Store) -> StructureBank:  # noqa: ARG002 (the interface's)
        """Read the bank."""
        return StructureBank.load(directory / _FILE)
