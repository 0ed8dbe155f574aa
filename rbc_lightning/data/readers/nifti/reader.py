"""Scans on disk as a data set of axial slices."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.preparation import Preparation
from rbc_lightning.data.volumes.prepared import prepare_scans
from rbc_lightning.data.volumes.slices import narrow_slices

LEAST_BRAIN = 0.1
"""Share of the brain's area in the scan's largest slice that a slice needs to be trained on."""


@dataclass(frozen=True, kw_only=True)
class NiftiReader(Reader):
    """Reads the scans below `root`, see `volumes.layouts`; the settings are those of `volumes.preparation.Preparation`."""

    root: Path
    channels: tuple[str, ...]
    classes: Mapping[int, str | None]
    targets: tuple[str, ...] | None = None
    outline: str | None = None
    side: int | None = None
    spacing: float | None = None
    strip: bool = False
    slices_per_patient: int | None = None  # train on so many slices of a patient at most, those with most target pixels

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.targets is not None:
            object.__setattr__(self, "targets", tuple(self.targets))
        if self.slices_per_patient is not None:
            check_count("data.slices_per_patient", self.slices_per_patient, 1)
        _ = self.preparation

    @cached_property
    def preparation(self) -> Preparation:
        """How the scans become samples."""
        return Preparation(self.channels, self.classes, self.targets, self.outline, self.side, self.spacing, self.strip)

    def read(self, store: Store) -> Manifest:
        """Every slice of every scan, each scan prepared once."""
        return prepare_scans(find_scans(self.root, self.channels), self.preparation, store)

    def narrow(self, manifest: Manifest) -> Manifest:
        """Without training slices that show hardly any brain, and with at most `slices_per_patient` of each patient."""
        return narrow_slices(manifest, LEAST_BRAIN, self.slices_per_patient)

    def overrides(self) -> list[str]:
        """The folder by its root, whatever file of the group named it."""
        return ["data=mri", f"data.name={self.name}", f"data.root={self.root}"]
