"""Cells by a threshold: uneven light, holes, waists, any depth and channels, either sign; and what must not break it."""

import numpy as np
import pytest

from rbc_lightning.segmenters.threshold.cells import contrast_of, find_cells, part_cells, solidity

RADIUS = 10
SIZES = {"background_sigma": 20.0, "max_hole_area": 150, "min_area": 16, "split_distance": 5.0}


def discs(*centers, height=96, width=128, radius=RADIUS):
    """Label map of discs."""
    rows, columns = np.mgrid[:height, :width]
    label_map = np.zeros((height, width), np.int32)
    for index, (row, column) in enumerate(centers, start=1):
        label_map[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = index
    return label_map


APART = discs((20, 20), (20, 70), (60, 40), (75, 110))


def picture(label_map, depth=0.3, ramp=0.4, noise=0.01, channels=3):
    """Dark objects on a ground that gets darker to the right by more than the objects are deep; float32 (H, W, C)."""
    rng = np.random.default_rng(0)
    ground = 0.9 - ramp * np.linspace(0, 1, label_map.shape[1])[None, :] ** 2
    image = ground - depth * (label_map > 0) + noise * rng.standard_normal(label_map.shape)
    return np.repeat(image[..., None], channels, axis=2).astype(np.float32)


def dice(found, truth):
    return 2 * np.sum((found > 0) & (truth > 0)) / (np.sum(found > 0) + np.sum(truth > 0))


def test_a_plain_threshold_fails_where_the_light_is_uneven_and_this_one_does_not():
    image = picture(APART)
    # The ground on the right is darker than the cells on the left.
    assert image[40:50, -5:].max() < image[18:22, 18:22].min() + 0.02
    found = find_cells(image, **SIZES)
    assert (len(found), found.label_map.max(), found.label_map.dtype) == (4, 4, np.int32)
    assert dice(found.label_map, APART) > 0.98


def test_bright_objects_are_dark_ones_of_the_negative():
    image = picture(APART)
    dark, bright = find_cells(image, **SIZES), find_cells(1 - image, objects="bright", **SIZES)
    assert dice(dark.label_map, bright.label_map) > 0.999
    assert find_cells(1 - image, objects="dark", **SIZES).label_map[20, 20] == 0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_channel_that_shows_the_cells_best_is_taken(channels):
    image = np.random.default_rng(1).normal(0.5, 0.1, (*APART.shape, channels)).astype(np.float32)
    image[..., channels - 1] = picture(APART)[..., 0]
    assert dice(find_cells(image, **SIZES).label_map, APART) > 0.98


def test_faint_signal_in_a_deep_range_with_hot_pixels_is_found():
    # 16 bit: the cells are 1,200 of 65,535 levels above the ground, two pixels are saturated.
    counts = 500 + 1200 * (APART > 0) + np.random.default_rng(2).normal(0, 40, APART.shape)
    counts[5, 5] = counts[90, 60] = 65535
    image = (counts / 65535).astype(np.float32)[..., None]
    assert dice(find_cells(image, objects="bright", **SIZES).label_map, APART) > 0.95


def test_a_pale_centre_is_filled_and_ground_in_a_ring_of_cells_is_not():
    rings = APART * (discs((20, 20), (20, 70), (60, 40), (75, 110), radius=4) == 0)
    assert dice(find_cells(picture(rings), **SIZES).label_map, APART) > 0.98
    # A radius of 4 has 49 pixels.
    bare = find_cells(picture(rings, ramp=0), **{**SIZES, "max_hole_area": 30}).label_map
    assert dice(bare, rings) > 0.98
    assert bare[20, 20] == 0


def test_specks_are_dropped():
    speck = APART.copy()
    speck[45:51, 90:96] = 9
    assert len(find_cells(picture(speck), **SIZES)) == 5
    assert len(find_cells(picture(speck), **{**SIZES, "min_area": 40})) == 4


def test_touching_cells_are_parted_at_their_waist():
    pair = discs((40, 40), (40, 57))
    parted = part_cells(pair > 0, 5.0)
    assert sorted(np.unique(parted)) == [0, 1, 2]
    assert ((parted > 0) == (pair > 0)).all()
    # Half a circle each side of the waist, which is column 48.5.
    assert len(np.unique(parted[:, :48][pair[:, :48] > 0])) == len(np.unique(parted[:, 50:][pair[:, 50:] > 0])) == 1
    # Tops nearer than this are one cell's.
    assert part_cells(pair > 0, 20.0).max() == 1


def test_a_cell_cut_by_the_border_and_a_patch_of_one_pixel_stay():
    mask = discs((0, 40), (60, 127)) > 0
    mask[90, 10] = True
    parted = part_cells(mask, 5.0)
    assert ((parted > 0) == mask).all()
    assert parted.max() == 3


def test_solidity_is_one_for_what_is_convex_and_less_for_two_cells_taken_for_one():
    label_map = discs((20, 20), (60, 40))
    label_map[80, 60:90] = 3
    label_map[discs((50, 80), (50, 98)) > 0] = 4
    one, two, line, pair = solidity(label_map)
    # The steps of a disc of pixels leave gaps.
    assert one == two == pytest.approx(0.95, abs=0.01)
    assert line == 1
    assert 0.8 < pair < 0.93
    # Between the middles of pixels a cross is 2 wide and 22 long, its four inner corners are cut across half a pixel, and its
    # hull lacks four corners of 10 x 10 / 2.
    cross = np.zeros((40, 40), np.int32)
    cross[19:22, 9:32] = cross[9:32, 19:22] = 1
    outline = 2 * 22 * 2 - 2 * 2 + 4 / 2
    hull = 22 * 22 - 4 * 10 * 10 / 2
    assert solidity(cross)[0] == pytest.approx(outline / hull)


def test_scores_rank_parted_cells_above_clumps_and_count_all():
    found = find_cells(picture(discs((20, 20), (60, 60), (60, 76)), ramp=0.2), **{**SIZES, "split_distance": 20.0})
    assert len(found) == 2
    assert found.scores.min() >= 0.5
    assert found.scores.argmax() == found.label_map[20, 20] - 1


def test_the_contrast_does_not_follow_crowded_cells():
    rows, columns = np.mgrid[10:96:21, 10:128:21]
    crowd = discs(*zip(rows.ravel(), columns.ravel(), strict=True))
    assert np.mean(crowd > 0) > 0.6
    found = contrast_of(picture(crowd, ramp=0.1)[..., 0], 20.0)
    above = found.values > found.threshold
    assert np.mean(above[crowd > 0]) > 0.97
    assert np.mean(above[crowd == 0]) < 0.1
    assert 0.9 < found.separability <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 200, 3), (64, 64, 2)])
def test_a_constant_image_has_no_cell(shape):
    found = find_cells(np.full(shape, 0.4, np.float32), **SIZES)
    assert (len(found), found.boxes.shape, found.label_map.shape) == (0, (0, 4), shape[:2])


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ((8, 8), {}, r"expected an image \(H, W, C\), got shape \(8, 8\)"),
        ((0, 8, 3), {}, r"expected an image \(H, W, C\), got shape \(0, 8, 3\)"),
        ((8, 8, 3), {"background_sigma": 0}, r"must be positive, got 0 and 5\.0"),
        ((8, 8, 3), {"split_distance": -1}, r"must be positive, got 20\.0 and -1"),
    ],
)
def test_what_makes_no_sense_is_refused(shape, changes, message):
    with pytest.raises(ValueError, match=message):
        find_cells(np.zeros(shape, np.float32), **{**SIZES, **changes})
