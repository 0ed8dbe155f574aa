from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_samples import TWELVE_BITS, TWO_CHANNELS

from rbc_lightning.data.conversions import from_levels, from_unit, to_levels, to_rgb, to_unit
from rbc_lightning.data.spec import ImageSpec


def test_8_bits_are_scaled_as_tensors_are():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_unit(every), torch.from_numpy(every).float().div_(255).numpy())
    np.testing.assert_array_equal(from_unit(to_unit(every)), every)
    np.testing.assert_array_equal(from_levels(to_levels(every)), every)


@pytest.mark.parametrize("spec", [TWO_CHANNELS, TWELVE_BITS])
def test_every_value_survives_the_scaling(spec):
    every = np.arange(spec.value_range[0], spec.value_range[1] + 1).astype(np.uint16)
    unit, levels = to_unit(every, spec), to_levels(every, spec)
    assert (unit.dtype, levels.dtype) == (np.float32, np.float32)
    assert (unit[0], unit[-1], levels[0], levels[-1]) == (0, 1, 0, 255)
    np.testing.assert_array_equal(from_unit(unit, spec), every)
    np.testing.assert_array_equal(from_levels(levels, spec), every)


def test_what_lies_outside_the_range_is_clipped():
    assert to_unit(np.array([0, 65535], np.uint16), TWELVE_BITS).tolist() == [0, 1]
    assert from_unit(np.array([-0.5, 1.5]), TWELVE_BITS).tolist() == [100, 4095]
    assert from_levels(np.array([-3.0, 300.0])).tolist() == [0, 255]


def test_pictures_of_one_two_and_three_channels():
    image = np.array([[[0, 257, 65535, 7]]], np.uint16)
    four = ImageSpec(channels=("a", "b", "c", "d"), value_range=(0, 65535))
    shown = [to_rgb(image[..., :n], replace(four, channels=four.channels[:n]))[0, 0].tolist() for n in (1, 2, 3, 4)]
    assert shown == [[0, 0, 0], [0, 1, 0], [0, 1, 255], [0, 1, 255]]
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb(colour), colour)
