"""What a structure bank refuses."""

import numpy as np
import pytest
from oracles.mask_checks import hand_made
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.masks import StructureBank

STRUCTURES = StructureBank.from_samples([(blob_map(seed), blob_map(seed) > 0) for seed in range(2)], free_standing=False)


def test_bad_samples_are_refused():
    labels = disc_map([(10, 10)], 4, 20, 24)
    for structure, message in (
        (np.zeros((24, 20), np.uint8), r"shape \(24, 20\) came with a label map of shape \(20, 24\)"),
        (255 * (labels > 0), "holds 0 and 1 .* from 0 to 255"),
    ):
        with pytest.raises(ValueError, match=message):
            StructureBank.from_samples([(labels, structure)], free_standing=False)
    with pytest.raises(TypeError, match="integer type, got float64"):
        StructureBank.from_samples([(labels.astype(float), labels > 0)], free_standing=False)


def test_masks_of_another_bank_are_refused():
    labels = disc_map([(20, 20)], 5, 40, 40)
    for values, message in (
        ({"shapes": [len(STRUCTURES)]}, "same label maps, with the same free_standing"),
        ({"shapes": [-1]}, "the mask has shapes -1 to -1"),
        ({"poses": [np.zeros((2, 2))]}, r"invertible 2 x 2 matrices, got .* for cell 0"),
        ({"label_map": 3 * labels}, r"for each of 3 labels, got \(1, 1, 1\)"),
    ):
        mask = hand_made(**{"label_map": labels, "centers": [(20, 20)], "poses": [np.eye(2)], "shapes": [0], **values})
        with pytest.raises(ValueError, match=message):
            STRUCTURES.render(mask, 0)
    with pytest.raises(ValueError, match="no shapes; expected one from label maps with whole cells"):
        StructureBank.from_samples([], free_standing=False).dress(labels, 0)
    with pytest.raises(ValueError, match="a centre and moments for every shape"):
        StructureBank(STRUCTURES.crops, STRUCTURES.moments[1:], STRUCTURES.images, 0.0)
    with pytest.raises(ValueError, match="pixels of crops"):
        StructureBank(STRUCTURES.crops._replace(codes=np.zeros(3, np.uint8)), STRUCTURES.moments, STRUCTURES.images, 0.0)
