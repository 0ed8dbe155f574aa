"""The union of what tiles found: no cell twice, none lost."""

import numpy as np
import pytest
from torch import nn

from rbc_lightning.core.tiles import tile_windows
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.segmenters.faster_rcnn.task import DetectionTask, merge_tiles


def found_in(window, boxes, scores):
    """What a perfect detector finds in a tile: every box that shows there, cut at its border."""
    rows, columns = window
    low, high = (columns.start, rows.start), (columns.stop, rows.stop)
    cut = np.concatenate((np.maximum(boxes[:, :2], low), np.minimum(boxes[:, 2:], high)), axis=1) - np.array([*low, *low])
    seen = (cut[:, 2:] > cut[:, :2]).all(axis=1)
    return Instances(cut[seen].astype(np.float32), scores[seen])


@pytest.mark.parametrize(("tile", "overlap"), [(40, 20), (33, 17), (64, 20)])
def test_every_cell_is_found_once_in_whatever_tiles(tile, overlap):
    rng = np.random.default_rng(0)
    # Up to 10 x 10 px, on a grid that leaves at least two pixels between neighbours.
    corners = np.stack(np.meshgrid(np.arange(0, 132, 12), np.arange(0, 108, 12)), axis=-1).reshape(-1, 2).astype(float)
    corners += rng.integers(0, 3, corners.shape)
    boxes = np.concatenate((corners, corners + rng.integers(5, 9, corners.shape)), axis=1).astype(np.float32)
    boxes[:, 2:] = np.minimum(boxes[:, 2:], (132, 108))
    scores = rng.uniform(0.1, 1, len(boxes)).astype(np.float32)
    windows = tile_windows(108, 132, tile, overlap)
    merged = merge_tiles([found_in(w, boxes, scores) for w in windows], windows, (108, 132), 0.5, margin=2)
    order = np.argsort(-scores)
    np.testing.assert_array_equal(merged.boxes, boxes[order])
    np.testing.assert_array_equal(merged.scores, scores[order])
    assert merged.label_map is None


@pytest.mark.parametrize("side", [40, 80, 90, 110, 150])
def test_no_large_cell_is_lost_at_a_seam_wherever_it_lies(side):
    """A leucocyte or a clump of red cells of 45 px; boxes are found a pixel too large, to all sides."""
    net = nn.Module()
    net.cell_size, net.nms_threshold = 45.0, 0.5
    task = DetectionTask(net, tile=512, largest_box=side)
    size = (512, 1200)
    windows = tile_windows(*size, task.tile, task.overlap)
    assert len(windows) > 2
    score, lost = np.array([0.9], np.float32), []
    for offset in range(260):
        left = windows[1].columns.start - side + offset
        box = np.array([[left - 1, 99, left + side + 1, 101 + side]], np.float32)
        parts = [found_in(window, box, score) for window in windows]
        found = merge_tiles(parts, windows, size, net.nms_threshold, task.margin)
        if found.boxes.tolist() != box.tolist():
            lost.append(offset)
    assert lost == []


def test_a_cut_cell_is_dropped_only_at_borders_inside_the_image():
    windows = tile_windows(10, 30, tile=20, overlap=10)
    left = Instances(
        np.array([[0, 0, 6, 10], [14, 2, 20, 8], [13, 2, 18.5, 8]], np.float32), np.array([0.9, 0.8, 0.7], np.float32)
    )
    right = Instances(np.array([[0, 2, 9, 8], [14, 4, 20, 10]], np.float32), np.array([0.6, 0.5], np.float32))
    merged = merge_tiles([left, right], windows, (10, 30), 0.5, margin=1)
    assert merged.boxes.tolist() == [[0, 0, 6, 10], [13, 2, 18.5, 8], [24, 4, 30, 10]]


def test_the_better_of_two_finds_of_one_cell_stays():
    windows = tile_windows(10, 30, tile=20, overlap=10)
    left = Instances(np.array([[12, 2, 17, 7]], np.float32), np.array([0.6], np.float32))
    right = Instances(np.array([[2.5, 2, 7.5, 7]], np.float32), np.array([0.9], np.float32))
    merged = merge_tiles([left, right], windows, (10, 30), 0.5)
    assert merged.boxes.tolist() == [[12.5, 2, 17.5, 7]]
    assert merged.scores.tolist() == [np.float32(0.9)]


def test_nothing_found_anywhere_is_no_box():
    windows = tile_windows(10, 30, tile=20, overlap=10)
    nothing = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    merged = merge_tiles([nothing, nothing], windows, (10, 30), 0.5)
    assert merged.boxes.shape == (0, 4)
    assert merged.boxes.dtype == merged.scores.dtype == np.float32
