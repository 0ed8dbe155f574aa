"""A scan: the files of one examination of one patient."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rbc_lightning.data.sample import Split
from rbc_lightning.errors import InputError


@dataclass(frozen=True)
class Scan:
    """One examination.

    Args:
        scan_id: its name, part of file names.
        group: the patient, who may have several scans.
        split: what it may be used for.
        images: one file for each channel, in their order.
        labels: the file of the masks; None where there is none.
    """

    scan_id: str
    group: str
    split: Split
    images: tuple[Path, ...]
    labels: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.images, *((self.labels,) if self.labels else ()))


def check_scans(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Refuse two scans of one name or of the same images, and a patient in two splits."""
    named: dict[str, Scan] = {}
    first_of: dict[str, Scan] = {}
    first_with: dict[tuple[Path, ...], Scan] = {}
    for scan in scans:
        if scan.scan_id in named:
            raise InputError(f"scan {scan.scan_id!r} stands twice ({scan.images[0]}); give each a name of its own")
        named[scan.scan_id] = scan
        twin = first_with.setdefault(scan.images, scan)
        if twin is not scan:
            raise InputError(
                f"scans {twin.scan_id!r} and {scan.scan_id!r} are one, with the image {scan.images[0]}; expected files of its "
                "own for each: drop or mend a row of the table"
            )
        first = first_of.setdefault(scan.group, scan)
        if first.split != scan.split:
            raise InputError(
                f"patient {scan.group!r} is in two splits: scan {first.scan_id!r} in {first.split}, {scan.scan_id!r} in "
                f"{scan.split}; expected one: mend the columns split or group of the table, or move the files"
            )
    return tuple(named.values())
