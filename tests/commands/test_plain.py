from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from rbc_lightning.commands.plain import group, plain, settings
from rbc_lightning.errors import InputError

CONFIG = OmegaConf.create(
    {
        "scale": {"name": "tiny"},
        "model": {"name": "x", "sizes": {"tiny": {"w": 2}}, "net": {"width": "${..sizes.${scale.name}.w}"}},
    }
)


@dataclass
class Two:
    first: int
    second: int = 2

    def __post_init__(self):
        if self.first < 0:
            raise ValueError("first must not be negative")


def test_values_are_resolved_and_sizes_left_out():
    assert group(CONFIG, "model") == {"name": "x", "net": {"width": 2}}
    assert group(CONFIG, "model", "name") == {"net": {"width": 2}}
    assert plain(CONFIG)["model"]["sizes"] == {"tiny": {"w": 2}}


def test_settings_take_the_keys_they_know_and_blame_their_group():
    assert settings({"first": 1, "other": 3}, Two, "two") == Two(1)
    with pytest.raises(InputError, match=r"two: first must not be negative; check the settings two\.\*"):
        settings({"first": -1}, Two, "two")
