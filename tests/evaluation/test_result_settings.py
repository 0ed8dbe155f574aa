import pytest

from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.result import QualitySettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, r"translator\.quality\.steps=0; expected a whole number of at least 1"),
        ({"images": 1}, r"translator\.quality\.images=1; expected a whole number of at least 2"),
        ({"images": 2.5}, r"translator\.quality\.images=2\.5"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        QualitySettings(**{"enabled": True, "steps": 60, "images": 4, **values})


def test_the_network_ends_with_an_epoch():
    message = r"quality\.steps=50 is no multiple of training\.steps_per_epoch=20; .* take translator\.quality\.steps=40"
    with pytest.raises(InputError, match=message):
        QualitySettings(True, 50, 4).check_steps(20)
    QualitySettings(True, 60, 4).check_steps(20)
    # Fewer steps than an epoch has are one epoch.
    QualitySettings(True, 7, 4).check_steps(20)
