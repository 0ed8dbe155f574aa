"""Which checkpoints a GAN training keeps, and what it sees."""

import torch
from pix2pixhd_helpers import TINY
from translator_helpers import make_phase

from rbc_lightning.core.training import LAST
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask
from rbc_lightning.translators.training import fit_gan, kept_checkpoints


class Recorder:
    """A tracking that notes what is asked of it."""

    def __init__(self):
        self.calls = []

    def open(self, directory, **options):
        self.calls.append(("open", options))
        return []

    def close(self, loggers):
        self.calls.append(("close", loggers))


def test_candidates_are_spread_over_the_second_half(tmp_path):
    torch.manual_seed(0)
    tracking, seen = Recorder(), []
    epochs = {"n_epochs": 8, "n_epochs_decay": 0}
    phase = make_phase(candidates=3, tracking=tracking, name="wide", arguments=epochs)
    task = Pix2PixHDTask(**TINY | epochs)
    generate = task.generate
    task.generate = lambda batch: seen.append(tuple(batch["image"].shape)) or generate(batch)
    fit_gan(phase, tmp_path, task, job="gan", crop=32)
    # After epochs 5, 6 and 7 of 8, counted from 0 in their names.
    assert [path.stem for path in kept_checkpoints(tmp_path)] == ["epoch=0004", "epoch=0005", "epoch=0006", "last"]
    assert kept_checkpoints(tmp_path)[-1] == tmp_path / LAST
    assert seen == [(1, 3, 32, 32)] * 16
    assert tracking.calls == [("open", {"job": "gan", "tags": ["wide"]}), ("close", [])]
