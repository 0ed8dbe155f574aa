"""What every reader of a data set offers; a subclass for another format is one class in one file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from rbc_lightning.core.files import check_name
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.splits import check_fraction


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """The configuration group `data`; subclasses are frozen dataclasses built by `_target_`, `InputError` for bad values."""

    name: str  # of the data set, in tables and directory names
    validation_fraction: float = 0.2  # share of the training groups kept for choosing weights, unless there is a val split
    n_real_images: int | None = None  # train on so many real images, drawn by the seed after validation is cut; None for all

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name("data.name", self.name))
        # 0 is for data sets with a val split of their own.
        if self.validation_fraction != 0:
            check_fraction(self.validation_fraction)
        if self.n_real_images is not None:
            check_count("data.n_real_images", self.n_real_images, 1)

    @abstractmethod
    def read(self, store: Store) -> Manifest:
        """The real samples, in the splits that the data set has; a reader that makes them keeps them in the store."""

    def narrow(self, manifest: Manifest) -> Manifest:
        """The samples, fewer of train where not all are trained on; called after validation is cut."""
        return manifest

    def notes(self, manifest: Manifest) -> list[str]:  # noqa: ARG002 (for overriding)
        """What stage=check should say about the data set, a line each."""
        return []

    def overrides(self) -> list[str]:
        """What chooses this data set on a command line; by default the file of its name in the group `data`."""
        return [f"data={self.name}"]
