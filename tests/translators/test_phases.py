"""What the trainings of all GAN translators share as recipes."""

import torch
from translator_helpers import make_phase

from rbc_lightning.core.training import LAST
from rbc_lightning.translators.phases import arguments_of, steps_per_epoch


def test_an_epoch_generates_as_many_images_as_there_are_samples(tmp_path):
    assert [steps_per_epoch(5, batch) for batch in (1, 2, 5, 9)] == [5, 2, 1, 1]
    phase = make_phase(5, batch_size=2, arguments={"n_epochs": 3, "n_epochs_decay": 4})
    assert (phase.epochs, phase.steps, phase.done_units(tmp_path)) == (7, 14, 0)
    (tmp_path / LAST).parent.mkdir()
    torch.save({"epoch": 2}, tmp_path / LAST)
    assert phase.done_units(tmp_path) == 6


def test_arguments_have_their_defaults_but_for_the_description_of_the_images():
    task = {"_target_": "rbc_lightning.translators.pix2pix.task.ModeSeekingPix2PixTask", "size": 32}
    arguments = arguments_of(task)
    assert (arguments["size"], arguments["n_downsample"], arguments["_target_"]) == (32, 8, task["_target_"])
    assert "image" not in arguments
