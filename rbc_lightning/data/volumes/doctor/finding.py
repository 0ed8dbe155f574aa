"""A finding: what is wrong or worth knowing about a scan, or several, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Args:
        scans: ids of those that it is about.
        text: what came, and what was expected.
        remedy: what to do; "" where there is nothing to do.
        grave: a warning, that is likely to spoil results; else a note.
    """

    scans: tuple[str, ...]
    text: str
    remedy: str = ""
    grave: bool = True

    def line(self) -> str:
        """The finding in one line."""
        remedy = f": {self.remedy}" if self.remedy else ""
        return f"{'warning' if self.grave else 'note'}: {name_some(self.scans)}: {self.text}{remedy}"


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """What is the same of several scans as one finding of all; warnings first, else in order."""
    alike: dict[tuple[str, str, bool], tuple[str, ...]] = {}
    for one in findings:
        key = (one.text, one.remedy, one.grave)
        alike[key] = (*alike.get(key, ()), *one.scans)
    together = [Finding(scans, text, remedy, grave) for (text, remedy, grave), scans in alike.items()]
    return sorted(together, key=lambda finding: not finding.grave)


def name_some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def in_mm(values: Iterable[float]) -> str:
    """Lengths such as a voxel's sides, as `0.90 x 0.90 x 7.20 mm`."""
    return " x ".join(f"{value:.2f}" for value in values) + " mm"
