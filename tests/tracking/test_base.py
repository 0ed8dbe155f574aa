"""What a tracking without an online service does: nothing; and packages that only some settings need."""

import sys

import pytest

from rbc_lightning.errors import InputError
from rbc_lightning.tracking.base import Tracking, opened, require


class Silent(Tracking):
    def open(self, directory, *, job, tags, facts=None):
        return []


def test_nothing_is_shown_anywhere(tmp_path):
    tracking = Silent()

    def fail(run):
        pytest.fail("there is nothing to show it to")

    tracking.show([], "the summary", fail)
    tracking.show_once(tmp_path, job="translator", tags=[], action=fail)
    tracking.close([])
    assert list(tmp_path.iterdir()) == []


class Recorder(Silent):
    """Notes what is closed, and by which exception."""

    def __init__(self):
        self.closed = []

    def open(self, directory, *, job, tags, facts=None):
        return [directory.name, job, tags]

    def close(self, loggers):
        self.closed.append((loggers, sys.exception()))


def test_loggers_are_closed_however_a_training_ends(tmp_path):
    tracking, stopped, expected = Recorder(), KeyboardInterrupt(), ["run", "train", ["rd"]]
    with opened(tracking, tmp_path / "run", job="train", tags=["rd"]) as loggers:
        assert (loggers, tracking.closed) == (expected, [])
    with pytest.raises(KeyboardInterrupt), opened(tracking, tmp_path / "run", job="train", tags=["rd"]):
        raise stopped
    # A service is shown whether the training failed.
    assert tracking.closed == [(expected, None), (expected, stopped)]
    with opened(None, tmp_path, job="train", tags=[]) as loggers:
        assert loggers == []


def test_a_package_is_looked_for_without_importing_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    require("wave", "logger=wave")
    assert "wave" not in sys.modules


def test_a_missing_one_is_named_with_pips_command():
    with pytest.raises(InputError, match=r"^logger=x needs the package no-such: install it \(pip install no-such\), or wait$"):
        require("no-such", "logger=x", ", or wait")
