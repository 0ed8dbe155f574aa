import numpy as np
import pytest
from pair_helpers import SPEC, brain, measured
from tiny_data import disc_smear

from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.pair_quality.measured import SIDE, MeasuredPair, measure_pair


def test_what_is_measured_is_read_back(tmp_path):
    (pair,) = measured(brain((19, 12, 3)))
    pair.save(tmp_path / "pair.npz")
    again = MeasuredPair.load(tmp_path / "pair.npz")
    for name, value in vars(pair).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert again.table.area.tolist() == [18]
    assert again.small.shape == (SIDE, SIDE, 2)


def test_context_makes_no_mask():
    empty, filled = measured(brain(), brain((19, 12, 3)))
    assert (empty.is_empty, filled.is_empty) == (True, False)


def test_distance_of_masks_by_hand():
    first, second = measured(brain((4, 12, 4)), brain((4, 14, 4)))
    # 16 pixels each, 8 in both; of unrelated ones 16 x 16 / 1600 would be.
    assert first.mask_distance(second) == pytest.approx(0.5 / (1 - 0.16 / 16))
    assert first.mask_distance(first) == 0
    (full,) = measured((np.zeros((8, 8, 2), np.uint16), np.ones((8, 8), np.int32)))
    assert full.mask_distance(full) == 0


def test_the_network_is_compared_with_the_own_mask_and_with_anothers(place, network):
    pairs = [measure_pair(image, label_map, RGB, network) for image, label_map in place.pairs[:2]]
    assert pairs[0].agreement().dice > 0.9 > 0.6 > pairs[0].agreement(pairs[1]).dice
    assert pairs[0].agreement().target == (place.pairs[0][1] > 0).sum()


def test_small_images_are_averages_in_grey_levels():
    image = np.full((128, 128, 2), 4095, np.uint16)
    image[:64] = 0
    small = measure_pair(image, np.zeros((128, 128), np.int32), SPEC).small
    assert small[:32].max() == 0
    assert small[32:] == pytest.approx(255)
    assert measure_pair(*disc_smear(0), RGB).small.shape == (SIDE, SIDE, 3)
