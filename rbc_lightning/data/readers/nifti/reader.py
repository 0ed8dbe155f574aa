"""Scans on disk as a data set of axial slices."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, get_args

from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count, check_word
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.sample import Split
from rbc_lightning.data.volumes.bids import unlisted
from rbc_lightning.data.volumes.layouts import find_scans, told_classes
from rbc_lightning.data.volumes.participants import TABLE
from rbc_lightning.data.volumes.preparation import Preparation
from rbc_lightning.data.volumes.prepared import prepare_scans
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.data.volumes.slices import Choice, narrow_slices
from rbc_lightning.errors import InputError

CLASSES = {1: "lesion", 2: "ventricles", 3: "rim"}
"""Of masks of which nothing else is said: lesions, ventricles, and the normal bright rim around these."""
_DEFAULT_TABLE = (
    "note: values of masks are taken for 1 lesion (what is segmented and scored), 2 ventricles, 3 rim (normal bright caps and "
    "rims of the ventricles, no lesions); if yours are others, set data.classes, such as 'data.classes={1: lesion, 2: null}' "
    "(null: background)"
)
LEAST_BRAIN = 0.1
"""Share of the brain's area in the scan's largest slice that a slice needs to be trained on."""


@dataclass(frozen=True, kw_only=True)
class NiftiReader(Reader):
    """Reads the scans below `root`, see `volumes.layouts`; the settings are those of `volumes.preparation.Preparation`."""

    expected: ClassVar[str] = (
        "scans (.nii.gz), such as sub-01/ with sub-01_FLAIR.nii.gz, sub-01_T1w.nii.gz and sub-01_dseg.nii.gz, "
        f"{TABLE}, or the layout of nnU-Net or of the WMH challenge"
    )

    root: Path
    channels: tuple[str, ...]
    classes: Mapping[int, str | None] | None = None  # None: CLASSES
    targets: tuple[str, ...] | None = None
    outline: str | None = None
    side: int | None = None
    spacing: float | None = None
    strip: bool = False
    head: bool = False
    slices_per_patient: int | None = None  # train on so many slices of a patient at most
    slices_chosen: Choice = "spread"  # which, see `narrow_slices`

    def __post_init__(self) -> None:
        super().__post_init__()
        # A folder called 2024, or nan, is a number on a command line.
        object.__setattr__(self, "root", Path(str(self.root)))
        examples = {"channels": "[FLAIR,T1w]", "targets": "[lesion], or null for all", "ignore": "[rim], or null for none"}
        for name, example in examples.items():
            names: object = getattr(self, name)
            if names is not None and not isinstance(names, list | tuple):
                raise InputError(f"data.{name}={names}; expected a list, such as {example}")
            object.__setattr__(self, name, None if names is None else tuple(map(str, names)))
        if self.classes is not None:
            object.__setattr__(self, "classes", _table(self.classes))
        if self.slices_per_patient is not None:
            check_count("data.slices_per_patient", self.slices_per_patient, 1)
        check_word("data.slices_chosen", self.slices_chosen, get_args(Choice))
        named = [name for name in self.preparation.masked if name not in self.preparation.spec.classes]
        for name in self.ignore or ():
            if name not in named:
                known = ", ".join(named) or "none here"
                raise InputError(f"data.ignore: {name!r}; expected classes of masks that are no targets ({known}), or null")

    @cached_property
    def preparation(self) -> Preparation:
        """How the scans become samples."""
        names = ("channels", "targets", "outline", "side", "spacing", "strip", "head")
        return Preparation(
            classes=CLASSES if self.classes is None else self.classes, **{name: getattr(self, name) for name in names}
        )

    def read(self, store: Store) -> Manifest:
        """Every slice of every scan, each scan prepared once."""
        return prepare_scans(self.scans(), self.preparation, store)

    def groups(self) -> dict[str, Split]:
        """The split of each patient, of whom no file is read."""
        return {scan.group: scan.split for scan in self.scans()}

    def scans(self) -> tuple[Scan, ...]:
        """The files of every scan, none of them read."""
        scans = find_scans(self.root, self.channels)
        self._check_classes()
        return scans

    def _check_classes(self) -> None:
        """Refuse to take values for the default classes where the layout says that they are others."""
        told = told_classes(self.root) if self.classes is None else None
        if told and any((CLASSES.get(value) or "").lower() != (name or "").lower() for value, name in told.items()):
            table = ", ".join(f"{value}: {name or 'null'}" for value, name in told.items())
            targets = "" if set(self.targets or ()) <= set(told.values()) else " data.targets=null (or some names)"
            default = ", ".join(f"{value} {name}" for value, name in CLASSES.items())
            raise InputError(
                f"{self.root}: by its layout, values of masks are {table} (null: background), where data.classes=null means "
                f"{default}; set 'data.classes={{{table}}}'{targets}"
            )

    def narrow(self, manifest: Manifest) -> Manifest:
        """Without training slices that show hardly any brain, and with at most `slices_per_patient` of each patient."""
        return narrow_slices(manifest, LEAST_BRAIN, self.slices_per_patient, self.slices_chosen)

    def notes(self, manifest: Manifest) -> list[str]:  # noqa: ARG002 (of the folder alone)
        """Participants that the table leaves out, and what values of masks are taken for where nobody said it."""
        left_out = [f"note: {name} is not in {TABLE} and takes no part" for name in unlisted(self.root)]
        return left_out if self.classes is not None else [*left_out, _DEFAULT_TABLE]

    def overrides(self) -> list[str]:
        """The folder by its root, whatever file of the group named it."""
        return ["data=mri", f"data.name={self.name}", f"data.root={self.root}"]


def _table(classes: object) -> dict[int, str | None]:
    """Values with their names; in a recorded command a value is a text, as in data.classes.1=lesion."""
    if isinstance(classes, Mapping) and all(isinstance(name, str | None) for name in classes.values()):
        with suppress(ValueError):
            return {int(str(value)): name for value, name in classes.items()}
    raise InputError(f"data.classes={classes}; expected whole numbers with names, such as {{1: lesion, 2: null}}")
