import numpy as np
import pytest
from tiny_data import disc_smear

from rbc_lightning.evaluation.distances import nearest_distances
from rbc_lightning.evaluation.realism import cell_crops


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


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint16), (3, np.uint8)])
def test_crops_have_the_channels_of_the_image(channels, dtype):
    image, label_map = disc_smear(1)
    own = image[..., :channels].astype(dtype)
    crops = cell_crops(own, label_map)
    assert crops.shape[1:] == (16, 16, channels)
    np.testing.assert_array_equal(crops, cell_crops(image, label_map)[..., :channels])
    assert nearest_distances(crops, crops) == pytest.approx(0, abs=2e-3)
    assert cell_crops(own, np.zeros_like(label_map)).shape == (0, 16, 16, channels)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="differ in size"):
        cell_crops(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), int))
