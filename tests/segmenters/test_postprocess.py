"""Cells from maps of objectness and contour."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.split_cells_plainly import split_cells_plainly
from scipy import ndimage

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.segmenters.dcan.task import contour_band
from rbc_lightning.segmenters.postprocess import class_patches, split_cells

RADIUS = 3


def discs(height, width, centers, radius=23):
    """Label map of discs parted half-way between their centres."""
    rows, columns = np.mgrid[:height, :width]
    distances = np.stack([np.hypot(rows - row, columns - column) for row, column in centers])
    return np.where(distances.min(axis=0) <= radius, distances.argmin(axis=0) + 1, 0).astype(np.int32)


def true_maps(label_map):
    """Objectness and contour as a perfect network gives them."""
    band = contour_band(torch.from_numpy(label_map), RADIUS).numpy()
    return (label_map > 0).astype(np.float32), band.astype(np.float32)


def box_overlaps(boxes, others):
    """IoU of each box with the one of the same row."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = [np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (boxes, others)]
    return shared / (areas[0] + areas[1] - shared)


def smooth_noise(rng, height, width):
    noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), 1.5)
    return 1 / (1 + np.exp(-12 * noise))


def test_touching_discs_are_one_patch_without_contour_and_two_with_it():
    label_map = discs(70, 120, [(35, 38), (35, 80)])
    objectness, contour = true_maps(label_map)
    assert len(split_cells(objectness)) == 1
    cells = split_cells(objectness, contour, grow=RADIUS)
    assert len(cells) == 2
    assert np.array_equal(cells.boxes, label_map_to_boxes(label_map))
    # What the contour took, growing gives back, up to the line of contact and no further.
    assert (cells.label_map != label_map).sum() <= 0.01 * (label_map > 0).sum()
    assert cells.scores.tolist() == [1.0, 1.0]


def test_without_growing_boxes_are_too_small():
    label_map = discs(70, 120, [(35, 38), (35, 80)])
    truth = label_map_to_boxes(label_map)
    maps = true_maps(label_map)
    assert box_overlaps(split_cells(*maps).boxes, truth).max() < 0.8
    assert box_overlaps(split_cells(*maps, grow=RADIUS).boxes, truth).min() > 0.9


def test_growing_never_merges_neighbours():
    label_map = discs(200, 200, [(50, 50), (50, 92), (88, 70), (130, 120), (130, 160)])
    cells = split_cells(*true_maps(label_map), grow=4 * RADIUS)
    assert len(cells) == 5
    assert box_overlaps(cells.boxes, label_map_to_boxes(label_map)).min() > 0.5
    for number in range(1, 6):
        assert (cells.label_map[label_map == number] == number).mean() > 0.99


def test_scores_boxes_and_areas_by_hand():
    objectness = np.zeros((6, 9), dtype=np.float32)
    objectness[1:3, 1:4] = 0.75
    objectness[1, 1] = 1.0
    objectness[4:6, 6:9] = 0.625
    cells = split_cells(objectness)
    assert cells.boxes.tolist() == [[1, 1, 4, 3], [6, 4, 9, 6]]
    assert cells.boxes.dtype == cells.scores.dtype == np.float32
    assert cells.label_map.dtype == np.int32
    np.testing.assert_allclose(cells.scores, [(1.0 + 5 * 0.75) / 6, 0.625])
    assert np.bincount(cells.label_map.ravel()).tolist() == [42, 6, 6]
    # The score is that of the patch before growing.
    grown = split_cells(objectness, grow=1)
    assert grown.boxes.tolist() == [[0, 0, 5, 4], [5, 3, 9, 6]]
    np.testing.assert_array_equal(grown.scores, cells.scores)


def test_thresholds_are_strict_on_both_maps():
    objectness = np.array([[0.5, 0.6, 0.0, 0.6, 0.0, 0.6]], dtype=np.float32)
    contour = np.array([[0.0, 0.4, 0.0, 0.5, 0.0, 0.6]], dtype=np.float32)
    assert split_cells(objectness, contour).boxes.tolist() == [[1, 0, 2, 1]]
    assert len(split_cells(objectness, contour, object_threshold=0.4, contour_threshold=0.55)) == 2
    assert len(split_cells(objectness, contour, object_threshold=0.7)) == 0


def test_a_diagonal_contour_one_pixel_wide_parts_two_cells():
    contour = np.eye(12, dtype=np.float32)
    assert len(split_cells(np.ones((12, 12), dtype=np.float32), contour)) == 2


def test_specks_go_and_ids_stay_without_gaps():
    objectness = np.zeros((10, 30), dtype=np.float32)
    for column, area in ((1, 2), (8, 9), (16, 5), (24, 10)):
        objectness[2 : 2 + area // 5 + 1, column : column + 5].flat[:area] = 0.9
    assert len(split_cells(objectness)) == 4
    cells = split_cells(objectness, min_area=9)
    assert cells.boxes[:, 0].tolist() == [8, 24]
    assert np.unique(cells.label_map).tolist() == [0, 1, 2]


def test_smoothing_cuts_thin_bridges_and_leaves_cells_cut_by_the_image_border():
    objectness = (discs(60, 120, [(30, 30), (30, 90)], radius=20) > 0).astype(np.float32)
    objectness[29:31, 50:70] = 1
    objectness[0:8, 0:8] = 1
    assert len(split_cells(objectness)) == 2
    cells = split_cells(objectness, smooth_radius=2)
    assert cells.boxes.tolist() == [[0, 0, 8, 8], [10, 10, 51, 51], [70, 10, 111, 51]]
    assert cells.label_map[0, 0] == 1


def test_pale_centres_are_filled_whether_by_objectness_or_by_contour():
    full = discs(60, 60, [(30, 30)])
    pale = discs(60, 60, [(30, 30)], radius=8) > 0
    objectness, contour = true_maps(full)
    expected = (full > 0) & (contour == 0)
    for maps in ((objectness * ~pale, contour), (objectness, np.maximum(contour, pale))):
        cells = split_cells(*maps)
        assert len(cells) == 1
        assert np.array_equal(cells.label_map == 1, expected)


def test_a_ring_of_merged_cells_swallows_no_other_when_holes_are_bounded():
    objectness = np.ones((40, 40), dtype=np.float32)
    objectness[0] = objectness[-1] = objectness[:, 0] = objectness[:, -1] = 0
    objectness[8:32, 8:32] = 0
    objectness[12:28, 12:28] = 1
    objectness[4, 4] = 0
    assert len(split_cells(objectness)) == 1
    bounded = split_cells(objectness, max_hole_area=100)
    assert bounded.boxes.tolist() == [[1, 1, 39, 39], [12, 12, 28, 28]]
    assert bounded.label_map[4, 4] == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (20, 30)])
def test_maps_with_nothing_or_nothing_but_foreground(size):
    nothing, everything = np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)
    options = {"smooth_radius": 2, "min_area": 1, "grow": 2}
    for maps in ((nothing,), (nothing, nothing), (nothing, everything), (everything, everything)):
        cells = split_cells(*maps, **options)
        assert (cells.boxes.shape, cells.scores.shape) == ((0, 4), (0,))
        assert not cells.label_map.any()
    for maps in ((everything,), (everything, nothing)):
        cells = split_cells(*maps, **options)
        assert cells.boxes.tolist() == [[0, 0, size[1], size[0]]]
        assert (cells.label_map == 1).all()
        assert cells.scores.tolist() == [1.0]


def test_growing_inside_objects_stays_there():
    objectness = np.zeros((30, 30), dtype=np.float32)
    objectness[10:20, 10:20] = 1
    contour = np.ones_like(objectness)
    contour[13:17, 13:17] = 0
    assert split_cells(objectness, contour, grow=5).boxes.tolist() == [[8, 8, 22, 22]]
    assert split_cells(objectness, contour, grow=5, grow_inside_objects=True).boxes.tolist() == [[10, 10, 20, 20]]
    # A filled hole has no objectness and stays filled.
    objectness[14:16, 14:16] = 0
    assert (split_cells(objectness, contour, grow=5, grow_inside_objects=True).label_map[10:20, 10:20] == 1).all()


def test_sixteen_hundred_cells():
    label_map = np.kron(np.arange(1, 1601).reshape(40, 40), np.ones((12, 12), dtype=np.int32)).astype(np.int32)
    label_map[::12] = label_map[:, ::12] = 0
    objectness = label_map / 2000 * 0.4 + 0.55 * (label_map > 0)
    cells = split_cells(objectness)
    assert np.array_equal(cells.label_map, label_map)
    np.testing.assert_allclose(cells.scores, np.arange(1, 1601) / 2000 * 0.4 + 0.55, rtol=1e-6)
    assert split_cells(objectness.astype(np.float16)).label_map.max() == 1600


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2), st.integers(0, 15))
def test_cells_equal_the_plain_twin(seed, height, width, smooth_radius, min_area):
    rng = np.random.default_rng(seed)
    objectness, contour = smooth_noise(rng, height, width), smooth_noise(rng, height, width)
    boxes, scores, label_map = split_cells_plainly(objectness, contour, smooth_radius, min_area)
    cells = split_cells(objectness, contour, smooth_radius=smooth_radius, min_area=min_area)
    assert np.array_equal(cells.label_map, label_map)
    assert np.array_equal(cells.boxes, boxes)
    np.testing.assert_allclose(cells.scores, scores, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_growing_equals_scikit_image_up_to_ties(seed, grow):
    rng = np.random.default_rng(seed)
    objectness, contour = smooth_noise(rng, 40, 40), smooth_noise(rng, 40, 40)
    core = split_cells(objectness, contour).label_map
    grown = split_cells(objectness, contour, grow=grow).label_map
    expected = split_cells_plainly(objectness, contour, grow=grow)[2]
    assert np.array_equal(grown > 0, expected > 0)
    rows, columns = np.nonzero(grown != expected)
    to_cell = np.stack([ndimage.distance_transform_edt(core != number) for number in range(core.max() + 1)])
    assert np.array_equal(to_cell[grown[rows, columns], rows, columns], to_cell[expected[rows, columns], rows, columns])


def test_the_number_of_threads_changes_nothing():
    rng = np.random.default_rng(0)
    maps = smooth_noise(rng, 700, 500), smooth_noise(rng, 700, 500)
    threads = cv2.getNumThreads()
    try:
        label_maps = []
        for number in (1, 4):
            cv2.setNumThreads(number)
            label_maps.append(split_cells(*maps, smooth_radius=1, grow=3).label_map)
    finally:
        cv2.setNumThreads(threads)
    assert label_maps[0].max() > 1000
    assert np.array_equal(*label_maps)


def test_instances_as_detections():
    cells = Instances(np.zeros((2, 4), dtype=np.float32), np.ones(2, dtype=np.float32))
    assert len(cells) == 2
    assert cells.as_detections() == {"boxes": cells.boxes, "scores": cells.scores}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objectness": np.zeros((4, 4), dtype=np.int64)}, TypeError, "objectness as a floating array, got int64"),
        ({"objectness": torch.zeros(4, 4)}, TypeError, r"objectness as a floating array, got torch\.float32"),
        ({"objectness": np.zeros((1, 4, 4))}, ValueError, r"objectness of shape \(H, W\), got \(1, 4, 4\)"),
        ({"objectness": np.zeros((0, 4))}, ValueError, r"objectness of shape \(H, W\), got \(0, 4\)"),
        ({"objectness": np.full((4, 4), -3.0)}, ValueError, r"objectness must be .* got -3 to -3: logits need a sigmoid"),
        ({"objectness": np.full((4, 4), np.nan)}, ValueError, "objectness must be probabilities"),
        ({"contour": np.full((4, 4), 1.5)}, ValueError, "contour must be probabilities"),
        ({"contour": np.zeros((4, 5))}, ValueError, r"must have one shape, got \(4, 4\) and \(4, 5\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        split_cells(**{"objectness": np.zeros((4, 4)), **arguments})


def test_growing_inside_objects_does_not_reach_over_background():
    """A strip of foreground three pixels beside a cell is none of it, though within reach of its growth."""
    rows, columns = np.mgrid[:96, :96]
    disc = (rows - 60) ** 2 + (columns - 60) ** 2 < 22**2
    objectness = np.where(disc, 0.9, 0.0).astype(np.float32)
    objectness[40:80, 85:87] = 0.9
    contour = np.where(disc & ((rows - 60) ** 2 + (columns - 60) ** 2 > 18**2), 0.9, 0.0).astype(np.float32)
    found = split_cells(objectness, contour, min_area=200, grow=9, grow_inside_objects=True)
    assert np.array_equal(found.label_map, disc.astype(np.int32))
    assert found.boxes.tolist() == [[39, 39, 82, 82]]


def test_patches_of_classes_by_hand():
    classes = np.array([[1, 0, 2, 2], [0, 1, 0, 2], [1, 0, 0, 0]])
    maps = np.zeros((3, 3, 4), np.float32)
    maps[1], maps[2, 0, 2], maps[2, 1:, 3], maps[2, 0, 3] = 0.75, 0.5, 0.8, 0.8
    found = class_patches(classes, maps)
    assert found.classes.tolist() == [1, 1, 1, 2]
    assert found.label_map.tolist() == [[1, 0, 4, 4], [0, 2, 0, 4], [3, 0, 0, 0]]
    assert found.scores.tolist() == pytest.approx([0.75, 0.75, 0.75, 0.7])
    assert np.array_equal(found.class_map, classes)
    alone = class_patches(classes == 2, maps[2:])
    assert (alone.classes.tolist(), alone.scores.tolist()) == ([1], [pytest.approx(0.7)])
    nothing = class_patches(np.zeros((3, 4), np.int64), maps)
    assert (len(nothing), nothing.class_map.max()) == (0, 0)
