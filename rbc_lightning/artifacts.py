"""The artifact store: directories keyed by what they were made from, built once, and whole or not at all."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, ListConfig, OmegaConf

from rbc_lightning import __version__

_LINEAGE = "lineage.json"
_HASH_LENGTH = 16


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its directory, its key, and whether this call found it made already."""

    kind: str
    path: Path
    key: str
    reused: bool

    @property
    def lineage(self) -> dict[str, Any]:
        """What `lineage.json` holds: settings, inputs, package version, time."""
        content: dict[str, Any] = json.loads((self.path / _LINEAGE).read_text())
        return content


class ArtifactStore:
    """Directories `<root>/<kind>/<key>`, the key being a hash of settings and inputs.

    A builder writes into `<key>.partial` under a lock and the finished directory is renamed: whoever reads sees a whole
    artifact or none, and two processes that want the same one build it once. The partial directory of a killed
    builder stays, so that a builder able to resume finds its own work.

    Attributes:
        used: key by kind of everything asked for so far.
    """

    def __init__(self, root: Path, announce: Callable[[str], None] = print) -> None:
        self.root = root.resolve()
        self.announce = announce
        self.used: dict[str, str] = {}

    def get(
        self, kind: str, settings: Mapping[str, Any] | DictConfig, inputs: Sequence[str], build: Callable[[Path], None]
    ) -> Artifact:
        """Return the artifact of this kind, settings and inputs, building it first if it is not there.

        Args:
            kind: directory name and human name, such as "translator".
            settings: everything that decides the content; plain values or resolved config.
            inputs: hashes of what it is made from, in a fixed order.
            build: writes the content into the directory it is given; may find an earlier, interrupted attempt there.
        """
        lineage, final = self._describe(kind, settings, inputs)
        partial = final.with_suffix(".partial")

        def build_whole() -> None:
            resumed = partial.is_dir()
            partial.mkdir(exist_ok=True)
            self.announce(f"{'Resuming' if resumed else 'Building'} {kind} {final.name}")
            try:
                build(partial)
            except BaseException:
                # An attempt that made nothing leaves nothing.
                if not any(partial.iterdir()):
                    partial.rmdir()
                raise
            _write_lineage(partial, lineage)
            partial.rename(final)

        return self._once(kind, final, final.is_dir, build_whole)

    def extend(
        self,
        kind: str,
        settings: Mapping[str, Any] | DictConfig,
        inputs: Sequence[str],
        complete: Callable[[Path], bool],
        build: Callable[[Path], None],
    ) -> Artifact:
        """Return an artifact that grows: files are only ever added, and a table written last and whole names them.

        Args:
            kind: see `get`.
            settings: see `get`.
            inputs: see `get`.
            complete: whether the directory holds enough.
            build: adds what is missing; must leave what is there as it is, and write its table atomically at the end.
        """
        lineage, final = self._describe(kind, settings, inputs)

        def build_more() -> None:
            grown = final.is_dir()
            final.mkdir(exist_ok=True)
            if not (final / _LINEAGE).is_file():
                _write_lineage(final, lineage)
            self.announce(f"{'Extending' if grown else 'Building'} {kind} {final.name}")
            build(final)

        return self._once(kind, final, lambda: complete(final), build_more)

    def _describe(self, kind: str, settings: object, inputs: Sequence[str]) -> tuple[dict[str, Any], Path]:
        lineage = {"kind": kind, "settings": to_plain(settings), "inputs": list(inputs)}
        return lineage, self.root / kind / content_hash(lineage)

    def _once(self, kind: str, final: Path, done: Callable[[], bool], build: Callable[[], None]) -> Artifact:
        if not done():
            final.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(final.with_suffix(".lock"), kind):
                # Another process may have finished it while this one waited for the lock.
                if not done():
                    build()
                    self.used[kind] = final.name
                    return Artifact(kind, final, final.name, reused=False)
        if self.used.get(kind) != final.name:
            self.used[kind] = final.name
            self.announce(f"Reused {kind} {final.name}")
        return Artifact(kind, final, final.name, reused=True)

    @contextmanager
    def _locked(self, path: Path, kind: str) -> Iterator[None]:
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.announce(f"Waiting for another process that builds the same {kind}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _write_lineage(directory: Path, lineage: Mapping[str, Any]) -> None:
    made = {
        "version": __version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    part = directory / f".{_LINEAGE}.part"
    part.write_text(json.dumps({**lineage, **made}, indent=2, sort_keys=True))
    part.replace(directory / _LINEAGE)


def to_plain(settings: Any) -> Any:  # noqa: ANN401 (any JSON-able value, nested)
    """Resolve configs into plain containers that JSON can hold, with a stable form for hashing."""
    if isinstance(settings, DictConfig | ListConfig):
        return OmegaConf.to_container(settings, resolve=True)
    if isinstance(settings, Mapping):
        return {str(key): to_plain(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [to_plain(value) for value in settings]
    if isinstance(settings, Path):
        return str(settings)
    return settings


def content_hash(value: object) -> str:
    """Short hexadecimal hash of a JSON-able value; equal values give equal hashes whatever their key order."""
    return sha256(json.dumps(to_plain(value), sort_keys=True).encode()).hexdigest()[:_HASH_LENGTH]
