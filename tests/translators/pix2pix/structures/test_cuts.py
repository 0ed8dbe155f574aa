"""Cutting structure maps into crops of cells and free background."""

import numpy as np
import pytest
from oracles.mask_layouts import blob_map, disc_map
from scipy import ndimage
from structure_samples import crop_of, mask_of

from rbc_lightning.masks import ShapeBank
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank
from rbc_lightning.translators.pix2pix.structures.cuts import free_background


@pytest.mark.parametrize("free_standing", [False, True])
def test_shapes_are_numbered_as_in_the_shape_bank(free_standing):
    label_maps = [blob_map(seed, n=14) for seed in range(8)]
    shapes = ShapeBank.from_label_maps(label_maps, free_standing)
    bank = StructureBank.from_samples([(labels, labels > 0) for labels in label_maps], free_standing)
    assert len(bank) == len(shapes) > 10
    for index in range(len(shapes)):
        np.testing.assert_array_equal(mask_of(bank, index), shapes.mask(index))


def test_the_crop_holds_the_structure_of_the_cell_and_of_its_margin_alone():
    labels = disc_map([(12, 12), (12, 23)], 5, 30, 40)
    structure = np.zeros((30, 40), np.uint8)
    structure[12, 5:30] = 1
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # Row 12 of the first crop: a dark margin pixel on the left, then the cell; on the right the seam is nobody's.
    assert crop_of(bank, 0)[6].tolist() == [True] * 12 + [False]
    assert crop_of(bank, 0).sum() == 12


def test_halos_are_no_background_and_dirt_is():
    labels = disc_map([(30, 30), (30, 75)], 10, 60, 110)
    halo = ndimage.binary_dilation(labels > 0, iterations=6) & (np.arange(110) > 30)
    dirt = np.zeros(labels.shape, np.bool_)
    dirt[5:8, 5:9] = True
    nothing = np.zeros((90, 130), np.int32)
    bank = StructureBank.from_samples([(labels, halo)], free_standing=False)
    assert not bank.borrow_structures(nothing, 0).any()
    bank = StructureBank.from_samples([(labels, halo | dirt)], free_standing=False)
    drawn = [bank.borrow_structures(nothing, seed) for seed in range(6)]
    share = dirt.sum() / free_background(labels, halo | dirt).sum()
    assert np.mean(drawn) == pytest.approx(share, rel=0.5)
    free = free_background(labels, halo)
    assert not (free & (halo | ndimage.binary_dilation(labels > 0, np.ones((3, 3)), 3))).any()


def test_a_dark_background_stays_dark():
    labels = disc_map([(20, 20)], 8, 40, 60)
    bank = StructureBank.from_samples([(labels, labels == 0)], free_standing=False)
    np.testing.assert_array_equal(bank.borrow_structures(labels, 0), labels == 0)


def test_without_background_it_is_light():
    full = np.kron(np.arange(1, 10, dtype=np.int32).reshape(3, 3), np.ones((8, 8), np.int32))
    bank = StructureBank.from_samples([(full, np.ones_like(full))], free_standing=False)
    assert len(bank) == 1
    assert len(bank.images.sizes) == 0
    labels = disc_map([(20, 20)], 5, 40, 60)
    np.testing.assert_array_equal(bank.borrow_structures(labels, 0), labels > 0)


def test_a_background_that_is_nearly_all_cells_is_still_found():
    labels = np.ones((40, 40), np.int32)
    labels[10:25, 10:25] = 0
    structure = np.ones((40, 40), np.uint8)
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # 9 x 9 of 40 x 40 pixels are free, all of them dark: after 64 images hardly anything is unfilled.
    assert bank.borrow_structures(np.zeros((30, 50), np.int32), 0).mean() > 0.9
