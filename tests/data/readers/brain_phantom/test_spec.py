import pytest

from rbc_lightning.data.readers.brain_phantom.spec import CLASSES, TUMOUR_CLASSES, VALUES, BrainSpec


def test_every_value_has_a_name():
    assert {1, *VALUES.values()} == set(CLASSES) | set(TUMOUR_CLASSES)


def test_pixels_are_the_scanners_or_larger():
    assert BrainSpec(coarseness=2).in_plane == pytest.approx(1.8)
    with pytest.raises(ValueError, match=r"coarseness must be from 1 to 6, got 0\.5"):
        BrainSpec(coarseness=0.5)
