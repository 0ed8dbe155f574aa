"""Overlays on hand-made cells, pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny_data import disc_smear

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.page.overlay_styles import class_legend
from rbc_lightning.report.page.overlays import (
    agreement_overlay,
    cells_overlay,
    class_overlay,
    mask_overlay,
    match_label_maps,
    truth_overlay,
)

CLEAR = (0, 0, 0, 0)
RIGHT, FALSE, MISSED = (86, 180, 233, 255), (213, 94, 0, 255), (0, 0, 0, 255)
FALSE_FILL, MISSED_FILL = (213, 94, 0, 128), (240, 228, 66, 128)


def pixels(png, shape):
    """The picture as RGBA, once it is known to be a palette PNG of the image's size."""
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "P", shape[::-1])
    return np.array(picture.convert("RGBA"))


def seen(rgba, part):
    """The colours that occur in a part of the picture."""
    return {tuple(int(channel) for channel in color) for color in np.unique(rgba[part].reshape(-1, 4), axis=0)}


def squares(shape, *corners, side=20):
    """A label map of squares by upper left corner, numbered from 1."""
    label_map = np.zeros(shape, dtype=np.int32)
    for number, (row, column) in enumerate(corners, start=1):
        label_map[row : row + side, column : column + side] = number
    return label_map


def found_in(label_map):
    boxes = label_map_to_boxes(label_map)
    return Instances(boxes, np.ones(len(boxes), dtype=np.float32), label_map)


def boxes_alone(*boxes):
    return Instances(np.array(boxes, dtype=np.float32).reshape(-1, 4), np.linspace(1, 0.5, len(boxes), dtype=np.float32))


def test_true_cells_are_filled_and_outlined_and_neighbours_differ():
    # Three in a row that touch, and one on its own.
    label_map = squares((100, 120), (10, 10), (10, 30), (10, 50), (60, 80))
    rgba = pixels(truth_overlay(label_map), label_map.shape)
    assert seen(rgba, label_map == 0) == {CLEAR}
    lines, fills = [], []
    for cell in range(1, 5):
        (line,), (fill,) = (
            {color for color in seen(rgba, label_map == cell) if (color[3] == 255) == opaque} for opaque in (True, False)
        )
        assert line[:3] == fill[:3]
        assert 0 < fill[3] < 128
        lines.append(line)
        fills.append(fill)
    assert lines[0] != lines[1] != lines[2]
    # One pixel wide at this size: the border pixel is the line, the next one the filling.
    assert tuple(rgba[20, 10]) == lines[0]
    assert tuple(rgba[20, 11]) == fills[0]


def test_six_cells_that_all_touch_have_six_colors():
    label_map = np.repeat(np.repeat(np.arange(1, 7).reshape(2, 3), 2, axis=0), 2, axis=1).astype(np.int32)
    label_map = np.pad(label_map, 10)
    # At 2 px a cell lies within reach of every other one.
    assert len(seen(pixels(truth_overlay(label_map), label_map.shape), label_map > 0)) == 6


def test_more_cells_than_colors_and_more_than_a_byte_holds():
    label_map = np.zeros((200, 200), dtype=np.int32)
    label_map[:] = np.arange(400).reshape(20, 20).repeat(10, axis=0).repeat(10, axis=1) + 1
    rgba = pixels(truth_overlay(label_map), label_map.shape)
    assert (rgba[..., 3] > 0).all()
    middle = rgba[5::10, 5::10, :3].astype(int)
    assert (middle[1:] != middle[:-1]).any(axis=2).all()
    assert (middle[:, 1:] != middle[:, :-1]).any(axis=2).all()


def test_label_maps_show_right_false_and_missed_cells():
    truth = squares((120, 160), (10, 10), (60, 10))
    found = squares((120, 160), (12, 12), (10, 100))  # IoU 18 * 18 / (800 - 18 * 18) = 0.68
    rgba = pixels(cells_overlay(found_in(found), truth), truth.shape)
    assert tuple(rgba[20, 12]) == RIGHT
    assert seen(rgba, found == 1) == {RIGHT, CLEAR}
    assert seen(rgba, found == 2) == {FALSE, FALSE_FILL}
    assert seen(rgba, truth == 2) == {MISSED, MISSED_FILL}
    border = truth == 2
    border[61:79, 11:29] = False
    # Dashes and gaps take half of the missed cell's outline each.
    assert 0.3 < (rgba[border] == MISSED).all(axis=1).mean() < 0.7
    assert seen(rgba, (found == 0) & (truth != 2)) == {CLEAR}


def test_a_cell_found_in_two_halves_is_missed_and_two_are_false():
    truth = squares((100, 100), (30, 30), side=40)
    halves = truth.copy()
    halves[50:70, 30:70] = 2  # IoU 0.5 each, which does not exceed 0.5
    rgba = pixels(cells_overlay(found_in(halves), truth), truth.shape)
    assert seen(rgba, truth > 0) <= {FALSE, FALSE_FILL, MISSED}
    assert tuple(rgba[30, 40]) == FALSE


def test_boxes_show_right_false_and_missed_cells():
    truth = squares((120, 160), (10, 10), (60, 10))
    found = boxes_alone((11, 10, 30, 30), (100, 50, 120, 90), (10, 10, 30, 29))
    rgba = pixels(cells_overlay(found, truth), truth.shape)
    # The right box: columns 11 to 29, rows 10 to 29, one pixel wide; the third took no cell that was left.
    assert tuple(rgba[29, 20]) == RIGHT
    assert tuple(rgba[20, 29]) == RIGHT
    assert seen(rgba, np.s_[50:90, 100:120]) == {FALSE, FALSE_FILL}
    assert tuple(rgba[50, 100]) == tuple(rgba[89, 119]) == FALSE
    assert tuple(rgba[70, 110]) == FALSE_FILL
    assert seen(rgba, np.s_[90:, 100:]) == seen(rgba, np.s_[:, 120:]) == {CLEAR}
    assert seen(rgba, np.s_[60:80, 10:30]) == {MISSED, MISSED_FILL}
    assert tuple(rgba[70, 20]) == MISSED_FILL
    assert tuple(rgba[20, 20]) == FALSE_FILL


def test_boxes_beyond_the_image_are_cut_off():
    truth = np.zeros((60, 80), dtype=np.int32)
    rgba = pixels(cells_overlay(boxes_alone((-5, -5, 10, 10), (70, 50, 95, 75), (90, 10, 95, 20)), truth), truth.shape)
    assert tuple(rgba[9, 5]) == FALSE
    assert tuple(rgba[59, 79]) == FALSE


def test_a_mask_shows_its_outline_and_wide_differences_alone():
    truth = squares((100, 120), (10, 10), (10, 60))
    mask = np.zeros(truth.shape, dtype=bool)
    mask[9:31, 9:31] = True  # one pixel too far on all sides
    mask[60:80, 20:40] = True
    rgba = pixels(mask_overlay(mask, truth), truth.shape)
    assert seen(rgba, np.s_[:45, :50]) == {RIGHT, CLEAR}
    assert tuple(rgba[9, 20]) == RIGHT
    assert seen(rgba, np.s_[60:80, 20:40]) == {RIGHT, FALSE_FILL}
    # A disc does not reach into the corners of a square.
    assert tuple(rgba[20, 70]) == MISSED_FILL
    assert seen(rgba, truth == 2) <= {MISSED_FILL, CLEAR}


@pytest.mark.parametrize("seed", range(5))
def test_matching_agrees_with_a_plain_twin(seed):
    rng = np.random.default_rng(seed)
    _, truth = disc_smear(seed=seed)
    found = np.roll(truth, int(rng.integers(3, 9)), axis=1)
    # Ids with gaps and in another order than that of the pixels.
    names = rng.permutation(40)[: found.max() + 1] + 1
    names[0] = 0
    found = names[found]
    ours = match_label_maps(found, truth)
    pairs = [
        (f, t)
        for f in np.unique(found[found > 0])
        for t in np.unique(truth[truth > 0])
        if ((found == f) & (truth == t)).sum() > 0.5 * ((found == f) | (truth == t)).sum()
    ]
    assert set(np.flatnonzero(ours[0])) == {f for f, _ in pairs}
    assert set(np.flatnonzero(ours[1])) == {t for _, t in pairs}


def test_nothing_found_in_an_empty_image():
    truth = np.zeros((40, 50), dtype=np.int32)
    for png in (truth_overlay(truth), cells_overlay(boxes_alone(), truth), mask_overlay(truth > 0, truth)):
        assert not pixels(png, truth.shape).any()
    assert not pixels(cells_overlay(found_in(truth), truth), truth.shape).any()


def test_a_crowded_field_is_small_and_the_same_again():
    _, truth = disc_smear(seed=0, height=480, width=640, radius=18, count=110)
    _, found = disc_smear(seed=1, height=480, width=640, radius=18, count=110)
    for png in (truth_overlay(truth), cells_overlay(found_in(found), truth), mask_overlay(found > 0, truth)):
        assert len(png) < 30_000
    assert cells_overlay(found_in(found), truth) == cells_overlay(found_in(found), truth)


def test_another_size_is_refused():
    small, large = np.zeros((40, 50), dtype=np.int32), np.zeros((50, 40), dtype=np.int32)
    for draw in (lambda: cells_overlay(found_in(small), large), lambda: mask_overlay(small > 0, large)):
        with pytest.raises(ValueError, match=r"expected a prediction of the truth's shape \(50, 40\), got \(40, 50\)"):
            draw()


def test_classes_are_filled_in_their_own_colours_voxel_by_voxel():
    classes = np.zeros((20, 20), dtype=np.int32)
    classes[2:7, 2:7], classes[10:15, 2:7], classes[2:7, 10:15] = 1, 2, 1
    classes[4, 4] = 0
    shown = pixels(class_overlay(classes), classes.shape)
    assert seen(shown, classes == 0) == {CLEAR}
    assert (seen(shown, classes == 1), seen(shown, classes == 2)) == ({(230, 159, 0, 128)}, {(0, 158, 115, 128)})
    # Of one class alone it is the same colour.
    alone = pixels(class_overlay(np.where(classes == 2, 2, 0)), classes.shape)
    assert seen(alone, classes == 2) == {(0, 158, 115, 128)}


def test_of_one_class_every_voxel_is_right_false_or_missed():
    truth, found = np.zeros((2, 12, 10), dtype=bool)
    truth[2:6, 2:6], found[2:6, 4:8] = True, True
    # A hole in the answer, and a lesion of a single voxel, are neither lined nor left out.
    found[3, 5], truth[9, 9] = False, True
    shown = pixels(agreement_overlay(found, truth), truth.shape)
    assert seen(shown, found & truth) == {(86, 180, 233, 128)}
    assert seen(shown, found & ~truth) == {FALSE_FILL}
    assert seen(shown, truth & ~found) == {MISSED_FILL}
    assert seen(shown, ~truth & ~found) == {CLEAR}
    with pytest.raises(ValueError, match=r"truth's shape \(12, 10\), got \(10, 12\)"):
        agreement_overlay(found.T, truth)


def test_classes_have_the_colours_of_the_legend():
    label_map = np.zeros((40, 60), np.int32)
    label_map[5:20, 5:20], label_map[25:35, 30:55] = 1, 3
    drawn = np.array(Image.open(io.BytesIO(class_overlay(label_map))).convert("RGBA"))
    assert not drawn[label_map == 0].any()
    names = class_legend(("a", "b", "c"))
    assert [entry.text for entry in names] == ["a", "b", "c"]
    for value, entry in ((1, names[0]), (3, names[2])):
        red, green, blue = map(int, entry.fill.removeprefix("rgb(").split(" /")[0].split())
        assert {tuple(color) for color in drawn[label_map == value]} == {(red, green, blue, 128)}
