"""Where the files of scans lie: BIDS-like folders, a table, the layouts of nnU-Net and of the WMH challenge."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rbc_lightning.data.sample import Split
from rbc_lightning.data.volumes.bids import find_participants, no_files
from rbc_lightning.data.volumes.names import canonical, find_images, find_mask, nifti_files, refuse_foreign
from rbc_lightning.data.volumes.nifti import SUFFIXES, stem
from rbc_lightning.data.volumes.participants import TABLE, Row, read_rows
from rbc_lightning.data.volumes.scan import Scan, check_scans
from rbc_lightning.errors import InputError

_NNUNET = "dataset.json"
CHALLENGE = "pre"
"""The folder of a case's images in the layout of the WMH challenge."""
SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "training": "train", "test": "test"}
"""Folders that name splits, there."""


def find_scans(root: Path, channels: Sequence[str]) -> tuple[Scan, ...]:
    """The scans of a folder, by the first layout that it has.

    1. nnU-Net: dataset.json, imagesTr/<case>_0000.nii.gz, labelsTr/<case>.nii.gz, and imagesTs beside labelsTs for test;
       channels by channel_names. Test images without labels are left out.
    2. The WMH challenge: <case>/pre/FLAIR.nii.gz, pre/T1.nii.gz and <case>/wmh.nii.gz, below folders of sites or of splits.
    3. A folder <participant> for each participant, or files whose names begin with it, such as sub-01_FLAIR.nii.gz, masks
       also in derivatives/; sessions ses-1, ses-2 are scans of one group. See `names` for what files are called.

    `participants.tsv` (`participants.read_table`), where there is one, names participants, groups, splits and files, and wins
    over names. Without it every participant, or case, is a group of its own, and all that is not test is train.

    Raises:
        InputError: no such folder, no scan in it, another format, a missing or ambiguous file, a patient in two splits.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; point data.root at a folder of scans (.nii.gz)")
    rows = read_rows(root)
    try:
        scans = _by_layout(root, channels, rows)
    except InputError as error:
        whole = [channel for channel in channels if _all_have(root, channel, rows)]
        if not whole:
            raise
        raise InputError(f"{error}, or take data.channels=[{','.join(whole)}], which every scan has") from error
    if not scans:
        refuse_foreign(sorted(path for path in root.rglob("*") if path.is_file()))
        raise InputError(
            f"{root}: no scan; expected folders such as sub-01/ with sub-01_{channels[0]}.nii.gz and sub-01_dseg.nii.gz, "
            f"{TABLE}, or the layout of nnU-Net or of the WMH challenge: point data.root at the folder that holds them"
        )
    return check_scans(scans)


def told_classes(root: Path) -> dict[int, str | None] | None:
    """What values of masks are by the layout itself; None where it says nothing, or has regions that overlap.

    nnU-Net has names in dataset.json; 2 of the WMH challenge is other pathology.
    """
    if (root / "imagesTr").is_dir():
        with suppress(OSError, ValueError, TypeError, AttributeError):
            labels = json.loads((root / _NNUNET).read_text()).get("labels", {})
            # Older versions have values first.
            pairs = [(key, value) if str(key).isdigit() else (value, key) for key, value in labels.items()]
            return {int(value): str(name) for value, name in pairs if int(value) != 0} or None
        return None
    return {1: "lesion", 2: None} if _challenge_folders(root) else None


def _by_layout(root: Path, channels: Sequence[str], rows: Sequence[Row]) -> list[Scan]:
    if (root / "imagesTr").is_dir():
        return list(_nnunet(root, channels, rows))
    if pre := _challenge_folders(root):
        return list(_challenge(root, pre, channels, rows))
    return list(find_participants(root, channels, rows))


def _all_have(root: Path, channel: str, rows: Sequence[Row]) -> bool:
    with suppress(InputError):
        return bool(_by_layout(root, (channel,), rows))
    return False


def _nnunet(root: Path, channels: Sequence[str], rows: Sequence[Row]) -> Iterator[Scan]:
    numbers = _channel_numbers(root / _NNUNET, channels)
    by_case = {row.participant: row for row in rows}
    cases = {stem(path).rpartition("_")[0] for folder in ("imagesTr", "imagesTs") for path in nifti_files(root / folder)}
    _check_listed(root, rows, cases)
    folders: dict[Split, tuple[str, str]] = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
    for split, (images, labels) in folders.items():
        if split == "test" and not (root / labels).is_dir():
            continue
        files = {stem(path): path for path in nifti_files(root / images)} if (root / images).is_dir() else {}
        masks = {stem(path): path for path in nifti_files(root / labels)} if (root / labels).is_dir() else {}
        for case in sorted({name.rpartition("_")[0] for name in files}):
            found = []
            for number, channel in zip(numbers, channels, strict=True):
                if f"{case}_{number:04d}" not in files:
                    raise InputError(f"{root / images / case}_{number:04d}.nii.gz: no such file; expected channel {channel}")
                found.append(files[f"{case}_{number:04d}"])
            if case not in masks:
                raise InputError(f"{root / labels / case}.nii.gz: no such file; expected the mask of {found[0].name}")
            row = by_case.get(case, Row(case, None, case, split, {}))
            yield Scan(case, row.group, row.split, tuple(found), masks[case])


def _check_listed(root: Path, rows: Sequence[Row], cases: Collection[str]) -> None:
    """Refuse rows of no case, whose group and split would be lost."""
    for row in rows:
        if row.participant not in cases:
            raise no_files(root, row.participant, cases)


def _channel_numbers(path: Path, channels: Sequence[str]) -> list[int]:
    """The number of every channel in file names, from channel_names, or modality as of older versions."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, yet there is imagesTr/; expected channel_names in it, as nnU-Net does")
    try:
        content = json.loads(path.read_text())
        named = content.get("channel_names") or content["modality"]
        numbers = {canonical(str(name)): int(number) for number, name in named.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f'{path}: cannot be read ({error!r}); expected "channel_names": {{"0": "{channels[0]}"}}') from error
    ending = content.get("file_ending", SUFFIXES[0])
    if ending not in SUFFIXES:
        raise InputError(f"{path}: files ending in {ending}; expected {' or '.join(SUFFIXES)}: convert them")
    for channel in channels:
        if canonical(channel) not in numbers:
            raise InputError(
                f"{path}: no channel {channel} among {', '.join(named.values())}; expected every name of data.channels: "
                "correct one of the two"
            )
    return [numbers[canonical(channel)] for channel in channels]


def _challenge_folders(root: Path) -> list[Path]:
    # Split, site, scanner, case; any of the first three may be left out.
    patterns = [f"{'*/' * depth}{CHALLENGE}" for depth in (1, 2, 3, 4)]
    return [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_dir()]


def _challenge(root: Path, folders: Sequence[Path], channels: Sequence[str], rows: Sequence[Row]) -> Iterator[Scan]:
    listed = {row.participant: row for row in rows}
    parts_of = {folder: folder.parent.relative_to(root).parts for folder in folders}
    names = {
        folder: "_".join(part for part in parts if part.lower() not in SPLIT_FOLDERS) for folder, parts in parts_of.items()
    }
    _check_listed(root, rows, names.values())
    for folder, name in names.items():
        named = [SPLIT_FOLDERS[part.lower()] for part in parts_of[folder] if part.lower() in SPLIT_FOLDERS]
        split: Split = named[0] if named else "train"
        row = listed.get(name, Row(name, None, name, split, {}))
        images = find_images(nifti_files(folder), channels, name, folder)
        yield Scan(name, row.group, row.split, images, find_mask(nifti_files(folder.parent, "*"), name, folder.parent))
