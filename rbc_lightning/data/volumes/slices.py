"""Slices of prepared scans as samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import Image, LabelMap
from rbc_lightning.data.splits import evenly

Choice = Literal["spread", "most"]
"""Which slices of a patient are kept, see `narrow_slices`."""


def image_file(directory: Path, scan_id: str) -> Path:
    """Where the slices of a scan lie, uint16 (Z, H, W, C)."""
    return directory / f"{scan_id}_image.npy"


def label_file(directory: Path, scan_id: str) -> Path:
    """Where its label maps lie, uint8 (Z, H, W)."""
    return directory / f"{scan_id}_labels.npy"


@dataclass(frozen=True)
class SliceLoader:
    """The loader of one slice of a prepared scan; `brain` and `targets` count its pixels of either."""

    directory: Path
    scan_id: str
    index: int
    shape: tuple[int, int]
    source: Path = field(compare=False)  # the scan's first image
    brain: int = field(compare=False)
    targets: int = field(compare=False)

    @property
    def where(self) -> str:
        """The image's path and the slice."""
        return f"{self.source}, slice {self.index}"

    def image(self) -> Image:
        """The slice alone is read."""
        return np.array(np.load(image_file(self.directory, self.scan_id), mmap_mode="r")[self.index])

    def label_map(self) -> LabelMap:
        """Targets and context."""
        return np.array(np.load(label_file(self.directory, self.scan_id), mmap_mode="r")[self.index], dtype=np.int32)

    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.shape


def narrow_slices(manifest: Manifest, least_brain: float, per_patient: int | None, choice: Choice = "spread") -> Manifest:
    """Drop training slices with too little brain in them, and all but some of each patient.

    Args:
        manifest: validation has been cut from it.
        least_brain: share of the brain's area in the scan's largest slice.
        per_patient: how many are kept at most; None for all.
        choice: "spread": evenly over the patient's slices; "most": those with most target pixels, so that nothing is
            learned of slices where there are none.
    """
    largest: dict[str | None, int] = {}
    for sample in manifest.samples:
        largest[sample.volume] = max(largest.get(sample.volume, 0), _loader(sample).brain)
    kept: dict[str, list[Sample]] = {}
    for sample in manifest.samples:
        if sample.split == "train" and _loader(sample).brain >= max(1, least_brain * largest[sample.volume]):
            kept.setdefault(sample.group, []).append(sample)
    chosen = {sample.sample_id for samples in kept.values() for sample in _some(samples, per_patient, choice)}
    return Manifest(tuple(s for s in manifest.samples if s.split != "train" or s.sample_id in chosen))


def _some(samples: list[Sample], count: int | None, choice: Choice) -> Sequence[Sample]:
    if count is None:
        return samples
    if choice == "most":
        return sorted(samples, key=lambda sample: (-_loader(sample).targets, sample.sample_id))[:count]
    return evenly(samples, count)


def _loader(sample: Sample) -> SliceLoader:
    if not isinstance(sample.loader, SliceLoader):
        raise TypeError(f"{sample.sample_id}: a slice of a prepared scan was expected")
    return sample.loader
