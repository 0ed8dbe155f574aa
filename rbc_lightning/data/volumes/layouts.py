"""Where the files of scans lie: a BIDS-like folder, with or without a table of participants."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rbc_lightning.data.sample import SPLITS
from rbc_lightning.data.volumes.nifti import is_nifti, stem
from rbc_lightning.data.volumes.scan import Scan, check_scans
from rbc_lightning.errors import InputError

TABLE = "participants.tsv"
MASKS = ("dseg", "mask", "seg", "lesion", "lesions", "wmh", "label", "labels")
"""What names a mask file, as its last part, in lower case."""


def find_scans(root: Path, channels: Sequence[str]) -> tuple[Scan, ...]:
    """The scans of a folder, see the module."""
    rows = _read_table(root / TABLE)
    scans = []
    for name, row in rows.items():
        files = [path for path in sorted((root / name).rglob("*")) if is_nifti(path)]
        split = (row.get("split") or "train").strip()
        if split not in SPLITS:
            raise InputError(f"{root / TABLE}: split {split!r} of {name}; expected one of {', '.join(SPLITS)}")
        images = tuple(_one(root, name, files, (channel.lower(),), f"channel {channel}") for channel in channels)
        labels = _one(root, name, files, MASKS, "mask")
        scans.append(Scan(name, (row.get("group") or "").strip() or name, split, images, labels))
    return check_scans(scans)


def _read_table(path: Path) -> dict[str, Mapping[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        return {row["participant_id"]: row for row in csv.DictReader(handle, delimiter="\t")}


def _one(root: Path, name: str, files: Sequence[Path], wanted: tuple[str, ...], what: str) -> Path:
    found = [path for path in files if stem(path).lower().split("_")[-1] in wanted]
    if len(found) != 1:
        raise InputError(f"{root / name}: {len(found)} files for the {what}; expected one")
    return found[0]
