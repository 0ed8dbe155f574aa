"""Locks between processes: those of the kernel, or where a file system has none, leases that a dead holder loses.

A killed process loses either: a lock of the kernel at once, a lease at once on its own machine, and on others when it has given
no sign of life for `LEASE` seconds. All processes must see the file system mounted alike. Mounted with locks of one machine
alone (NFS: nolock, Lustre: localflock), it keeps no two machines apart, which nobody can tell.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

from rbc_lightning.core.progress import tell

LEASE = 120.0
"""Seconds; its holder gives a sign of life three times as often."""
PATIENCE = 5.0
"""Seconds of waiting before it is told."""
# Lustre without the option flock; NFS whose server has no lock service; some file systems in user space.
_NO_LOCKS_HERE = (ENOSYS, ENOLCK, EOPNOTSUPP)


@contextmanager
def locked(path: Path, what: str, announce: Callable[[str], None] = tell) -> Iterator[None]:
    """Hold the lock of a file, waiting for it as long as it takes; a long wait is told in one line.

    Args:
        path: of the lock file, which is made and stays.
        what: is locked, for that line.
        announce: tells it.
    """
    held = try_lock(path, PATIENCE)
    if held is None:
        announce(f"Waiting for {what}, held by {_owner(path)}")
        held = try_lock(path, -1)
    assert held is not None
    with held:
        yield


def try_lock(path: Path, timeout: float = 0.0) -> AbstractContextManager[object] | None:
    """The lock of a file, held until the end of the block; None where another has it after `timeout` seconds (-1: no end)."""
    try:
        try:
            return FileLock(path, on_acquired=_sign).acquire(timeout)
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise
            return _lease(path).acquire(timeout)
    except Timeout:
        return None


def _lease(path: Path) -> SoftFileLease:
    def warn(_: object) -> None:
        tell(
            f"The lease of {path} was lost: another process may be doing the same work; check that its directory can be written"
        )

    return SoftFileLease(path.with_name(f"{path.name}.lease"), lease_duration=LEASE, on_compromise=warn)


def _sign(descriptor: int) -> None:
    """Write into a lock file who holds it."""
    now = datetime.now(UTC).isoformat(" ", "seconds")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()} since {now}".encode(), 0)


def _owner(path: Path) -> str:
    if owner := _lease(path).owner:
        return f"process {owner.pid} on {owner.hostname}"
    with suppress(OSError):
        return path.read_text(errors="replace") or "another process"
    return "another process"
