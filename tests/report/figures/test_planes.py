import numpy as np
import pytest
from PIL import Image

from rbc_lightning.report.figures.planes import ThreePlanes, centre_of_largest, plane, save_planes

SHAPE, SIDES = (40, 50, 12), (2.0, 2.0, 10.0)
# What a viewer sees at the left, right, top and bottom of each plane.
SEEN = {2: "RLAP", 1: "RLSI", 0: "APSI"}
HALVES = {"R": (0, 1), "L": (0, 0), "A": (1, 1), "P": (1, 0), "S": (2, 1), "I": (2, 0)}


def half(letter):
    """A volume, right, front and up last, that is bright on one side."""
    axis, last = HALVES[letter]
    volume = np.zeros(SHAPE)
    index = [slice(None)] * 3
    n = SHAPE[axis]
    index[axis] = slice(n - n // 4, n) if last else slice(0, n // 4)
    volume[tuple(index)] = 1
    return volume


@pytest.mark.parametrize(("across", "letters"), SEEN.items())
def test_every_side_of_the_body_is_seen_where_its_letter_stands(across, letters):
    at = tuple(n // 2 for n in SHAPE)
    for letter, side in zip(letters, (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1]), strict=True):
        seen = plane(half(letter), across, at)
        assert seen[side].all(), letter
        assert seen.mean() < 0.3


def test_planes_go_through_the_largest_patch_and_inside_it():
    mask = np.zeros(SHAPE, int)
    mask[2, 2, 2] = 1
    mask[20:30, 20, 5] = mask[20, 20:30, 5] = 2
    at = centre_of_largest([np.zeros(SHAPE), mask], SHAPE)
    assert mask[at] == 2
    assert centre_of_largest([np.zeros(SHAPE)], SHAPE) == (20, 25, 6)


def test_the_sheet_has_sides_as_in_the_body_the_right_on_the_left_and_outlines(tmp_path):
    mask = np.zeros(SHAPE)
    mask[20, 25, 6] = 1
    save_planes(tmp_path / "x.png", [ThreePlanes("x", 1.0 + half("R"), SIDES, [(mask, "#0000ff")])])
    drawn = np.array(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    assert list(tmp_path.iterdir()) == [tmp_path / "x.png"]
    panels = np.split(drawn[:, : drawn.shape[1] // 3 * 3], 3, axis=1)
    # 80, 100 and 120 mm to the right, front and up.
    for panel, (wide, tall) in zip(panels, ((80, 100), (80, 120), (100, 120)), strict=True):
        head = (panel.min(axis=2) > 80)[30:]
        rows, columns = np.flatnonzero(head.mean(axis=1) > 0.3), np.flatnonzero(head.mean(axis=0) > 0.3)
        assert np.ptp(columns) / np.ptp(rows) == pytest.approx(wide / tall, rel=0.03)
        assert (panel[..., 2] - panel[..., 0] > 100).sum() > 8
    for panel in panels[:2]:
        brightness = panel[panel.shape[0] // 2 + 20, :, 0]
        bright = np.flatnonzero(brightness > 200)
        assert bright.max() < panel.shape[1] / 2
