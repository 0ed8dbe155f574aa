"""Where the structure of a crop lands."""

import numpy as np
import pytest
from oracles.mask_checks import hand_made
from oracles.mask_layouts import disc_map
from structure_samples import half_dark

from rbc_lightning.translators.pix2pix.structures.bank import StructureBank

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("pose", "turn"),
    [
        (np.eye(2), lambda cell: cell),
        (QUARTER, lambda cell: np.rot90(cell)),
        (QUARTER @ QUARTER, lambda cell: np.rot90(cell, 2)),
        (np.diag([-1.0, 1.0]), lambda cell: cell[::-1]),
        (np.diag([1.0, -1.0]), lambda cell: cell[:, ::-1]),
        (QUARTER @ np.diag([-1.0, 1.0]), lambda cell: np.rot90(cell[::-1])),
    ],
)
def test_the_dark_half_lies_where_the_pose_says(pose, turn):
    labels, structure = half_dark()
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # The centre of the cell is (14, 15); a frame of 10 pixels around it turns about itself.
    new_labels, expected = (turn(image[4:25, 5:26]) for image in (labels, structure))
    rendered = bank.render(hand_made(new_labels, [(10, 10)], [pose], [0]), 0)
    np.testing.assert_array_equal(rendered, expected)


def test_scale_is_followed():
    labels, structure = half_dark()
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    large = np.zeros((60, 60), np.int32)
    large[21:40, 23:38] = 1  # three times 9 x 7 would be 27 x 21: cut by what is visible
    rendered = bank.render(hand_made(large, [(30, 30)], [3.0 * np.eye(2)], [0]), 0)
    # Dark are the rows nearer to -1 than to 0, in pixels of the crop: 30 - 1.5 and above.
    np.testing.assert_array_equal(rendered, (large > 0) & (np.arange(60) < 29)[:, None])


def test_overlaps_obey_the_label_map():
    labels = disc_map([(15, 15), (15, 45)], 8, 30, 60)
    bank = StructureBank.from_samples([(labels, labels == 1)], free_standing=False)
    overlapping = disc_map([(15, 20), (15, 29)], 8, 30, 60)
    for dark, shapes in ((1, [0, 1]), (2, [1, 0])):
        mask = hand_made(overlapping, [(15, 20), (15, 29)], [np.eye(2)] * 2, shapes)
        np.testing.assert_array_equal(bank.render(mask, 0), overlapping == dark)
