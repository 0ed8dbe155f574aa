import numpy as np
import pytest
from PIL import Image

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.figures import runs
from rbc_lightning.report.figures.runs import (
    color_labels,
    draw_cells,
    outline_cells,
    save_grid,
    save_pair_sheet,
    save_placement_panel,
    save_run_figure,
    shade_agreement,
    shade_classes,
)


def test_background_is_black_and_neighbouring_ids_differ():
    label_map = np.array([[0, 1, 2], [3, 8, 9]])
    painted = color_labels(label_map)
    assert painted.dtype == np.uint8
    assert (painted[0, 0] == 0).all()
    colors = {tuple(color) for color in painted.reshape(-1, 3)}
    # Eight colours: ids 1 and 9 share one.
    assert len(colors) == 5
    assert tuple(painted[0, 1]) == tuple(painted[1, 2])


def test_palette_indices_decide_the_colour_when_given():
    label_map = np.array([[1, 2, 0]])
    painted = color_labels(label_map, np.array([[3, 3, 0]], dtype=np.uint8))
    assert tuple(painted[0, 0]) == tuple(painted[0, 1]) != (0, 0, 0)


def test_outlines_are_inner_boundaries_and_leave_the_image_alone():
    image = np.full((5, 5, 3), 9, dtype=np.uint8)
    label_map = np.zeros((5, 5), dtype=np.int32)
    label_map[1:4, 1:4] = 1
    drawn = outline_cells(image, label_map, (255, 0, 0))
    red = (drawn == (255, 0, 0)).all(axis=2)
    assert red.sum() == 8
    assert not red[2, 2]
    assert (image == 9).all()


def test_two_cells_that_touch_are_outlined_apart():
    label_map = np.ones((5, 8), dtype=np.int32)
    label_map[:, 4:] = 2
    drawn = outline_cells(np.zeros((5, 8, 3), dtype=np.uint8), label_map, (255, 0, 0))
    red = (drawn == (255, 0, 0)).all(axis=2)
    # The image border is no outline; the line between the two is.
    assert red.sum() == 10
    assert red[:, 3:5].all()


def test_cells_without_a_label_map_are_drawn_as_boxes():
    found = Instances(np.array([[2, 1, 6, 5]], dtype=np.float32), np.ones(1, dtype=np.float32))
    drawn = draw_cells(np.zeros((7, 8, 3), dtype=np.uint8), found, (255, 0, 0))
    red = (drawn == (255, 0, 0)).all(axis=2)
    assert red.sum() == 12
    assert red[1, 2]
    assert red[4, 5]


@pytest.mark.parametrize("n", [1, 3])
def test_sheets_hold_their_tiles(tmp_path, n):
    label_maps = [np.eye(8, dtype=np.int32)] * n
    images = [np.full((8, 8, 3), 200, dtype=np.uint8)] * n
    save_pair_sheet(tmp_path / "sheet.png", [f"s{i}" for i in range(n)], label_maps, images, images)
    width, height = Image.open(tmp_path / "sheet.png").size
    assert height / width == pytest.approx(3 / n, rel=0.25)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_the_figure_of_a_run_shows_truth_and_prediction(tmp_path):
    image, label_map = np.full((20, 20, 3), 230, dtype=np.uint8), np.zeros((20, 20), dtype=np.int32)
    label_map[5:15, 5:15] = 1
    pairs = [("real", image, label_map), ("synthetic", image, label_map)]
    moved = np.roll(label_map, 2, axis=1)
    found = Instances(label_map_to_boxes(moved), np.ones(1, dtype=np.float32), moved)
    save_run_figure(tmp_path / "run.png", pairs, "test_7", image, label_map, found)
    drawn = np.array(Image.open(tmp_path / "run.png").convert("RGB")).reshape(-1, 3)
    colors = {tuple(color) for color in drawn}
    assert {(0, 114, 178), (213, 94, 0)} <= colors


def test_a_grid_without_titles_is_fine(tmp_path):
    save_grid(tmp_path / "grid.png", [[np.zeros((4, 4, 3), dtype=np.uint8)]], [])
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]
    assert np.array(Image.open(tmp_path / "grid.png").convert("L")).min() == 0


def test_the_placement_panel_has_three_rows(tmp_path):
    label_map = np.eye(16, 24, dtype=np.int32)
    steps = [("after 1 cell", label_map, np.random.default_rng(0).random((16, 24)))] * 4
    save_placement_panel(tmp_path / "panel.png", steps, [("uniform", label_map, None)] * 4)
    assert Image.open(tmp_path / "panel.png").size[0] > 800


def with_classes(label_map):
    """Findings whose regions are those of a label map of classes."""
    values = np.unique(label_map[label_map > 0])
    regions = np.searchsorted(values, label_map).astype(np.int32) + (label_map > 0)
    return Instances(label_map_to_boxes(regions), np.ones(len(values), np.float32), regions, values.astype(np.int32))


def test_classes_are_shaded_in_fixed_colours_holes_left_open():
    image = np.full((9, 9, 3), 9, dtype=np.uint8)
    classes = np.zeros((9, 9), dtype=np.int32)
    classes[1:4, 1:4], classes[5:8, 5:8] = 2, 1
    classes[2, 2] = 0
    for drawn in (shade_classes(image, classes), draw_cells(image, with_classes(classes))):
        assert np.array_equal((drawn != 9).any(axis=2), classes > 0)
        assert np.array_equal(drawn[classes > 0], np.round((9.0 + color_labels(classes)[classes > 0]) / 2))
    assert (image == 9).all()


def test_agreement_has_a_colour_for_each_pair_of_truth_and_answer():
    truth, found = np.array([[0, 1, 0, 1, 1]]), np.array([[0, 1, 1, 0, 2]])
    drawn = shade_agreement(np.zeros((1, 5, 3), dtype=np.uint8), truth, found)[0]
    assert drawn.tolist() == [[0, 0, 0], [43, 90, 116], [106, 47, 0], [120, 114, 33], [102, 60, 84]]


@pytest.mark.parametrize(("largest", "panels"), [(1, 3), (2, 4)])
def test_the_figure_of_a_run_on_classes_shows_where_they_agree(tmp_path, monkeypatch, largest, panels):
    drawn = []
    monkeypatch.setattr(runs, "save_grid", lambda path, rows, titles: drawn.append((rows, titles)))
    image, truth = np.full((9, 9, 3), 9, dtype=np.uint8), np.zeros((9, 9), dtype=np.int32)
    truth[1:4, 1:4], found = 1, np.zeros((9, 9), dtype=np.int32)
    found[2:5, 2:5] = largest
    save_run_figure(tmp_path / "run.png", [("real", image, truth)], "s_004", image, truth, with_classes(found), "beware")
    ((rows, titles),) = drawn
    assert len(rows[-1]) == len(titles[-1]) == panels
    assert np.array_equal(rows[-1][-1], shade_agreement(image, truth, found))
    assert titles[-1][-1].startswith("both (blue), found alone (red), true alone (yellow)")
    assert titles[-1][-1].endswith("\nbeware")


def test_an_answer_of_nothing_is_drawn(tmp_path):
    image, truth = np.full((9, 9, 3), 9, dtype=np.uint8), np.zeros((9, 9), dtype=np.int32)
    save_run_figure(tmp_path / "run.png", [("real", image, truth)], "s_004", image, truth, with_classes(truth))
    assert Image.open(tmp_path / "run.png").size[0] > 100
