"""Folders in the manner of BIDS: files that belong to a participant, and a session, by their names or folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rbc_lightning.data.volumes.names import find_images, find_mask, nifti_files, refuse_foreign, some_of
from rbc_lightning.data.volumes.nifti import stem
from rbc_lightning.data.volumes.participants import TABLE, Row, read_table
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.errors import InputError

_PARTICIPANT, _SESSION = "sub-", "ses-"
# Not of scans that are to be read.
_SKIPPED = "sourcedata"


def find_participants(root: Path, channels: Sequence[str], rows: Sequence[Row]) -> Iterator[Scan]:
    """The scans of every row or, without rows, of all that is called sub-*, each a group of its own; names in whatever case."""
    files: dict[str, list[Path]] = {}
    spelled: dict[str, str] = {}
    for path in nifti_files(root):
        if _SKIPPED not in path.relative_to(root).parts:
            for token in sorted(_tokens(path, root)):
                files.setdefault(token.lower(), []).append(path)
                spelled.setdefault(token.lower(), token)
    names = sorted(spelled[name] for name in files if name.startswith(_PARTICIPANT) and "_" not in name)
    for row in rows or [Row(name, None, name, "train", {}) for name in names or folders_of_participants(root)]:
        aliases = _aliases(row.participant)
        own = next((files[name] for name in aliases if name in files), [])
        place = next((path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in aliases), root)
        if not (own or row.files):
            refuse_foreign(sorted(path for path in place.rglob("*") if path.is_file()) if place != root else [])
            raise no_files(root, row.participant, names)
        sessions = _sessions(own, root)
        if row.session:
            wanted = row.session if row.session.lower().startswith(_SESSION) else _SESSION + row.session
            if sessions and not row.files and wanted.lower() not in map(str.lower, sessions):
                raise InputError(
                    f"{root}: no files of session {row.session!r} of {row.participant!r}; expected one of {some_of(sessions)}: "
                    "mend the table"
                )
            sessions = [wanted]
        for session in sessions or [""]:
            here = [path for path in own if not session or _session(path, root).lower() in (session.lower(), "")]
            name = f"{row.participant}_{session}" if session else row.participant
            images = find_images(here, channels, name, place, row.files)
            yield Scan(name, row.group, row.split, images, row.files.get("mask") or find_mask(here, name, place))


def no_files(root: Path, participant: str, names: Iterable[str]) -> InputError:
    """Of a row of the table of which there is nothing, where others are."""
    there = some_of(sorted(names))
    return InputError(
        f"{root}: no files of participant {participant!r}; expected a folder, or files, of that name"
        f"{f' among {there}' if there else ''}: mend the table ({TABLE}), or add them"
    )


def folders_of_participants(root: Path) -> list[str]:
    """Names of folders called sub-*."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name.lower().startswith(_PARTICIPANT))


def unlisted(root: Path) -> list[str]:
    """Folders of participants that the table does not list; none without a table."""
    if not (root / TABLE).is_file():
        return []
    listed = {name for row in read_table(root / TABLE) for name in _aliases(row.participant)}
    return [name for name in folders_of_participants(root) if name.lower() not in listed]


def _tokens(path: Path, root: Path) -> set[str]:
    """What may be the participant that a file belongs to: folders above it, and beginnings of its name."""
    parts = stem(path).split("_")
    return {*path.relative_to(root).parts[:-1], *("_".join(parts[:count]) for count in range(1, len(parts)))}


def _sessions(files: Iterable[Path], root: Path) -> list[str]:
    return sorted({session for path in files if (session := _session(path, root))})


def _session(path: Path, root: Path) -> str:
    parts = [*path.relative_to(root).parts[:-1], *stem(path).split("_")]
    return next((part for part in parts if part.lower().startswith(_SESSION)), "")


def _aliases(participant: str) -> tuple[str, ...]:
    return participant.lower(), f"{_PARTICIPANT}{participant.lower()}"
