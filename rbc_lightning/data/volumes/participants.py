"""The table of participants: groups, splits and, where names do not tell, files of scans."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rbc_lightning.core.files import read_table_text
from rbc_lightning.data.sample import SPLITS, Split
from rbc_lightning.data.volumes.names import canonical
from rbc_lightning.data.volumes.nifti import FOREIGN, SUFFIXES
from rbc_lightning.errors import InputError

TABLE = "participants.tsv"
MASK_COLUMNS = ("mask", "dseg", "seg", "labels", "label")
"""Columns that name masks, in whatever case."""

# Columns that say what group does, and would be passed over.
_PATIENTS = ("patient", "patient_id", "subject", "subject_id")
# Of spreadsheets and texts, in whatever case.
_TABLES = (".tsv", ".csv", ".txt", ".xls", ".xlsx", ".ods")
_ABSENT = ("", "n/a")


@dataclass(frozen=True)
class Row:
    """One row: a participant, or one session of it; files by `canonical` channel, and by "mask"."""

    participant: str
    session: str | None
    group: str
    split: Split
    files: Mapping[str, Path]


def read_rows(root: Path) -> list[Row]:
    """The rows of participants.tsv in a folder, see `read_table`; none where there is no table.

    Raises:
        InputError: there is one of another name or kind, which would be passed over.
    """
    if (root / TABLE).is_file():
        return read_table(root / TABLE)
    for path in sorted(root.iterdir()):
        if path.stem.lower() == Path(TABLE).stem and path.suffix.lower() in _TABLES:
            raise InputError(f"{path}: not read; expected {TABLE}, columns parted by tabs: save it so, or take it away")
    return []


def read_table(path: Path) -> list[Row]:
    """Read participants.tsv: participant_id and, where wanted, group, split, session_id, and columns of files.

    Without a group the participant is one; without a split all is train. A column of a channel's name, or mask, may hold
    paths of files, from the table's folder on: they go before what files are called. Other columns are not looked at.

    Raises:
        InputError: names the line: no such column or file, an unknown split, a row given twice.
    """
    rows: dict[tuple[str, str | None], Row] = {}
    reader = csv.DictReader(StringIO(read_table_text(path)), delimiter="\t")
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    if "participant_id" not in columns:
        raise InputError(
            f"{path}: columns {', '.join(map(str, columns))}; expected participant_id and, where known, group (the "
            "patient) and split, parted by tabs"
        )
    if "group" not in columns and (called := [columns[name] for name in _PATIENTS if name in columns]):
        raise InputError(
            f"{path}: column {called[0]}, but no group, which says whose scan a row is; expected group: call {called[0]} so, "
            "or by another name if it is something else"
        )
    for line, row in enumerate(reader, start=2):
        values = {name: _plain(row.get(original)) for name, original in columns.items()}
        if not any(values.values()):
            continue
        found = _row(path, line, values)
        key = found.participant, found.session
        if key in rows:
            raise InputError(
                f"{path}, line {line}: {found.participant!r} ({found.split}) is listed before ({rows[key].split}); "
                "expected one row for each participant, or for each of its sessions (column session_id): drop one"
            )
        rows[key] = found
    if not rows:
        raise InputError(f"{path}: no rows; expected one for each participant")
    return list(rows.values())


def _row(path: Path, line: int, values: Mapping[str, str]) -> Row:
    participant, split = values["participant_id"], values.get("split", "").lower() or "train"
    if not participant:
        raise InputError(f"{path}, line {line}: no participant_id; expected the name of a folder, or of files")
    if split not in SPLITS:
        raise InputError(f"{path}, line {line}: split {split!r} of {participant}; expected one of {', '.join(SPLITS)}")
    files = {}
    for name, value in values.items():
        if value.lower().endswith((*SUFFIXES, *FOREIGN)):
            file = path.parent / value
            if not file.is_file():
                raise InputError(f"{path}, line {line}, column {name}: no file {file}; expected a path from {path.parent} on")
            files["mask" if name in MASK_COLUMNS else canonical(name)] = file
    return Row(participant, values.get("session_id") or None, values.get("group") or participant, split, files)


def _plain(value: str | None) -> str:
    plain = (value or "").strip()
    return "" if plain.lower() in _ABSENT else plain
