import numpy as np
import pytest
from skimage.draw import ellipse
from skimage.measure import regionprops

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import COLUMNS, Instances, cell_table


@pytest.fixture
def ellipses():
    label_map = np.zeros((120, 160), dtype=np.int32)
    for number, (row, column, tall, wide, turn) in enumerate([(30, 40, 12, 20, 0.6), (80, 110, 25, 9, -0.3)], start=1):
        label_map[ellipse(row, column, tall, wide, rotation=turn)] = number
    return Instances(label_map_to_boxes(label_map), np.array([0.9, 0.42], dtype=np.float32), label_map)


def test_centres_areas_and_axes_are_those_of_scikit_image(ellipses):
    for row, region in zip(cell_table(ellipses), regionprops(ellipses.label_map), strict=True):
        # scikit-image takes a pixel for a point, we for a square: its second moment of 1/12 is the difference.
        axes = (np.hypot(length, 4 / 12**0.5) for length in (region.axis_major_length, region.axis_minor_length))
        expected = (*region.centroid, region.area, *axes)
        assert row[:-1] == pytest.approx(expected, abs=0.006)


def test_by_hand():
    label_map = np.zeros((6, 9), dtype=np.int32)
    label_map[2:4, 1:7] = 1
    table = cell_table(Instances(label_map_to_boxes(label_map), np.array([0.5], dtype=np.float32), label_map))
    # A rectangle of 2 x 6 pixels has the second moments 4/12 and 36/12; the ellipse's axes are 4 sqrt of them.
    expected = {"center_row": 2.5, "center_column": 3.5, "area": 12, "major_axis": 6.93, "minor_axis": 2.31, "score": 0.5}
    assert dict(zip(COLUMNS, table[0], strict=True)) == expected


def test_a_box_alone_is_taken_for_the_ellipse_inside():
    found = Instances(np.array([[10, 20, 30, 28]], dtype=np.float32), np.array([0.75], dtype=np.float32))
    assert cell_table(found) == [(23.5, 19.5, 125.66, 20.0, 8.0, 0.75)]


def test_no_cells_no_rows():
    nothing = Instances(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.zeros((4, 4), np.int32))
    assert cell_table(nothing) == []
    assert cell_table(Instances(nothing.boxes, nothing.scores)) == []
