"""Locks of the kernel, and leases on file systems that have none."""

import fcntl
import multiprocessing
import os
import platform
import re
import time
from errno import EIO, ENOLCK, ENOSYS, EOPNOTSUPP

import pytest

from rbc_lightning.core import locks
from rbc_lightning.core.locks import locked, try_lock

FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=[None, ENOSYS, ENOLCK, EOPNOTSUPP], ids=["kernel", "ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def path(request, tmp_path, monkeypatch):
    """A lock file, on a file system with locks or one that refuses them."""
    if request.param is not None:
        refuse(monkeypatch, request.param)
    return tmp_path / "a.lock"


@pytest.fixture
def held(path):
    """A lock that another process holds; gives the process."""
    begun = FORK.Event()
    holder = FORK.Process(target=hold, args=(path, begun))
    holder.start()
    assert begun.wait(20)
    yield holder
    holder.kill()
    holder.join()


def refuse(monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def hold(path, begun):
    with locked(path, "it"):
        begun.set()
        time.sleep(120)


def test_one_process_has_it_and_a_killed_one_no_longer(path, held):
    assert try_lock(path) is None
    held.kill()
    held.join()
    with try_lock(path, 5) as lock:
        assert lock is not None
    with locked(path, "it", announce=pytest.fail):
        pass


def test_a_long_wait_is_told_once_with_the_holder(path, held, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    told = []

    def announce(line):
        told.append(line)
        held.kill()
        held.join()

    with locked(path, "shape bank 12ab", announce):
        pass
    (line,) = told
    assert line.startswith(f"Waiting for shape bank 12ab, held by process {held.pid} on {platform.node()}")


def test_the_time_since_when_it_is_held_is_told_where_it_is_known(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text("a longer line than that of the next holder, left by an earlier one" * 3)
    with locked(path, "it"):
        assert re.fullmatch(rf"process {os.getpid()} on .+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", path.read_text())


def test_a_dead_holder_on_another_machine_loses_its_lease_after_a_while(tmp_path, monkeypatch):
    refuse(monkeypatch, ENOSYS)
    monkeypatch.setattr(locks, "LEASE", 1.0)
    path, begun = tmp_path / "a.lock", FORK.Event()
    holder = FORK.Process(target=hold, args=(path, begun))
    holder.start()
    assert begun.wait(20)
    # Alive it keeps the lease for longer than that.
    assert try_lock(path, 2.0) is None
    holder.kill()
    holder.join()
    (marker,) = tmp_path.glob("*.lease")
    marker.write_text(re.sub(r"(?m)^host=.*$", "host=elsewhere", marker.read_text()))
    assert try_lock(path, 0.3) is None
    assert "on elsewhere" in locks._owner(path)
    with try_lock(path, 10) as lock:
        assert lock is not None


def test_what_is_no_lack_of_locks_is_no_lock(tmp_path, monkeypatch):
    refuse(monkeypatch, EIO)
    with pytest.raises(OSError, match=os.strerror(EIO)):
        try_lock(tmp_path / "a.lock")
    assert not list(tmp_path.glob("*.lease"))
