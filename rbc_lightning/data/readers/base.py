"""What every reader of a data set offers; a subclass for another format is one class in one file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rbc_lightning.core.files import check_name
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Split
from rbc_lightning.data.splits import check_fraction
from rbc_lightning.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """The configuration group `data`; subclasses are frozen dataclasses built by `_target_`, `InputError` for bad values."""

    expected: ClassVar[str] = "the data set"
    """What lies in the folder of a reader that has one."""

    name: str  # of the data set, in tables and directory names
    validation_fraction: float = 0.2  # share of the training groups kept for choosing weights, unless there is a val split
    n_real_images: int | None = None  # train on so many real images, drawn by the seed after validation is cut; None for all
    n_real_patients: int | None = None  # likewise real groups (patients), the fewer among the more
    folds: int | None = None  # deal the groups of train and test into so many folds; None for the splits of the data set
    fold: int | None = None  # which of them is the test split, from 0
    fold_seed: int = 0  # of the dealing, one for all runs of a sweep
    ignore: tuple[str, ...] | None = None  # classes under which no prediction counts in scores; None: they are background

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name("data.name", self.name))
        # 0 is for data sets with a val split of their own.
        if self.validation_fraction != 0:
            check_fraction(self.validation_fraction)
        for name in ("n_real_images", "n_real_patients"):
            if getattr(self, name) is not None:
                check_count(f"data.{name}", getattr(self, name), 1)
        if self.n_real_images is not None and self.n_real_patients is not None:
            raise InputError("data.n_real_images and data.n_real_patients are both set; expected one of them")
        self._check_folds()

    def _check_folds(self) -> None:
        check_count("data.fold_seed", self.fold_seed, 0)
        if self.folds is None:
            if self.fold is not None:
                raise InputError(f"data.fold={self.fold} without a number of folds; expected data.folds=5 or another beside it")
            return
        check_count("data.folds", self.folds, 2)
        every = ",".join(map(str, range(self.folds)))
        if self.fold is None:
            raise InputError(
                f"data.folds={self.folds} without the one to test on; expected data.fold=0, or {every} for all of them"
            )
        check_count("data.fold", self.fold, 0)
        if self.fold >= self.folds:
            raise InputError(f"data.fold={self.fold} of data.folds={self.folds}; expected one of {every}")

    @abstractmethod
    def read(self, store: Store) -> Manifest:
        """The real samples, in the splits that the data set has; a reader that makes them keeps them in the store."""

    def groups(self) -> Mapping[str, Split] | None:
        """The split of each group, where it is known before anything is read or made; None where it is not."""
        return None

    def narrow(self, manifest: Manifest) -> Manifest:
        """The samples, fewer of train where not all are trained on; called after validation is cut."""
        return manifest

    def notes(self, manifest: Manifest) -> list[str]:  # noqa: ARG002 (for overriding)
        """What stage=check should say about the data set, a line each."""
        return []

    def overrides(self) -> list[str]:
        """What chooses this data set on a command line; by default the file of its name in the group `data`."""
        return [f"data={self.name}"]
