"""The phantom brains as a data set: drawn once, kept in the store as NIfTI files, read as any folder of scans."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import replacing, write_text
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.data.readers.brain_phantom.scanner import THICK, THIN
from rbc_lightning.data.readers.brain_phantom.spec import CLASSES, TUMOUR_CLASSES, BrainSpec
from rbc_lightning.data.readers.brain_phantom.subject import draw_subject
from rbc_lightning.data.readers.nifti import NiftiReader
from rbc_lightning.data.sample import Split
from rbc_lightning.data.volumes.preparation import Preparation
from rbc_lightning.data.volumes.slices import Choice
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")
# The first subject of a split: more subjects leave those of the others as they are.
_FIRST = {"train": 1, "test": 1001, "external": 2001}
_MOST = 999  # subjects of a split


@dataclass(frozen=True)
class BrainPhantom(Recipe[Path]):
    """The folder of phantom scans."""

    kind: ClassVar[str] = "brain_phantom"
    format: ClassVar[int] = 2  # 1: easier for a threshold, and now and then a scalp taken for the brain
    title: ClassVar[str] = "phantom brains"

    n_train: int  # subjects
    n_test: int
    n_external: int  # of the other scanner
    coarseness: float  # see `BrainSpec`
    tumour: bool
    phantom_seed: int  # of all draws

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (it has no input)
        """Draw every subject that an interrupted attempt has not."""
        counts = {"train": self.n_train, "test": self.n_test, "external": self.n_external}
        with count_progress("Drawing the phantom", sum(counts.values())) as advance:
            write_brains(directory, counts, self.phantom_seed, self.coarseness, self.tumour, advance)

    def load(self, directory: Path, store: Store) -> Path:  # noqa: ARG002 (nothing else is needed)
        """The folder."""
        return directory


@dataclass(frozen=True, kw_only=True)
class BrainPhantomReader(Reader):
    """Procedural brain scans made on the spot; the rest is as in `NiftiReader`."""

    n_train: int
    n_test: int
    n_external: int
    coarseness: float = 1.0
    tumour: bool = False
    phantom_seed: int
    targets: tuple[str, ...] | None = None  # None: lesions, or the three classes of the tumour
    outline: str | None = None
    side: int | None = None
    spacing: float | None = None
    strip: bool = False
    head: bool = False
    slices_per_patient: int | None = None
    slices_chosen: Choice = "spread"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in {"n_train": 2, "n_test": 1, "n_external": 0, "phantom_seed": 0}.items():
            check_count(f"data.{name}", getattr(self, name), least)
            if name != "phantom_seed" and getattr(self, name) > _MOST:
                raise InputError(f"data.{name}={getattr(self, name)}; expected at most {_MOST} subjects of a split")
        try:
            BrainSpec(coarseness=self.coarseness)
        except (TypeError, ValueError) as error:
            raise InputError(f"data.coarseness={self.coarseness}; expected a number from 1 to 6") from error
        self.at(Path())

    @property
    def phantom(self) -> BrainPhantom:
        """The folder that is read."""
        counts = (self.n_train, self.n_test, self.n_external)
        return BrainPhantom(*counts, float(self.coarseness), self.tumour, self.phantom_seed)

    @property
    def preparation(self) -> Preparation:
        """How scans become samples: also those that a trained network is given to predict."""
        return self.at(Path()).preparation

    def read(self, store: Store) -> Manifest:
        """Every slice of every scan, drawn first if they are not in the store."""
        return self.at(store.make(self.phantom)).read(store)

    def groups(self) -> dict[str, Split]:
        """The split of each subject, of whom none is drawn."""
        counts: dict[Split, int] = {"train": self.n_train, "test": self.n_test, "external": self.n_external}
        return {_name(_FIRST[split] + number): split for split, count in counts.items() for number in range(count)}

    def narrow(self, manifest: Manifest) -> Manifest:
        """As of any folder of scans."""
        return self.at(Path()).narrow(manifest)

    def at(self, root: Path) -> NiftiReader:
        """The reader of the scans that were drawn into a folder, with all settings of this one."""
        same = {entry.name: getattr(self, entry.name) for entry in fields(NiftiReader) if hasattr(self, entry.name)}
        if self.targets is None:
            same["targets"] = tuple(TUMOUR_CLASSES.values()) if self.tumour else (CLASSES[1],)
        classes = {**CLASSES, **TUMOUR_CLASSES} if self.tumour else CLASSES
        return NiftiReader(root=root, channels=CHANNELS, classes=classes, **same)


def write_brains(
    root: Path,
    counts: dict[str, int],
    seed: int,
    coarseness: float = 1.0,
    tumour: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `sub-0001/sub-0001_FLAIR.nii.gz`, `_T1w`, `_dseg` of every subject and, last, `participants.tsv`.

    What is there is kept. The subjects of `external` have the thin slices of another scanner.

    Args:
        root: folder, made where it is missing.
        counts: subjects of the splits train, test and external.
        seed: of all draws.
        coarseness: see `BrainSpec`.
        tumour: see `BrainSpec`.
        progress: called with (subjects written, subjects in all) after each.
    """
    lines = ["participant_id\tgroup\tsplit\tsite"]
    for split, count in counts.items():
        spec = BrainSpec(THIN if split == "external" else THICK, coarseness, tumour)
        for subject in range(_FIRST[split], _FIRST[split] + count):
            name = _name(subject)
            _write_subject(root / name, name, spec, seed, subject)
            lines.append(f"{name}\t{name}\t{split}\t{spec.scanner.site}")
            if progress is not None:
                progress(len(lines) - 1, sum(counts.values()))
    write_text(root / "participants.tsv", "\n".join(lines) + "\n")


def _name(subject: int) -> str:
    return f"sub-{subject:04d}"


def _write_subject(directory: Path, name: str, spec: BrainSpec, seed: int, subject: int) -> None:
    paths = [directory / f"{name}_{part}.nii.gz" for part in (*CHANNELS, "dseg")]
    if all(path.exists() for path in paths):
        return
    drawn = draw_subject(spec, seed, subject)
    directory.mkdir(parents=True, exist_ok=True)
    slope = drawn.placement.slope
    contents: list[tuple[NDArray[Any], float]] = [(drawn.flair, slope), (drawn.t1w, slope), (drawn.labels, 1.0)]
    for path, (array, slope) in zip(paths, contents, strict=True):
        with replacing(path) as file:
            file.write(_nifti(array, drawn.placement.affine, slope))


def _nifti(array: NDArray[Any], affine: NDArray[np.float64], slope: float) -> bytes:
    """A compressed file with the same bytes whenever it is written."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0)
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)
