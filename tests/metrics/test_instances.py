"""What was found in an image: cells of a score, and what metrics are given."""

import numpy as np
import pytest

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances, Prediction


@pytest.fixture
def cells():
    label_map = np.zeros((8, 12), dtype=np.int32)
    label_map[1:4, 1:5] = 1
    label_map[5:8, 6:9] = 2
    return Instances(label_map_to_boxes(label_map), np.array([0.9, 0.42], dtype=np.float32), label_map)


def test_cells_below_a_score_leave_and_ids_close_up(cells):
    kept = cells.at_least(0.5)
    assert kept.scores.tolist() == [pytest.approx(0.9)]
    assert kept.boxes.tolist() == [[1, 1, 5, 4]]
    assert np.array_equal(kept.label_map, cells.label_map * (cells.label_map == 1))
    swapped = Instances(cells.boxes, cells.scores[::-1].copy(), cells.label_map)
    assert np.array_equal(swapped.at_least(0.5).label_map, (cells.label_map == 2).astype(np.int32))
    assert cells.at_least(0.1) is cells
    assert Instances(cells.boxes, cells.scores).at_least(0.5).label_map is None


def test_ids_without_a_row_are_refused(cells):
    with pytest.raises(ValueError, match="expected ids from 0 to 2 for 2 cells found, got ids from 0 to 4"):
        Instances(cells.boxes, cells.scores, cells.label_map * 2).at_least(0.0)


def test_a_metric_sees_all_cells_those_counted_and_the_foreground(cells):
    prediction = Prediction(cells)
    assert prediction.cells is cells
    assert prediction.counted.scores.tolist() == [pytest.approx(0.9)]
    assert set(np.unique(prediction.label_map)) == {0, 1}
    # The foreground is that of all cells, unless the network has one of its own.
    assert np.array_equal(prediction.foreground, cells.label_map > 0)
    mask = np.zeros((8, 12), dtype=bool)
    assert Prediction(cells, mask).foreground is mask
    assert len(Prediction(cells, score_threshold=0.3).counted) == 2


def test_cells_are_read_once_and_only_when_a_metric_asks(cells):
    calls = []

    def read():
        calls.append(None)
        return cells

    prediction = Prediction(read, np.zeros((8, 12), dtype=bool))
    assert not prediction.foreground.any()
    assert not calls
    assert prediction.cells is prediction.cells is cells
    assert len(calls) == 1


def test_boxes_alone_have_no_pixels(cells):
    prediction = Prediction(Instances(cells.boxes, cells.scores))
    for name in ("label_map", "foreground"):
        with pytest.raises(ValueError, match="boxes alone; expected a label map: give the metric needs_label_map=True"):
            getattr(prediction, name)


def test_patches_of_classes_leave_with_their_class(cells):
    found = Instances(cells.boxes, cells.scores, cells.label_map, np.array([2, 1], dtype=np.int32))
    assert np.array_equal(found.class_map, np.array([0, 2, 1])[cells.label_map])
    assert found.at_least(0.5).classes.tolist() == [2]
    assert np.array_equal(found.at_least(0.5).class_map, 2 * (cells.label_map == 1))
    assert cells.class_map is None
