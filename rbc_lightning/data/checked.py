"""Which files of a data set passed all checks before, so that no stage decodes and hashes them anew."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rbc_lightning.core.files import file_sha256, write_json

CHECKS = 1
"""Raised when more or other things are checked: everything is then read once more."""
# A file that changes twice within the clock's resolution may keep its time; so only what has rested is remembered.
_RESTED_NS = 2 * 10**9


class CheckedPairs:
    """Hashes of files that passed all checks, remembered by path, size, and times of change.

    Args:
        path: a JSON file; what is no such file of this version counts as empty. None remembers nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._opened = path, time.time_ns()
        self._known: dict[str, Any] = _read(path) if path else {}
        self._now: dict[str, Any] = {}

    def hashes(self, files: Sequence[Path], check: Callable[[], None], beside: Sequence[Path] = ()) -> tuple[str, ...]:
        """SHA-256 of files that belong together; `check` is called first, unless all passed it and are the same since.

        Args:
            files: image and label map, or all of a scan; the first names them.
            check: raises where something is wrong.
            beside: more files that `check` reads.
        """
        states = [_state(path) for path in (*files, *beside)]
        name = states[0][0]
        entry = self._known.get(name)
        if entry is None or entry["files"] != states:
            check()
            entry = {"files": states, "sha256": [file_sha256(path) for path in files]}
        self._now[name] = entry
        return tuple(entry["sha256"])

    def save(self) -> None:
        """Write what was asked for, atomically; without a word where that is not possible, since nothing depends on it."""
        rested = {name: entry for name, entry in self._now.items() if self._has_rested(entry)}
        if self.path and rested and rested != self._known:
            with suppress(OSError):
                write_json(self.path, {"checks": CHECKS, "pairs": rested})

    def _has_rested(self, entry: dict[str, Any]) -> bool:
        return all(max(times) < self._opened - _RESTED_NS for _, _, *times in entry["files"])


def _state(path: Path) -> list[Any]:
    """Path, size, and times of the last change of its bytes and of anything about it, in ns."""
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        if content["checks"] != CHECKS:
            return {}
        return {name: {"files": entry["files"], "sha256": entry["sha256"]} for name, entry in content["pairs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
