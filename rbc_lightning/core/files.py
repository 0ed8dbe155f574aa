"""Writing files whole or not at all, reading what was written, and hashes of files and values."""

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.errors import InputError

_HASH_LENGTH = 16


def check_name(setting: str, name: object) -> str:
    """A name that becomes part of a directory's name: everything else would put the directory where nobody looks for it.

    Args:
        setting: how it is set, as `data.name`.
        name: its value; on a command line, a name of digits alone is a number.

    Raises:
        InputError: the name holds separators of paths, or other characters that a file system or a shell may refuse.
    """
    if not re.fullmatch(r"\w[\w .+-]*", str(name)):
        raise InputError(
            f"{setting}={name}; expected letters, digits, spaces and . _ + -, a letter or digit first, since it names "
            "directories: rename it"
        )
    return str(name)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary name in the same directory, then rename it: a reader sees all of a file or none."""
    with _part_of(path) as part:
        write(part)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends, and leaves nothing behind when it fails."""
    with _part_of(path) as part, part.open("wb") as file:
        yield file


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys, atomically."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write CSV, atomically."""
    with _part_of(path) as part, part.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write dicts with equal keys as CSV, atomically."""
    header = list(rows[0])
    write_csv(path, header, ([row[name] for name in header] for row in rows))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], version: int | None = None) -> None:
    """Write arrays, and a version number of their format if there is one, as a compressed .npz file, atomically."""
    numbered = {} if version is None else {"version": np.asarray(version)}
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **{**arrays, **numbered})


def read_arrays(path: Path, version: int, fields: Sequence[str], what: str, maker: str) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote with a version.

    Args:
        path: the .npz file.
        version: the one expected.
        fields: names of the arrays expected.
        what: the file's contents, for messages.
        maker: the function that makes such contents, for messages.

    Returns:
        The arrays by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks arrays, or is of another version.
    """
    with np.load(path, allow_pickle=False) as archive:
        found = set(archive.files)
        # An older version may lack arrays; a file of another kind has none of them.
        if "version" in found and found & set(fields) and int(archive["version"]) != version:
            raise ValueError(
                f"{path} is a {what} of version {int(archive['version'])}, expected {version}; make it again with {maker}"
            )
        if not {"version", *fields} <= found:
            raise ValueError(f"{path} is not a {what}: it holds {sorted(found)}; make it with save()")
        return {field: archive[field] for field in fields}


def read_table_text(path: Path) -> str:
    """The text of a table that a user wrote, UTF-8 with or without a mark of byte order; `InputError` for another encoding."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 ({error.reason} at byte {error.start}); expected a table as UTF-8: save it so"
        ) from error


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def to_plain(value: Any) -> Any:  # noqa: ANN401 (any nested value)
    """Nested mappings, sequences, dataclasses and paths as containers that JSON can hold, in a stable form."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return value


def content_hash(value: object) -> str:
    """Short hexadecimal hash of a JSON-able value; equal values give equal hashes whatever their key order."""
    return sha256(json.dumps(to_plain(value), sort_keys=True).encode()).hexdigest()[:_HASH_LENGTH]


@contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
