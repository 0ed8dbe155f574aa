"""Pairs as arrays, and back."""

import numpy as np
import pytest
import torch
from pix2pix_helpers import TWO_16, pair_of
from slice_samples import slice_spec, tiny_slice

from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.pairs.gan.encoding import PairCode

LESIONS = ImageSpec(("FLAIR",), (0, 4095), "classes", ("lesion", "core"), "bright", standard=(0.4, 0.1))


def encoded(code, image, label_map):
    unit = torch.from_numpy(to_unit(image, code.spec).transpose(2, 0, 1).copy())[None]
    return code.encode(unit, torch.from_numpy(label_map.astype(np.int64))[None])


def cells(*boxes, side=24):
    label_map = np.zeros((side, side), np.int32)
    for number, (top, left, height, width) in enumerate(boxes, start=1):
        label_map[top : top + height, left : left + width] = number
    return label_map


@pytest.mark.parametrize("spec", [slice_spec("lesion", "other"), slice_spec("lesion", "other").with_context()], ids=["S", "C"])
def test_slices_come_back_to_the_bit(spec):
    image, label_map = tiny_slice(3, 2)
    # The whole range of a standardised scan, from z = -4 to 6, is kept.
    image[0, :2, 0] = 0, 4095
    label_map = spec.targets(label_map)
    code = PairCode(spec)
    pairs = encoded(code, image, label_map)
    assert pairs.shape == (1, 2 + len(spec.classes), 48, 48)
    assert (pairs.min(), pairs.max()) == (-1, 1)
    assert set(pairs[0, 2:].unique().tolist()) == {-1, 1}
    found_image, found = code.decode(pairs[0].numpy())
    assert found_image.dtype == np.uint16
    assert found.dtype == np.int32
    assert np.array_equal(found_image, image)
    assert np.array_equal(found, label_map)
    assert torch.equal(code.labelled(pairs)[0], torch.from_numpy(label_map > 0))


@pytest.mark.parametrize("spec", [RGB, TWO_16], ids=["8 bits", "12 bits"])
@pytest.mark.parametrize("contour", [False, True])
def test_smears_come_back_to_the_bit(spec, contour):
    image, label_map = pair_of(4, spec)
    code = PairCode(spec, contour)
    pairs = encoded(code, image, label_map)
    assert pairs.shape[1] == code.channels == spec.n_channels + 1 + contour
    found_image, found = code.decode(pairs[0].numpy())
    assert found_image.dtype == spec.dtype
    assert np.array_equal(found_image, image)
    # Numbered anew, cell by cell the same.
    assert (
        len(np.unique(np.stack((found, label_map)).reshape(2, -1), axis=1).T)
        == len(np.unique(label_map))
        == len(np.unique(found))
    )


def test_contours_part_cells_that_touch():
    label_map = cells((2, 2, 9, 8), (2, 10, 9, 8), (14, 3, 2, 6))
    image = np.zeros((24, 24, 3), np.uint8)
    merged = PairCode(RGB).decode(encoded(PairCode(RGB), image, label_map)[0].numpy())[1]
    assert merged.max() == 2
    parted = PairCode(RGB, contour=True).decode(encoded(PairCode(RGB, contour=True), image, label_map)[0].numpy())[1]
    # The thin one is contour alone.
    assert np.array_equal(parted, label_map)


def test_masks_are_above_zero_and_the_largest_of_several_counts():
    pair = np.full((3, 4, 4), -0.5, np.float32)
    pair[1, 0], pair[2, 0], pair[2, 0, 3], pair[1, 2, 2] = 0.1, 0.05, 0.3, 0.0
    _, label_map = PairCode(LESIONS).decode(pair)
    assert label_map.tolist() == [[1, 1, 1, 2], [0] * 4, [0] * 4, [0] * 4]


def test_specks_are_left_out():
    pair = np.full((3, 9, 9), -1, np.float32)
    pair[1, 1, 1], pair[1, 2, 2], pair[1, 3, 3] = 1, 1, 1  # three that touch at corners
    pair[2, 7, 6:8] = 1
    pair[2, 4, 4] = 1  # of another class
    code = PairCode(LESIONS)
    assert np.unique(code.decode(pair)[1]).tolist() == [0, 1, 2]
    found = code.decode(pair, speck=3)[1]
    assert np.argwhere(found == 1).tolist() == [[1, 1], [2, 2], [3, 3]]
    assert not (found == 2).any()
    cell = np.full((4, 9, 9), -1, np.float32)
    cell[3, 1:4, 1:4] = cell[3, 7, 7] = 1
    found = PairCode(RGB).decode(cell, speck=2)[1]
    assert (found.max(), int((found == 1).sum())) == (1, 9)


def test_a_mask_without_anything_or_without_background():
    code, image = PairCode(RGB), np.zeros((8, 8, 3), np.uint8)
    assert not code.decode(encoded(code, image, np.zeros((8, 8), np.int32))[0].numpy(), 3)[1].any()
    assert (code.decode(encoded(code, image, np.ones((8, 8), np.int32))[0].numpy(), 3)[1] == 1).all()


def test_what_the_generator_gives_beyond_the_range_is_cut():
    pair = np.zeros((3, 2, 2), np.float32)
    pair[0] = [[-1.5, -1], [1, 1.5]]
    assert PairCode(LESIONS).decode(pair)[0][..., 0].tolist() == [[0, 0], [4095, 4095]]
