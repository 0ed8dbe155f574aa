from dataclasses import replace

import numpy as np
import pytest
from plain_samples import TWO_CHANNELS

from rbc_lightning.data.augment.crops import random_crop, separate_mirrored_cells
from rbc_lightning.data.spec import RGB


@pytest.fixture
def label_map():
    return np.random.default_rng(1).integers(0, 100_000, (40, 50), dtype=np.int32)


def test_separating_leaves_specks_and_connected_cells_alone():
    labels = np.array([[1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 2, 0], [0, 0, 0, 0, 0, 2]], np.int32)
    mirror = np.repeat(np.array([[0, 0, 0, 0, 0, 1]]), 4, axis=0)
    # The speck of cell 1 is a twelfth of it; cell 2 is joined through a corner.
    assert np.array_equal(separate_mirrored_cells(labels, mirror), labels)
    labels[0, 4:] = [0, 3]
    labels[3, 0] = 3
    assert separate_mirrored_cells(labels, mirror)[[0, 3], [5, 0]].tolist() == [4, 3]
    assert np.array_equal(separate_mirrored_cells(labels, 0 * mirror), labels)
    assert np.array_equal(separate_mirrored_cells(np.zeros((4, 6), np.int32), mirror), np.zeros((4, 6), np.int32))


def test_a_cell_in_pieces_stays_one_and_so_does_each_of_its_mirror_images():
    labels = np.array([[5, 0, 5, 0, 5, 0, 5, 0, 5, 0, 5, 7, 0, 7]], np.int32)
    mirror = np.array([[2, 2, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2]])
    # Cell 5 lies in three pieces, with two mirror images; cell 7 is in mirror images alone, and one of them keeps its id.
    expected = [[8, 0, 8, 0, 5, 0, 5, 0, 5, 0, 9, 7, 0, 10]]
    assert separate_mirrored_cells(labels, mirror).tolist() == expected


def test_a_small_image_keeps_the_cell_that_lies_under_another():
    labels = np.zeros((9, 20), np.int32)
    labels[3:6, 2:18], labels[1:8, 8:12] = 1, 2
    cut = random_crop(np.zeros((9, 20, 3), np.uint8), labels, 20, np.random.default_rng(0))[1]
    assert np.array_equal(cut[:9], labels)
    # And it does so in its mirror images.
    assert np.unique(cut).tolist() == [0, 1, 2, 3, 4, 5]
    assert [len(np.unique(cut[rows])) for rows in (slice(0, 9), slice(9, 18), slice(18, 20))] == [3, 3, 2]


def test_random_crop_cuts_both_at_every_place(label_map):
    image = np.repeat((label_map % 256).astype(np.uint8)[..., None], 3, 2)
    corners = set()
    for seed in range(400):
        cut, labels = random_crop(image, label_map, 38, np.random.default_rng(seed))
        assert labels.shape == (38, 38)
        assert np.array_equal(cut[..., 2], labels % 256)
        row, column = (int(i[0]) for i in np.nonzero(label_map == labels[0, 0]))
        assert np.array_equal(labels, label_map[row : row + 38, column : column + 38])
        corners.add((row, column))
    assert {row for row, _ in corners} == set(range(3))
    assert {column for _, column in corners} == set(range(13))


def test_random_crop_reflects_smaller_images():
    labels = np.array([[0, 1], [0, 1], [2, 0]], np.int32)
    image = np.repeat((10 * labels).astype(np.uint8)[..., None], 3, 2)
    cut, cut_labels = random_crop(image, labels, 4, np.random.default_rng(0))
    assert cut[..., 0].tolist() == [[0, 10, 10, 0], [0, 10, 10, 0], [20, 0, 0, 20], [20, 0, 0, 20]]
    # Cell 1 goes on over the border; the mirror image of cell 2 is another cell.
    assert cut_labels.tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 3], [2, 0, 0, 3]]
    assert random_crop(image[:1, :1], labels[:1, :1], 5, np.random.default_rng(0))[0].shape == (5, 5, 3)
    with pytest.raises(ValueError, match="crop size must be at least 1 pixel, got 0"):
        random_crop(image, labels, 0, np.random.default_rng(0))


def test_two_channels_of_16_bits_are_cut_alike(label_map):
    image = np.repeat((label_map % 60_000).astype(np.uint16)[..., None], 2, 2)
    for size in (24, 60):
        cut, labels = random_crop(image, label_map, size, np.random.default_rng(0), TWO_CHANNELS)
        assert (cut.shape, cut.dtype, labels.shape) == ((size, size, 2), np.uint16, (size, size))
        same = labels <= label_map.max()  # others are mirror images, with new ids
        assert np.array_equal(cut[same][:, 1], labels[same] % 60_000)
    with pytest.raises(ValueError, match=r"Expected an image \(H, W, 3\) .* got \(40, 50, 2\)"):
        random_crop(image.astype(np.uint8), label_map, 24, np.random.default_rng(0))


def test_mirrored_classes_stay_classes():
    labels = np.array([[0, 2, 0]], np.int32).T
    image = np.zeros((3, 1, 3), np.uint8)
    for kind, ids in (("classes", [0, 2]), ("instances", [0, 2, 3, 4])):
        cut = random_crop(image, labels, 8, np.random.default_rng(0), replace(RGB, labels=kind))[1]
        assert np.unique(cut).tolist() == ids


def test_crops_lie_about_targets_and_not_about_context():
    spec = replace(RGB, labels="classes", classes=("lesion",), context=("brain",))
    labels = np.full((40, 40), 2, np.int32)
    labels[30, 5] = 1
    image = np.zeros((40, 40, 3), np.uint8)
    for seed in range(20):
        cut = random_crop(image, labels, 8, np.random.default_rng(seed), spec, focus=1)[1]
        assert (cut == 1).any()
        assert (cut == 2).any()
