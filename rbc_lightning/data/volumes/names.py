"""Which file of a scan is which, by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rbc_lightning.data.volumes.nifti import FOREIGN, how_to_convert, is_nifti, stem
from rbc_lightning.errors import InputError

MASKS = ("dseg", "mask", "seg", "segmentation", "lesion", "lesions", "wmh", "label", "labels")
"""What the last part of a mask's name is called."""

# BIDS writes T1w, the WMH challenge T1.
_SHORT = {"t1w": "t1", "t2w": "t2", "pdw": "pd"}
# Of masks of something else, by the entities desc- and label-.
_OTHER_MASKS = ("brain", "head", "gm", "wm", "csf")
_SHOWN = 6
_DICOM = slice(128, 132)
_DICOM_SUFFIXES = (".dcm", ".ima")


def canonical(name: str) -> str:
    """The name of a channel or column, without regard to case and to the w of T1w."""
    lower = name.strip().lower()
    return _SHORT.get(lower, lower)


def find_images(
    files: Sequence[Path], channels: Sequence[str], scan: str, place: Path, given: Mapping[str, Path] | None = None
) -> tuple[Path, ...]:
    """The file of every channel: the one whose name is the channel's or ends in _ and it, in whatever case.

    Where several do, as an original and one registered to another channel, it is the one with `space-` and a channel's name.

    Args:
        files: of the scan.
        channels: names, in order.
        scan: its name, for messages.
        place: its folder, for messages.
        given: files by `canonical` channel, for which no name is looked at; None where no table could name any.

    Raises:
        InputError: names scan and channel where there is none, or more than one.
    """
    spaces = {canonical(channel) for channel in channels}
    found = []
    for channel in channels:
        if given and canonical(channel) in given:
            found.append(given[canonical(channel)])
            continue
        fitting = [path for path in files if canonical(_parts(path)[-1]) == canonical(channel)]
        registered = [path for path in fitting if canonical(_entities(path).get("space", "")) in spaces]
        chosen = registered if len(fitting) > 1 and registered else fitting
        expected = f"{channel}.nii.gz or <name>_{channel}.nii.gz"
        found.append(_only(chosen, files, f"channel {channel}", expected, scan, place, by_table=given is not None))
    return tuple(found)


def find_mask(files: Sequence[Path], scan: str, place: Path) -> Path:
    """The mask: the file whose name ends in one of `MASKS`, but for those of brain and tissues; errors as for channels."""
    fitting = []
    for path in files:
        entities = _entities(path)
        about = {entities.get("desc", ""), entities.get("label", "")}
        if _parts(path)[-1].lower().partition("-")[0] in MASKS and not about & set(_OTHER_MASKS):
            fitting.append(path)
    return _only(fitting, files, "mask", "<name>_dseg.nii.gz, <name>_mask.nii.gz or the like", scan, place)


def refuse_foreign(files: Iterable[Path]) -> None:
    """Refuse scans in formats that are not read, DICOM among them, and say what converts them."""
    for path in files:
        # A slice of many, whose name may end in digits of its number, 1.2.840.113619.2.5.
        if path.suffix.lower() in _DICOM_SUFFIXES or (not is_nifti(path) and _is_dicom(path)):
            raise InputError(f"{path.parent}: DICOM files ({path.name}); convert it to .nii.gz with dcm2niix")
        if path.suffix.lower() in FOREIGN:
            raise InputError(f"{path}: not NIfTI; {how_to_convert(path)}")


def some_of(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _only(
    found: Sequence[Path], files: Sequence[Path], what: str, expected: str, scan: str, place: Path, *, by_table: bool = True
) -> Path:
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{place}: {len(found)} files for the {what} of scan {scan!r}: {_names(found, place)}; expected one: move the "
            f"others away{', or name it in a column of participants.tsv' if by_table else ''}"
        )
    if not files and place.is_dir():
        refuse_foreign(sorted(path for path in place.rglob("*") if path.is_file()))
    seen = f"among {_names(files, place)}" if files else "nor any other NIfTI file"
    raise InputError(
        f"{place}: no {what} of scan {scan!r} {seen}; expected {expected}: rename or add it, "
        f"{'name it in a column of participants.tsv, ' if by_table else ''}or leave the scan out"
    )


def _names(files: Sequence[Path], place: Path) -> str:
    return some_of([str(path.relative_to(place)) if path.is_relative_to(place) else str(path) for path in files])


def _parts(path: Path) -> list[str]:
    return stem(path).split("_")


def _entities(path: Path) -> dict[str, str]:
    pairs = (part.lower().partition("-") for part in _parts(path))
    return {key: value for key, dash, value in pairs if dash}


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_DICOM.stop)[_DICOM] == b"DICM"


def nifti_files(directory: Path, pattern: str = "**/*") -> list[Path]:
    """The NIfTI files below a directory, or where a pattern says, in order; no folders that are named as such a file."""
    return sorted(path for path in directory.glob(pattern) if is_nifti(path) and path.is_file())
