"""Restarts: when a training begins again, what is left of the attempt given up, and what a kill in between changes."""

import json

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import LAST
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.segmenters import restarts
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.restarts import RESTARTS, Restart, StartAgain, read_restarts
from rbc_lightning.segmenters.training import BEST, fit

TRAINING = TrainingSettings(steps=6, steps_per_epoch=2, batch_size=1)
TRAINER = TrainerSettings(precision="32-true", progress_bar=False)
ALWAYS = (1.0,) * 6


class Losses:
    """Losses that are given, one after the other; the gradient moves the weights all the same."""

    def __init__(self, *values):
        self.values = iter(values)

    def __call__(self, logits, target):
        value = next(self.values) if torch.is_grad_enabled() else 0.0
        return logits.mean() * 1e-3 - logits.mean().detach() * 1e-3 + value


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        image, label_map = torch.rand(1, 3, 16, 16), torch.ones(1, 16, 16, dtype=torch.int64)
        batch = {"image": image, "label_map": label_map, "sample_id": ["a"], "origin": ["real"]}
        return DataLoader([batch, batch], batch_size=None)

    val_dataloader = train_dataloader


def train(directory, *losses, restart=None):
    task = Model(
        "three",
        {"_target_": "plugins.segmenter.ThreeConvolutions"},
        {"_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask", "threshold": 0.5},
    ).build()
    task.loss, task.restart = Losses(*losses), restart or Restart(times=2)
    fit(TRAINER, TRAINING, directory, task, Data(), seed=0)


def test_a_first_epoch_above_the_loss_is_given_up_and_recorded(tmp_path, capsys):
    with pytest.raises(StartAgain):
        train(tmp_path, 1.0, 0.99)
    assert json.loads((tmp_path / RESTARTS).read_text()) == {"restarts": [{"epoch": 1, "loss": pytest.approx(0.995)}]}
    line = "Restart 1 of at most 2: mean loss 0.9950 of epoch 1 is above 0.99; the training begins again with the next seed"
    assert line in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.ckpt"))
    # The mean counts.
    train(tmp_path, 1.0, 0.97, 0.5, 0.5, 0.98, 0.98)
    assert len(read_restarts(tmp_path)) == 1
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 6
    assert (tmp_path / BEST).is_file()


def test_a_later_epoch_counts_as_the_first_does(tmp_path):
    with pytest.raises(StartAgain):
        train(tmp_path, 0.5, 0.5, 1.0, 1.0)
    assert read_restarts(tmp_path) == [{"epoch": 2, "loss": 1.0}]


def test_after_so_many_restarts_it_is_given_up_and_stays_so(tmp_path):
    for _ in range(2):
        with pytest.raises(StartAgain):
            train(tmp_path, *ALWAYS)
    # Nothing is trained a fourth time.
    message = (
        r"^mean loss 1\.0000 of epoch 1 is above 0\.99, as in 2 attempts with other seeds before; expected a lower one: take"
    )
    for losses in (ALWAYS, ()):
        with pytest.raises(TrainingStopped, match=message):
            train(tmp_path, *losses)


@pytest.mark.parametrize("killed_in", ["write_json", "_remove"])
def test_killed_while_it_gives_up_it_gives_up_once(tmp_path, monkeypatch, killed_in):
    with monkeypatch.context() as patch:
        patch.setattr(restarts, killed_in, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, *ALWAYS)
    assert (tmp_path / LAST).is_file()
    if killed_in == "write_json":
        with pytest.raises(StartAgain):
            train(tmp_path)
    train(tmp_path, *(0.5,) * 6)
    assert len(read_restarts(tmp_path)) == 1


def test_one_is_never_reached_by_a_loss_up_to_one(tmp_path):
    train(tmp_path, *ALWAYS, restart=Restart(above=1))
    assert read_restarts(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"above": 0}, "above must be a positive loss such as 0.99, or 1 for never, got 0"),
        ({"times": -1}, "times must be a whole number of at least 0, got -1"),
        ({"times": 1.5}, "times must be a whole number of at least 0, got 1.5"),
    ],
)
def test_values_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Restart(**settings)
