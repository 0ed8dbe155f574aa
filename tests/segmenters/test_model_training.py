"""Settings of a training: what is refused, and with which words."""

import pytest

from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.model import TrainingSettings, check_steps

GOOD = {"steps": 100, "steps_per_epoch": 50, "batch_size": 4, "crop": 256, "ema_decay": 0.99}


def test_whole_images_and_no_running_mean_are_fine():
    TrainingSettings(**GOOD)
    settings = TrainingSettings(**{**GOOD, "crop": None, "ema_decay": 0})
    assert (settings.crop, settings.ema_decay) == (None, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, r"training\.steps=0; expected a whole number of at least 1"),
        ({"steps": "abc"}, r"training\.steps=abc; expected a whole number of at least 1"),
        ({"steps_per_epoch": True}, r"training\.steps_per_epoch=True; expected a whole number"),
        ({"batch_size": 2.5}, r"training\.batch_size=2\.5; expected a whole number"),
        ({"crop": 31}, r"training\.crop=31; expected a whole number of at least 32"),
        ({"ema_decay": 1.0}, r"training\.ema_decay=1\.0; expected a number from 0 \(off\) to below 1, such as 0\.99"),
        ({"ema_decay": "high"}, r"training\.ema_decay=high; expected a number"),
        ({"steps": 75}, r"training\.steps=75 is no multiple of training\.steps_per_epoch=50; .*: take training\.steps=50"),
        ({"steps": 20}, r"training\.steps=20 is no multiple .*: take training\.steps=50, or another training\.steps_per_epoch"),
    ],
)
def test_a_value_out_of_its_range_is_named(change, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**{**GOOD, **change})


def test_steps_of_another_training_are_named_as_its_own():
    check_steps("translator.quality.steps", 100, 50)
    with pytest.raises(
        InputError, match=r"translator\.quality\.steps=120 is no multiple .*: take translator\.quality\.steps=100"
    ):
        check_steps("translator.quality.steps", 120, 50)
