"""The structure bank: seeds, files, and what it refuses."""

import numpy as np
import pytest
from oracles.mask_checks import hand_made, sampler
from oracles.mask_layouts import disc_map
from scipy import ndimage
from structure_samples import SHAPES, STRUCTURES

from rbc_lightning.masks import SampledMask
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank


def test_empty_masks_show_background_alone():
    empty = sampler(SHAPES).sample(0, 0)
    rendered = STRUCTURES.render(empty, 7)
    assert rendered.shape == (120, 150)
    assert 0 < rendered.mean() < 0.5
    np.testing.assert_array_equal(rendered, STRUCTURES.render(empty, 7))
    nothing = StructureBank.from_samples([], free_standing=True)
    assert len(nothing) == 0
    assert not nothing.render(empty, 0).any()
    assert not nothing.borrow_structures(empty.label_map, 0).any()


def test_the_seed_decides():
    mask = sampler(SHAPES).sample(0, 12)
    for draw in (lambda seed: STRUCTURES.render(mask, seed), lambda seed: STRUCTURES.borrow_structures(mask.label_map, seed)):
        np.testing.assert_array_equal(draw(0), draw(0))
        assert (draw(0) != draw(1)).any()
        np.testing.assert_array_equal(draw(np.random.SeedSequence([4, 2])), draw(np.random.SeedSequence([4, 2])))
        with pytest.raises(ValueError, match="non-negative"):
            draw(-1)
    background = mask.label_map == 0
    assert (STRUCTURES.render(mask, 0) != STRUCTURES.render(mask, 1))[background].any()
    inside = ndimage.minimum_filter(mask.label_map, 7) > 0
    np.testing.assert_array_equal(STRUCTURES.render(mask, 0)[inside], STRUCTURES.render(mask, 1)[inside])


def test_save_and_load(tmp_path):
    STRUCTURES.save(tmp_path / "structures.npz")
    loaded = StructureBank.load(tmp_path / "structures.npz")
    assert len(loaded) == len(STRUCTURES)
    for part in ("crops", "images"):
        for name, array in getattr(STRUCTURES, part)._asdict().items():
            np.testing.assert_array_equal(getattr(getattr(loaded, part), name), array)
            assert getattr(getattr(loaded, part), name).dtype == array.dtype
    mask = sampler(SHAPES).sample(1, 12)
    np.testing.assert_array_equal(loaded.render(mask, 3), STRUCTURES.render(mask, 3))
    np.testing.assert_array_equal(loaded.borrow_structures(mask.label_map, 3), STRUCTURES.borrow_structures(mask.label_map, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["structures.npz"]
    SHAPES.save(tmp_path / "shapes.npz")
    with pytest.raises(ValueError, match="not a structure bank"):
        StructureBank.load(tmp_path / "shapes.npz")


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
    with pytest.raises(
        ValueError, match="does not say which shapes its cells are copies of; expected one from the mask sampler"
    ):
        STRUCTURES.render(SampledMask.from_label_map(labels), 0)
    with pytest.raises(ValueError, match="no shapes; expected one from label maps with whole cells"):
        StructureBank.from_samples([], free_standing=False).borrow_structures(labels, 0)
    with pytest.raises(ValueError, match="a centre and moments for every shape"):
        StructureBank(STRUCTURES.crops, STRUCTURES.moments[1:], STRUCTURES.images, 0.0)
    with pytest.raises(ValueError, match="pixels of crops"):
        StructureBank(STRUCTURES.crops._replace(codes=np.zeros(3, np.uint8)), STRUCTURES.moments, STRUCTURES.images, 0.0)
