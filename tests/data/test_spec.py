from dataclasses import asdict

import numpy as np
import pytest
from plain_samples import LESIONS, TWELVE_BITS, TWO_CHANNELS

from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.errors import InputError


def test_the_default_is_8_bit_colour_with_dark_cells():
    assert (RGB.n_channels, RGB.dtype, RGB.labels, RGB.objects) == (3, np.uint8, "instances", "dark")
    assert (TWO_CHANNELS.n_channels, TWO_CHANNELS.dtype) == (2, np.uint16)
    assert ImageSpec(channels=["a"], value_range=[0, 255], spacing=[1, 2]) == ImageSpec(("a",), spacing=(1, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value_range": (5, 5)}, r"value_range \(5, 5\); expected 0 <= smallest < largest <= 65535"),
        ({"value_range": (-1, 1)}, "expected 0 <= smallest"),
        ({"value_range": (0, 70000)}, "largest <= 65535"),
        ({"channels": ()}, r"channels \(\), classes .*expected one or more, all different"),
        ({"channels": ("a", "a")}, "all different"),
        ({"labels": "boxes"}, "labels 'boxes', objects 'dark'; expected 'instances' or 'classes'"),
        ({"objects": "red"}, "objects 'red'; expected .* 'dark' or 'bright'"),
    ],
)
def test_a_spec_is_checked_when_made(settings, message):
    with pytest.raises(InputError, match=message):
        ImageSpec(**settings)


@pytest.mark.parametrize(
    "settings", [{"context": ("brain",)}, {"labels": "classes", "classes": ("brain",), "context": ("brain",)}]
)
def test_context_is_of_classes_and_named_once(settings):
    with pytest.raises(InputError, match="expected names of classes, all different"):
        ImageSpec(**settings)


def test_what_came_later_enters_keys_only_where_it_is_used():
    assert set(asdict(TWELVE_BITS)) - set(TWELVE_BITS.decisive()) == {"context", "upright", "standard"}
    assert LESIONS.decisive()["standard"] == (0.4, 0.1)
