import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.contour_bands import contour_band_cv2

from rbc_lightning.core.labels import instance_edges
from rbc_lightning.segmenters.dcan.task import contour_band


def random_map(seed, height, width, n_ids):
    """Voronoi cells, every third of them background: all borders are of cells that touch."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform((0, 0), (height, width), (n_ids, 2))
    pixels = np.stack(np.mgrid[:height, :width], axis=-1)[:, :, None]
    nearest = np.linalg.norm(pixels - centers, axis=-1).argmin(axis=-1)
    return np.where(nearest % 3, nearest * 997, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 8))
def test_band_equals_opencv(seed, height, width, n_ids, radius):
    label_map = np.stack([random_map(seed + item, height, width, n_ids) for item in range(2)])
    expected = np.stack([contour_band_cv2(one, radius) for one in label_map])
    assert np.array_equal(contour_band(torch.from_numpy(label_map), radius).numpy(), expected)


def test_band_of_a_straight_border_is_twice_the_radius_wide():
    label_map = torch.ones(1, 9, 20, dtype=torch.int64)
    label_map[..., 10:] = 2
    band = contour_band(label_map, radius=3)
    expected = torch.zeros(1, 9, 20, dtype=torch.bool)
    expected[..., 7:13] = True
    # The image border is no contour: the columns 0 and 19 are not marked.
    assert torch.equal(band, expected)


def test_band_of_one_pixel_is_the_disc_around_it_and_the_pixel():
    label_map = torch.zeros(5, 5, dtype=torch.int32)
    label_map[2, 2] = 9
    disc = torch.tensor([[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]])
    assert torch.equal(contour_band(label_map, radius=2).int(), disc.int())


def test_band_of_radius_one_is_the_edge_map():
    label_map = torch.from_numpy(random_map(3, 40, 30, 12))
    assert torch.equal(contour_band(label_map, radius=1), instance_edges(label_map))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_neighbouring_ids_are_told_apart_in_every_dtype(dtype):
    # As float32 the largest int32 and int64 ids would be equal.
    top = torch.iinfo(dtype).max
    label_map = torch.tensor([[top - 1, top]], dtype=dtype)
    assert contour_band(label_map, radius=1).all()


def test_empty_and_full_maps_and_discs_larger_than_the_image():
    assert not contour_band(torch.zeros(2, 6, 7, dtype=torch.int64), radius=3).any()
    assert not contour_band(torch.full((2, 6, 7), 5), radius=3).any()
    label_map = torch.zeros(6, 7, dtype=torch.int64)
    label_map[0, 0] = 1
    assert contour_band(label_map, radius=20).all()


def test_floating_label_maps_are_refused():
    with pytest.raises(TypeError, match=r"integer label map, got torch\.float32"):
        contour_band(torch.zeros(1, 4, 4), 3)


@pytest.mark.gpu
def test_band_on_the_gpu_equals_the_cpu():
    label_map = torch.from_numpy(random_map(5, 200, 300, 60))[None]
    band = contour_band(label_map.cuda(), 3)
    assert band.is_cuda
    assert torch.equal(band.cpu(), contour_band(label_map, 3))
