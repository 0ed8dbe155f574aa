import numpy as np
import pytest
from tiny_data import disc_smear

from rbc_lightning.evaluation.held_out import gather_held_out, measure_image
from rbc_lightning.evaluation.realism import cell_crops, region_colors


def test_the_references_are_those_of_the_held_out_pairs(place, network, held_out):
    assert tuple(sample.sample_id for sample in held_out.samples) == place.val.ids
    assert len(held_out.real) == len(held_out.flat) == 5
    image, label_map = place.pairs[2]
    np.testing.assert_array_equal(held_out.label_maps[2], label_map)
    np.testing.assert_array_equal(held_out.real[2].colors, region_colors(image, label_map))
    assert held_out.real[2].dice == measure_image(network, image, label_map).dice > 0.8
    # Masks in two colours each: the mean ones of the real image, rounded.
    assert held_out.flat[2].colors == pytest.approx(held_out.real[2].colors, abs=0.5)
    assert np.std(held_out.flat[2].crops) > 0
    assert held_out.train_colors.shape == (7, 2, 3)
    pairs = [(one.load_image(), one.load_label_map()) for one in place.train]
    np.testing.assert_array_equal(held_out.train_crops, np.concatenate([cell_crops(*pair) for pair in pairs]))
    fewer = gather_held_out(network, place.train, place.val.samples[:2])
    assert fewer.samples == held_out.samples[:2]


def test_what_is_measured_of_an_image(network):
    image, label_map = disc_smear(3)
    measures = measure_image(network, image, label_map)
    # Windows of 64 pixels side by side: one row of two in 96 x 128.
    assert measures.windows.shape == (2, 32)
    # Background and cells of 16 and of 32 channels.
    assert measures.descriptor.shape == (2 * (16 + 32),)
    assert measures.dice > 0.8
    assert len(measures.boxes["boxes"]) == len(measures.boxes["scores"])
    assert measure_image(network, image, np.zeros_like(label_map)).crops.shape == (0, 16, 16, 3)
