"""Scans to be segmented: files found by their names alone, with or without masks, whole or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rbc_lightning.data.volumes.layouts import CHALLENGE, SPLIT_FOLDERS
from rbc_lightning.data.volumes.names import MASKS, canonical, find_images, find_mask, nifti_files, refuse_foreign
from rbc_lightning.data.volumes.nifti import stem
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.errors import InputError

_DIGITS = 4  # of a channel's number in the names of nnU-Net
_ANATOMY = "anat"  # a folder of BIDS
_UNTOLD = ("space-", "desc-", "acq-", "run-", "rec-")


def find_unlabelled(place: Path, channels: Sequence[str]) -> tuple[list[Scan], list[InputError]]:
    """The scans of a file's name, or below a folder, and an error for each that lacks a channel.

    Files of one folder whose names agree but for the channel are a scan: `sub-01_FLAIR.nii.gz`, `case/pre/FLAIR.nii.gz`, and
    `case_0000.nii.gz` in the order of the channels. With one channel, any other name is a scan as well. A mask is looked for
    beside the images, above `pre/`, and in `labelsTs` beside `imagesTs`; none is needed. All scans are of split test.

    A scan is called by what the names of its files share, such as `sub-01`; where they share nothing, or scans share it, by the
    folders that lead to it from `place` on, those of splits left out, such as `Singapore_4`: as in a data set.

    Args:
        place: a NIfTI file of a scan, or a folder.
        channels: names, in order.

    Raises:
        InputError: no such file or folder, or nothing in it that is named as a channel.
    """
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; point predict.images at a scan (.nii.gz) or a folder of scans")
    folder = place if place.is_dir() else place.parent
    grouped: dict[tuple[Path, str], list[Path]] = {}
    for path in nifti_files(folder, "**/*" if place.is_dir() else "*"):
        if not _is_raw(path) and (key := _scan_of(path, channels)) is not None:
            grouped.setdefault((path.parent, key), []).append(path)
    if not place.is_dir():
        grouped = {key: paths for key, paths in grouped.items() if place in paths}
    if not grouped:
        refuse_foreign(sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place])
        raise InputError(
            f"{place}: no scan; expected NIfTI files named as {', '.join(channels)}, such as sub-01_{channels[0]}.nii.gz: "
            "rename them, or convert them to .nii.gz"
        )
    scans, errors = [], []
    for ((parent, key), paths), name in zip(grouped.items(), _names(list(grouped), folder), strict=True):
        try:
            scans.append(Scan(name, name, "test", _images(paths, channels, name, parent), _mask(parent, key, name)))
        except InputError as error:
            errors.append(error)
    return scans, errors


def _is_raw(path: Path) -> bool:
    """Whether a file lies in `orig`, where the WMH challenge keeps what `pre` was made from."""
    return path.parent.name == "orig" and path.parent.with_name(CHALLENGE).is_dir()


def _scan_of(path: Path, channels: Sequence[str]) -> str | None:
    """The part of a file's name that all files of its scan share; None of a file that is no channel."""
    parts = stem(path).split("_")
    numbered = len(parts[-1]) == _DIGITS and parts[-1].isdigit()
    if numbered or canonical(parts[-1]) in map(canonical, channels):
        return "_".join(part for part in parts[:-1] if not part.lower().startswith(_UNTOLD))
    return stem(path) if len(channels) == 1 and parts[-1].lower() not in MASKS else None


def _images(paths: Sequence[Path], channels: Sequence[str], name: str, parent: Path) -> tuple[Path, ...]:
    by_number = {stem(path)[-_DIGITS:]: path for path in paths}
    wanted = [f"{number:0{_DIGITS}d}" for number in range(len(channels))]
    if all(number in by_number for number in wanted):
        return tuple(by_number[number] for number in wanted)
    if len(channels) == len(paths) == 1:
        return (paths[0],)
    return find_images(paths, channels, name, parent)


def _mask(parent: Path, key: str, name: str) -> Path | None:
    beside = parent.parent if parent.name == CHALLENGE else parent
    labels = parent.with_name(parent.name.replace("images", "labels", 1))
    if labels != parent and labels.is_dir():
        return next((path for path in nifti_files(labels) if stem(path) == key), None)
    own = [path for path in nifti_files(beside, "*") if not key or stem(path) == key or stem(path).startswith(f"{key}_")]
    try:
        return find_mask(own, name, beside)
    except InputError:
        return None


def _names(scans: Sequence[tuple[Path, str]], root: Path) -> Iterator[str]:
    """The names of scans, given by their folders and what the names of their files share."""
    keys = Counter(key for _, key in scans)
    short = ["_".join(_parts(parent, key, root)) for parent, key in scans]
    for (parent, key), name in zip(scans, short, strict=True):
        if key and keys[key] == 1:
            yield key
        elif short.count(name) == 1:
            yield name
        else:
            # Of one case in two splits, all folders.
            yield "_".join((*parent.relative_to(root).parts, *([key] if key else [])))


def _parts(parent: Path, key: str, root: Path) -> list[str]:
    plain = (CHALLENGE, _ANATOMY, *SPLIT_FOLDERS)
    parts = [part for part in parent.relative_to(root).parts if part.lower() not in plain and part != key]
    # Of a case that was given itself, its folder.
    whole = [part for part in parent.resolve().parts if part.lower() not in plain] if not (key or parts) else []
    return [*parts, *whole[-1:], *([key] if key else [])]
