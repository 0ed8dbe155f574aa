import numpy as np
import pytest
from matplotlib.image import imread

from rbc_lightning.report.figures.pair_sheets import ShownPair, outlined, save_sheet_of_pairs


def shown(n_pictures=1, side=64):
    label_map = np.zeros((side, side), np.int32)
    label_map[20:22, 30:32] = 1
    return ShownPair(tuple(np.full((side, side, 3), 90, np.uint8) for _ in range(n_pictures)), label_map, "a pair")


def test_the_outline_of_a_lesion_of_two_pixels_leaves_its_middle_free():
    drawn = outlined(shown())
    assert drawn.shape == (256, 256, 3)
    lesion = drawn[80:88, 120:128]
    colored = (lesion != 90).any(axis=2)
    assert colored[0].all()
    assert colored[:, -1].all()
    assert not colored[2:-2, 2:-2].any()
    assert (drawn != 90).any(axis=2).sum() == colored.sum()


def test_large_images_stay_as_they_are_and_the_given_one_is_not_drawn_on():
    pair = shown(side=300)
    assert outlined(pair).shape == (300, 300, 3)
    assert (pair.pictures[0] == 90).all()


def test_a_sheet_has_every_channel_and_the_outlines(tmp_path):
    save_sheet_of_pairs(tmp_path / "sheet.png", [shown(2), shown(2)], [shown(2)])
    picture = imread(tmp_path / "sheet.png")
    assert picture.shape[0] > 2 * picture.shape[1]
    with pytest.raises(ValueError, match="at least one pair in each row"):
        save_sheet_of_pairs(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()
