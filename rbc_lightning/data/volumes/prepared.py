"""Scans prepared once and kept in the store as arrays, of which slices are read without the rest."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import content_hash, replacing, write_rows
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Recipe, aside
from rbc_lightning.core.store import Store
from rbc_lightning.data.checked import CheckedPairs
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.data.volumes.grid import SliceGrid
from rbc_lightning.data.volumes.intensity import brain_mask, check_varies
from rbc_lightning.data.volumes.nifti import Volume, check_same_grid, read_grid, read_labels, read_volume
from rbc_lightning.data.volumes.preparation import Preparation
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.data.volumes.slices import SliceLoader, image_file, label_file
from rbc_lightning.errors import InputError

CHECKED = ".checked_scans_{}.json"
"""Where in the store it is remembered which files passed all checks."""

_TABLE = "slices.csv"


@dataclass(frozen=True)
class PreparedScans(Recipe[Manifest]):
    """All slices of scans, as a preparation makes them; the key depends on names and bytes of the files, not on splits."""

    kind: ClassVar[str] = "volumes"
    format: ClassVar[int] = 2
    title: ClassVar[str] = "prepared scans"

    preparation: Preparation
    hashes: tuple[tuple[str, ...], ...]  # scan_id, SHA-256 of every file
    scans: tuple[Scan, ...] = aside(())

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (it has no input)
        """Prepare every scan."""
        rows: list[dict[str, object]] = []
        with count_progress("Preparing the scans", len(self.scans)) as advance, ThreadPoolExecutor() as pool:
            for index, found in enumerate(pool.map(lambda scan: self._prepare(scan, directory), self.scans)):
                rows += found
                advance(index + 1, len(self.scans))
        # Last: an interrupted attempt is begun anew.
        write_rows(directory / _TABLE, rows)

    def load(self, directory: Path, store: Store) -> Manifest:  # noqa: ARG002 (nothing else is needed)
        """Every slice of every scan, in its split."""
        scans = {scan.scan_id: scan for scan in self.scans}
        # Of the files: tables of earlier versions do not have them.
        distances = {name: slice_distance(scan.images[0]) for name, scan in scans.items()}
        with (directory / _TABLE).open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        return Manifest(tuple(self._sample(row, scans[row["scan_id"]], distances, directory) for row in rows))

    def _prepare(self, scan: Scan, directory: Path) -> list[dict[str, object]]:
        volumes, labels = read_scan(scan)
        brain = brain_mask(volumes)
        image, grid = self.preparation.image(volumes, brain)
        label_maps = self.preparation.with_head(self.preparation.labels(labels, grid, brain), image, grid)
        inside = grid.to_slices(brain, 0)
        for path, array in ((image_file(directory, scan.scan_id), image), (label_file(directory, scan.scan_id), label_maps)):
            with replacing(path) as file:
                np.save(file, array)
        n_targets, (row_mm, column_mm) = len(self.preparation.spec.classes), grid.spacing
        return [
            {
                "scan_id": scan.scan_id,
                "slice": index,
                "rows": grid.size[0],
                "columns": grid.size[1],
                "row_mm": round(row_mm, 6),
                "column_mm": round(column_mm, 6),
                "brain": int(inside[index].sum()),
                "targets": int(((label_maps[index] > 0) & (label_maps[index] <= n_targets)).sum()),
                "image_sha256": _hash(image[index], f"{scan.scan_id} {index}"),
                "label_sha256": sha256(label_maps[index].tobytes()).hexdigest(),
            }
            for index in range(grid.depth)
        ]

    def _sample(self, row: dict[str, Any], scan: Scan, distances: Mapping[str, float], directory: Path) -> Sample:
        index, shape = int(row["slice"]), (int(row["rows"]), int(row["columns"]))
        loader = SliceLoader(directory, scan.scan_id, index, shape, scan.images[0], int(row["brain"]), int(row["targets"]))
        return Sample(
            f"{scan.scan_id}_{index:03d}",
            scan.split,
            scan.group,
            row["image_sha256"],
            row["label_sha256"],
            loader,
            spec=replace(self._spec, spacing=(float(row["row_mm"]), float(row["column_mm"]))),
            volume=scan.scan_id,
            slice=index,
            distance=distances[scan.scan_id],
        )

    @cached_property
    def _spec(self) -> ImageSpec:
        return self.preparation.spec


def read_scan(scan: Scan) -> tuple[list[Volume], Volume]:
    """The volumes of a scan's channels and its labels, on one grid."""
    if scan.labels is None:
        raise InputError(f"{scan.images[0]}: scan {scan.scan_id!r} has no mask; add one, or leave the scan out")
    volumes, labels = [read_volume(path) for path in scan.images], read_labels(scan.labels)
    for other in (*volumes[1:], labels):
        check_same_grid(volumes[0], other)
    return volumes, labels


def slice_distance(path: Path) -> float:
    """Distance of the slices of a file in mm, see `SliceGrid.thickness`; its header alone is read."""
    return round(SliceGrid.of(*read_grid(path)).thickness, 6)


def prepare_scans(scans: Sequence[Scan], preparation: Preparation, store: Store) -> Manifest:
    """All slices of scans, prepared first where they are not in the store.

    Every file is read and checked before anything is written; what passed is remembered until a file changes.
    """
    name = content_hash([preparation.decisive(), [str(path.resolve()) for scan in scans for path in scan.files]])
    checked = CheckedPairs(store.root / CHECKED.format(name))

    def hashes(scan: Scan) -> tuple[str, ...]:
        return scan.scan_id, *checked.hashes(scan.files, lambda: _check(scan, preparation))

    with ThreadPoolExecutor() as pool:
        found = tuple(pool.map(hashes, scans))
    _refuse_twins(scans, found)
    store.when_begun(checked.save)
    return store.make(PreparedScans(preparation, found, tuple(scans)))


def _refuse_twins(scans: Sequence[Scan], hashes: Sequence[tuple[str, ...]]) -> None:
    """Refuse one image, or one mask that is not empty, as of scans of two patients."""
    first_with: dict[str, tuple[Scan, Path]] = {}
    for scan, (_, *found) in zip(scans, hashes, strict=True):
        for path, sha256_of in zip(scan.files, found, strict=True):
            first, twin = first_with.setdefault(sha256_of, (scan, path))
            if first.group != scan.group and (path in scan.images or read_labels(path).array.any()):
                raise InputError(
                    f"{path}: byte for byte {twin}, yet one is of patient {scan.group!r}, the other of {first.group!r}; "
                    "expected files of two people: leave one scan out, or give both one group"
                )


def _check(scan: Scan, preparation: Preparation) -> None:
    volumes, labels = read_scan(scan)
    for volume in volumes:
        check_varies(volume)
    preparation.check(volumes, labels)


def _hash(image: NDArray[np.uint16], salt: str) -> str:
    """Of the values; an empty slice is like any other, of whatever patient, and so gets a hash of its own."""
    empty = int(image.min()) == int(image.max())
    return sha256(image.tobytes() + (salt.encode() if empty else b"")).hexdigest()
