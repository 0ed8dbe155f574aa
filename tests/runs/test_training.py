"""Trainings of runs that begin again: what is recorded, and that a kill in between changes nothing."""

import functools

import pytest
from training_helpers import Killed, assert_same, weights

from rbc_lightning.app import run
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.segmenters.segmentation import SegmentationTask

WMH = ("+experiment=rd", "model=wmh_unet")


def disturb(monkeypatch, lose, die):
    """Make the first training steps of a task, so many, have a loss of more than 1.5, and let one fail; -1: none."""
    original, calls = SegmentationTask.training_step, []

    @functools.wraps(original)
    def training_step(self, batch):
        calls.append(None)
        if len(calls) == die:
            raise Killed
        return original(self, batch) + (1.5 if len(calls) <= lose else 0)

    monkeypatch.setattr(SegmentationTask, "training_step", training_step)


def test_a_restart_is_recorded_and_a_kill_behind_it_changes_nothing(tmp_path, compose_tiny, monkeypatch):
    whole, killed = (compose_tiny(tmp_path / name, *WMH) for name in ("whole", "killed"))
    with monkeypatch.context() as patch:
        disturb(patch, lose=2, die=-1)
        first = run(whole)
    # In the second epoch of the second attempt.
    with monkeypatch.context() as patch:
        disturb(patch, lose=2, die=5)
        with pytest.raises(Killed):
            run(killed)
    second = run(killed)
    assert first.metrics["restarts"] == second.metrics["restarts"]
    assert [restart["epoch"] for restart in first.metrics["restarts"]] == [1]
    assert_same(*(weights(each.directory / "checkpoints" / "best.ckpt") for each in (first, second)))
    assert (first.directory / "drawn.csv").read_text() == (second.directory / "drawn.csv").read_text()


def test_a_loss_that_stays_high_ends_in_one_line(tmp_path, compose_tiny):
    stubborn = ("model.task.restart.above=0.01", "model.task.restart.times=1")
    message = r"^mean loss 0\.\d+ of epoch 1 is above 0\.01, as in 1 attempt with other seeds before;"
    with pytest.raises(TrainingStopped, match=message):
        run(compose_tiny(tmp_path, *WMH, *stubborn))
