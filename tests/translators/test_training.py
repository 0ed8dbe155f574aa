"""Which checkpoints a GAN training keeps, and what it sees."""

import itertools

import pytest
import torch
from pix2pixhd_helpers import TINY
from translator_helpers import make_phase

from rbc_lightning.core.training import LAST
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask
from rbc_lightning.translators.training import candidate_epochs, fit_gan, kept_checkpoints


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


@pytest.mark.parametrize(
    ("candidates", "epochs", "expected"),
    [
        (4, 40, [24, 28, 32, 36]),
        (4, 41, [25, 29, 33, 37]),
        (3, 8, [5, 6, 7]),
        (4, 4, [1, 2, 3]),
        (1, 1, []),
        (2, 5, [3, 4]),
        (0, 9, []),
    ],
)
def test_candidates_of_a_training(candidates, epochs, expected):
    assert candidate_epochs(candidates, epochs) == expected


def test_as_many_are_kept_as_asked_for_whatever_the_epochs():
    for epochs in range(1, 130):
        for candidates in range(epochs + 3):
            kept = candidate_epochs(candidates, epochs)
            assert len(set(kept)) == min(candidates, epochs - 1)
            assert kept == sorted(kept)
            assert all(0 < epoch < epochs for epoch in kept)
            if epochs >= 2 * (candidates + 1):
                assert all(epoch >= epochs / 2 for epoch in kept)
                steps = {b - a for a, b in itertools.pairwise(kept)}
                assert not steps or max(steps) - min(steps) <= 1
