import cv2
import numpy as np
import pytest
import torch
from tiny_data import disc_smear

from rbc_lightning.ops.cell_crops import cell_crops, nearest_distances
from rbc_lightning.ops.painting_quality import (
    mean_pairwise_distance,
    region_colors,
    region_descriptor,
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
    assert mean_pairwise_distance(points) == pytest.approx((5 + 4 + 3) / 3 / np.sqrt(2))
    assert mean_pairwise_distance(np.array([[0.0, 0], [3, 4], [np.nan, 0]])) == pytest.approx(5 / np.sqrt(2))
    assert np.isnan(mean_pairwise_distance(points[:1]))


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


def test_a_crop_is_centred_on_its_cell_and_scaled_to_it():
    label_map = np.zeros((60, 80), dtype=np.int32)
    rows, columns = np.mgrid[:60, :80]
    label_map[np.hypot(rows - 30, columns - 40) <= 8] = 7
    label_map[:9, :9] = 9  # cut by the border
    image = np.where(label_map[..., None] == 7, 100, 200).astype(np.uint8).repeat(3, axis=2)
    crops = cell_crops(image, label_map, side=21)
    assert crops.shape == (1, 21, 21, 3)
    # A box side of 17 at four fifths: a square of 21 pixels, here at full size.
    assert np.array_equal(crops[0], image[20:41, 30:51])
    small = cell_crops(image, label_map, side=7)[0, ..., 0]
    assert small == pytest.approx(image[20:41, 30:51, 0].reshape(7, 3, 7, 3).mean(axis=(1, 3)), abs=1e-3)
    assert cell_crops(image, np.zeros((60, 80), dtype=np.int32)).shape == (0, 16, 16, 3)


@pytest.fixture(scope="module")
def cells():
    pairs = [disc_smear(seed, count=8) for seed in range(6)]
    # Every cell gets a pattern of its own.
    rng = np.random.default_rng(0)
    crops = []
    for image, label_map in pairs:
        pattern = cv2.GaussianBlur(rng.normal(size=image.shape), (0, 0), 3)
        crops.append(cell_crops((image + 300 * pattern).clip(0, 255).astype(np.uint8), label_map))
    return np.concatenate(crops[:4]), np.concatenate(crops[4:])


def test_a_copy_is_found_mirrored_in_another_stain_and_contrast(cells):
    train, held_out = cells
    noise = np.random.default_rng(1).normal(0, 2, train.shape)
    copies = (0.5 * train[:, ::-1, ::-1] + (40, 60, 20) + noise).astype(np.float32)
    assert nearest_distances(train, train) == pytest.approx(0, abs=2e-3)
    assert nearest_distances(copies, train).max() < 0.4 * np.median(nearest_distances(held_out, train))
    # A copy that is turned by a quarter is none the translator could have learnt from flips.
    assert np.median(nearest_distances(train[:, :, ::-1].transpose(0, 2, 1, 3), train)) > 0.4


def test_distances_by_hand_and_in_chunks():
    rng = np.random.default_rng(2)
    queries, references = (rng.normal(size=(n, 4, 4, 3)).astype(np.float32) for n in (300, 5))
    found = nearest_distances(queries, references)

    def pattern(crop):
        crop = crop - crop.mean(axis=(0, 1))
        return (crop / crop.std()).astype(np.float64)

    plain = [
        min(np.sqrt(((pattern(q) - pattern(r)[::a, ::b]) ** 2).mean()) for r in references for a in (1, -1) for b in (1, -1))
        for q in queries
    ]
    assert found == pytest.approx(plain, abs=1e-4)
    assert nearest_distances(queries[:0], references).shape == (0,)
    flat = np.full((1, 4, 4, 3), 7, dtype=np.float32)
    assert nearest_distances(flat, references) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: region_colors(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), int)), "differ in size"),
        (lambda: cell_crops(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), int)), "differ in size"),
        (lambda: nearest_distances(np.zeros((1, 4, 4, 3)), np.zeros((1, 5, 5, 3))), "crops must have one size"),
        (lambda: nearest_distances(np.zeros((1, 4, 4, 3)), np.zeros((0, 4, 4, 3))), "at least one reference cell, got none"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
