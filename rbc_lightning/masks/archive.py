"""Arrays in versioned .npz files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(path: Path, version: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and a version number as a compressed .npz file, atomically.

    Args:
        path: the file to write; its folder must exist.
        version: of the format.
        arrays: by name.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **{**arrays, "version": np.asarray(version)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_arrays(path: Path, version: int, fields: Sequence[str], what: str, maker: str) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote.

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
        if not {"version", *fields} <= set(archive.files):
            raise ValueError(f"{path} is not a {what}: it holds {sorted(archive.files)}; make it with save()")
        if int(archive["version"]) != version:
            raise ValueError(
                f"{path} is a {what} of version {int(archive['version'])}, expected {version}; make it again with {maker}"
            )
        return {field: archive[field] for field in fields}
