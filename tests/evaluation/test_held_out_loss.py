import pytest
from head_slices import Copier, slice_samples

from rbc_lightning.evaluation.held_out_loss import LossChooser

VAL = slice_samples(4, "val", 6)


def test_the_loss_of_copies_is_zero_and_of_others_their_distance():
    chooser = LossChooser(val=VAL.with_context(), style="per_image", seed=0)
    assert chooser.score(Copier(VAL)) == 0
    assert chooser.score(Copier(VAL, 41)) == pytest.approx(-2 * 41 / 4095, rel=0.02)
    assert chooser.chosen_on == VAL.ancestors
