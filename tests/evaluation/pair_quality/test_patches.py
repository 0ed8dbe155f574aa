from dataclasses import replace

import numpy as np
import pytest
from pair_helpers import SPEC, brain

from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.pair_quality.patches import cells_of, find_patches, head_middle, ventricle_value


def test_size_and_distances_by_hand():
    # Pixels of 2 mm by 1 mm: 3 x 3 of them are 18 mm²; its right column is 14, the ventricles begin at 18.
    image, label_map = brain((19, 12, 3), (30, 20, 1))
    found = find_patches(image, label_map, SPEC)
    assert found.value.tolist() == [1, 1]
    assert found.area.tolist() == [18, 2]
    # From column 14 to 18 are 4 mm; from row 30 to 21 are 9 rows of 2 mm.
    assert found.ventricle.tolist() == [4, 18]
    # The head is round about (19.5, 19.5): centres (20, 13) and (30, 20).
    assert found.middle == pytest.approx([np.hypot(1, 6.5), np.hypot(21, 0.5)], abs=0.3)


def test_without_spacing_lengths_are_pixels_and_without_ventricles_there_is_no_distance_from_them():
    spec = replace(SPEC, spacing=None)
    found = find_patches(*brain((19, 12, 3), ventricle=False), spec)
    assert found.area.tolist() == [9]
    assert np.isnan(found.ventricle).all()
    assert found.middle == pytest.approx([np.hypot(0.5, 6.5)], abs=0.2)


def test_patches_that_touch_at_a_corner_are_one_and_classes_that_touch_are_two():
    spec = replace(SPEC, classes=("core", "rim"), context=())
    label_map = np.zeros((8, 8), np.int32)
    label_map[1, 1] = label_map[2, 2] = 1
    label_map[3, 3] = label_map[3, 4] = 2
    found = find_patches(np.zeros((8, 8, 2), np.uint16), label_map, spec)
    assert sorted(zip(found.value.tolist(), found.area.tolist(), strict=True)) == [(1, 4), (2, 4)]


def test_ventricles_that_are_segmented_have_no_distance_from_themselves():
    spec = replace(SPEC, classes=("lesion", "ventricles"), context=())
    found = find_patches(*brain((19, 12, 3)), spec)
    assert found.ventricle[found.value == 1].tolist() == [4]
    assert np.isnan(found.ventricle[found.value == 2]).all()
    assert (ventricle_value(spec), ventricle_value(SPEC), ventricle_value(RGB)) == (2, 2, None)


def test_cells_are_counted_by_their_ids_although_they_touch():
    label_map = np.zeros((6, 6), np.int32)
    label_map[:2], label_map[2:4] = 5, 9
    found = find_patches(np.zeros((6, 6, 3), np.uint8), label_map, RGB)
    assert found.value.tolist() == [1, 1]
    assert found.area.tolist() == [12, 12]
    assert np.isnan([found.ventricle, found.middle]).all()
    assert cells_of(label_map, RGB) is label_map


def test_an_empty_mask_has_no_patch_and_a_plain_image_no_middle():
    found = find_patches(*brain(), SPEC)
    assert [len(column) for column in found] == [0, 0, 0, 0]
    assert np.isnan(head_middle(np.full((5, 5, 2), 7, np.uint16))).all()
