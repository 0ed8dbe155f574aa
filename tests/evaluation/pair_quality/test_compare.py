import numpy as np
import pytest
from pair_helpers import real
from tiny_data import disc_smear

from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.pair_quality.compare import compare
from rbc_lightning.evaluation.pair_quality.layout import RealPairs
from rbc_lightning.evaluation.pair_quality.measured import measure_pair

TRAIN = real(*(disc_smear(seed) for seed in range(10)), spec=RGB)


@pytest.fixture(scope="module")
def shown(network):
    """Pairs of these seeds, changed by a function, as the network sees them."""

    def show(*seeds, change=lambda image, label_map: (image, label_map)):
        return tuple(measure_pair(*change(*disc_smear(seed)), RGB, network) for seed in seeds)

    return show


@pytest.fixture(scope="module")
def val(shown):
    return RealPairs(shown(*range(10, 15)), tuple("abcde"), tuple("abcde"))


def test_training_pairs_themselves_are_memorised(shown, val):
    quality = compare(shown(*range(10)), TRAIN, val, RGB, 0)
    assert (quality.near_1, quality.near_5, quality.cells_near_1) == (1, 1, 1)
    assert [entry.train_id for entry in quality.nearest] == [f"real_{entry.pair}" for entry in quality.nearest]
    assert any(line.startswith("Memorised: 100 % of the images") for line in quality.findings())
    assert any(line.startswith("Memorised: 100 % of the cells") for line in quality.findings())
    assert quality.novelty.images == pytest.approx(quality.novelty_train.images)
    assert all(row.generated.wasserstein == 0 for row in quality.layout)


def test_one_pair_always_has_collapsed(shown, val):
    quality = compare(shown(20) * 10, TRAIN, val, RGB, 0)
    found = " ".join(quality.findings())
    assert "Collapsed: images differ by 0.000" in found
    assert "Collapsed: masks differ by 0.000" in found
    assert quality.twins_1 == 1
    assert "Repeated: 100 % of the images" in found


def test_two_pairs_in_turn_are_repeated(shown, val):
    quality = compare(shown(20, 21) * 5, TRAIN, val, RGB, 0)
    assert quality.twins_1 == 1


def test_new_pairs_of_the_same_kind_stand_out_in_nothing(shown, val):
    quality = compare(shown(*range(20, 30)), TRAIN, val, RGB, 0)
    assert quality.near_5 <= 0.3
    assert quality.twins_1 <= 0.1
    assert quality.agreement.pooled == pytest.approx(quality.agreement_val.pooled, abs=0.05)
    assert quality.agreement_val.pooled > 0.9 > 0.6 > quality.agreement_val.exchanged
    assert not [line for line in quality.findings() if line.startswith(("Collapsed", "Repeated", "Images do not"))]


def test_images_that_do_not_show_their_masks_are_told(shown, val):
    pairs = shown(*range(20, 26), change=lambda image, label_map: (image, label_map[::-1].copy()))
    quality = compare(pairs, TRAIN, val, RGB, 0)
    assert quality.agreement.pooled < 0.6
    assert any(line.startswith("Images do not show their masks") for line in quality.findings())


def test_empty_masks_are_counted_and_told(shown, val):
    blank = shown(20, 21, 22, change=lambda image, label_map: (image, 0 * label_map))
    quality = compare((*blank, *shown(20)), TRAIN, val, RGB, 0)
    assert quality.layout[0].mean == 0.75
    assert len(quality.agreement.by_pair) == 1
    every = compare(blank, TRAIN, val, RGB, 0)
    assert every.findings()[0] == "Every mask is empty; of the training pairs 0 % are."
    assert np.isnan(every.agreement.dice)
    assert every.agreement.pooled == 0


def test_without_validation_there_is_no_yardstick_and_no_number(shown):
    quality = compare(shown(20, 21), TRAIN, real(spec=RGB), RGB, 0)
    assert np.isnan([quality.near_1, quality.cells_near_5, quality.novelty_val.images, quality.agreement_val.pooled]).all()
    assert quality.n_val == 0
    assert quality.novelty.nearest > 0
