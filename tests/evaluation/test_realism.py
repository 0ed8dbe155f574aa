import numpy as np
import pytest
import torch

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.evaluation.realism import (
    region_colors,
    region_descriptor,
    region_means,
    rms_pairwise_difference,
    spread,
    window_means,
)


def test_region_colors_by_hand():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0], image[1, 0], image[1, 1] = (200, 210, 220), (100, 50, 0), (50, 0, 100)
    colors = region_colors(image, np.array([[0, 0], [1, 2]]))
    assert colors.tolist() == [[200, 210, 220], [75, 25, 50]]
    assert np.isnan(region_colors(image, np.ones((2, 2), dtype=int))[0]).all()


def test_spread_is_the_deviation_between_images_averaged_over_channels():
    # Deviations 10, 0 and 20.
    colors = np.array([[100.0, 5, 40], [120, 5, 80], [np.nan, np.nan, np.nan]])
    assert spread(colors) == pytest.approx(10)
    assert np.isnan(spread(colors[2:]))


def test_pairwise_distance_by_hand():
    # Pairs: (3, 4) apart: 5; (0, 4): 4; (3, 0): 3. Root mean square over two columns.
    points = np.array([[0.0, 0], [3, 4], [0, 4]])
    assert rms_pairwise_difference(points) == pytest.approx((5 + 4 + 3) / 3 / np.sqrt(2))
    assert rms_pairwise_difference(np.array([[0.0, 0], [3, 4], [np.nan, 0]])) == pytest.approx(5 / np.sqrt(2))
    assert np.isnan(rms_pairwise_difference(points[:1]))


def test_descriptor_by_hand():
    # Left column background with direction (3, 4) / 5, right column cells with (0, 1), whatever their length.
    features = torch.tensor([[[3.0, 0.0], [30.0, 0.0]], [[4.0, 7.0], [40.0, 0.1]]])
    foreground = torch.zeros(4, 4, dtype=torch.bool)
    foreground[:, 2:] = True
    assert region_descriptor([features], foreground) == pytest.approx([0.6, 0.8, 0.0, 1.0])
    # Half a cell counts half: two thirds of the cells' weight are on the right.
    foreground[:, 1] = True
    cells = region_descriptor([features], foreground)[2:]
    assert cells == pytest.approx([(0.5 * 0.6) / 1.5, (0.5 * 0.8 + 1.0) / 1.5])
    assert region_descriptor([features, features], foreground).shape == (8,)
    assert region_descriptor([features], torch.zeros(4, 4, dtype=torch.bool))[2:].tolist() == [0, 0]


def test_a_descriptor_does_not_see_where_the_cells_are():
    rng = np.random.default_rng(0)
    texture = torch.from_numpy(rng.random((5, 2)))
    maps = [np.zeros((32, 32), dtype=bool), np.zeros((32, 32), dtype=bool)]
    maps[0][:16], maps[1][8:16, 16:24] = True, True
    first, second = (texture[:, torch.from_numpy(m.astype(int))] for m in maps)
    described = [region_descriptor([f], torch.from_numpy(m)) for f, m in zip((first, second), maps, strict=True)]
    assert described[0] == pytest.approx(described[1])


def test_window_means_by_hand():
    features = torch.arange(12.0).reshape(1, 3, 4)
    # Two windows of 2 x 2; the third row is left out.
    assert window_means(features, 2, most=9).tolist() == [[2.5], [4.5]]
    assert window_means(features, 1, most=3).tolist() == [[0], [6], [11]]
    assert window_means(features, 8, most=9).tolist() == [[5.5]]


def test_one_channel_and_16_bits_are_told_in_grey_levels_of_their_range():
    image = np.array([[[1000], [1000]], [[3000], [2000]]], dtype=np.uint16)
    label_map = np.array([[0, 0], [1, 1]])
    assert region_means(image, label_map).tolist() == [[1000], [2500]]
    spec = ImageSpec(channels=("grey",), value_range=(0, 4095))
    assert region_colors(image, label_map, spec) == pytest.approx(np.array([[1000], [2500]]) * 255 / 4095)
    assert np.isnan(region_colors(image, label_map * 0 + 1, spec)[0]).all()


def test_images_and_label_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        region_colors(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), int))
