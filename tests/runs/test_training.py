"""Trainings of runs that begin again: what is recorded, and that a kill in between changes nothing."""

import functools

import pytest
from training_helpers import Killed, assert_same, die_at, weights

from rbc_lightning.app import run
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.segmenters.segmentation import SegmentationTask

WMH = ("+experiment=rd", "model=wmh_unet")


def lose(monkeypatch, n):
    """Make the first `n` training steps of a task have a loss of 1.5."""
    original, calls = SegmentationTask.training_step, []

    @functools.wraps(original)
    def training_step(self, batch, *rest):
        calls.append(None)
        return original(self, batch, *rest) + (1.5 if len(calls) <= n else 0)

    monkeypatch.setattr(SegmentationTask, "training_step", training_step)


def test_a_restart_is_recorded_and_a_kill_behind_it_changes_nothing(tmp_path, compose_tiny, monkeypatch):
    made = []
    for step in (-1, 5):
        with monkeypatch.context() as patch:
            lose(patch, 2)
            die_at(SegmentationTask, patch, step)
            cfg = compose_tiny(tmp_path / str(step), *WMH)
            if step > 0:
                with pytest.raises(Killed):
                    run(cfg)
        with monkeypatch.context() as patch:
            lose(patch, 2 if step < 0 else 0)
            made.append(run(cfg))
    first, second = made
    assert [len(each.metrics["restarts"]) for each in made] == [1, 1]
    assert_same(*(weights(each.directory / "checkpoints" / "best.ckpt") for each in made))
    assert (first.directory / "drawn.csv").read_text() == (second.directory / "drawn.csv").read_text()


def test_a_loss_that_stays_high_ends_in_one_line(tmp_path, compose_tiny):
    stubborn = ("model.task.restart.above=0.01", "model.task.restart.times=1")
    with pytest.raises(
        TrainingStopped, match=r"^mean loss 0\.\d+ of epoch 1 is above 0\.01, after 1 restarts with other seeds;"
    ):
        run(compose_tiny(tmp_path, *WMH, *stubborn))
