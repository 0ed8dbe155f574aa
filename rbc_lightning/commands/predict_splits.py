"""What a run knows already of scans that it is to segment: the split that each of them was in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.build import build
from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.progress import tell
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.brain_phantom import BrainPhantomReader
from rbc_lightning.data.readers.nifti import NiftiReader
from rbc_lightning.data.sample import FilePair, Sample
from rbc_lightning.data.volumes.doctor.finding import name_some
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.errors import InputError

NEW = "new"
"""Stands for the split of a scan that the data set of the run does not have."""
SEEN = ("train", "val")
"""Splits whose scans a run was fitted to."""


@dataclass(frozen=True, kw_only=True)
class _WholeScans(NiftiReader):
    """The scans of a reader as samples, none of them read: splits go by patients alone."""

    def read(self, store: Store) -> Manifest:  # noqa: ARG002 (nothing is prepared)
        return Manifest(tuple(map(_whole, self.scans())))

    def narrow(self, manifest: Manifest) -> Manifest:
        return manifest


def _whole(scan: Scan) -> Sample:
    return Sample(scan.scan_id, scan.split, scan.group, scan.scan_id, scan.scan_id, FilePair(scan.images[0], scan.images[0]))


def reader_of(data: Mapping[str, Any]) -> NiftiReader | BrainPhantomReader | None:
    """The reader of a run on scans, from the group `data` of its configuration; None of a run on images."""
    if "outline" not in data:
        return None
    reader = build({key: value for key, value in data.items() if key not in ("split_seed", "sizes")}, "data")
    return reader if isinstance(reader, NiftiReader | BrainPhantomReader) else None


def splits_of(scans: Sequence[Scan], reader: NiftiReader | BrainPhantomReader, trained: Mapping[str, Any]) -> dict[str, str]:
    """The split in a run of each scan, `NEW` for others; nothing where the data set of the run is gone, which is told.

    A scan is known by the bytes of its first image, wherever it lies and whatever it is called.

    Args:
        scans: to be segmented.
        reader: of the run.
        trained: the configuration of the run.
    """
    try:
        known = _splits(reader, trained)
    except InputError as error:
        tell(f"note: whether any of the scans was trained on cannot be told: {error}")
        return {}
    sizes = {path.stat().st_size for path in known}
    by_bytes = {file_sha256(path): split for path, split in known.items()} if sizes else {}
    return {scan.scan_id: by_bytes.get(_hash(scan.images[0], sizes), NEW) for scan in scans}


def tell_seen(splits: Mapping[str, str]) -> None:
    """Note which scans the run was fitted to."""
    seen = [scan for scan, split in splits.items() if split in SEEN]
    if seen:
        tell(f"note: fitted to by this run (train or val): {name_some(seen)}; what it finds there says nothing of new scans")


def _splits(reader: NiftiReader | BrainPhantomReader, trained: Mapping[str, Any]) -> dict[Path, str]:
    """The split of every scan of a run, by its first image."""
    store = Store(Path(trained["artifacts_dir"]))
    files = reader if isinstance(reader, NiftiReader) else reader.at(store.path(reader.phantom))
    values = {entry.name: getattr(files, entry.name) for entry in fields(NiftiReader)}
    whole = _WholeScans(**values | {"n_real_images": None})
    manifest = read_split(whole, store, str(trained["protocol"]), int(trained["data"]["split_seed"]))
    return {Path(sample.where): sample.split for sample in manifest.samples}


def _hash(path: Path, sizes: set[int]) -> str:
    """Of a file's bytes, read only where one of the sizes is its own."""
    return file_sha256(path) if path.stat().st_size in sizes else ""
