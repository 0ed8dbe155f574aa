import numpy as np
import pytest
from slice_samples import slice_spec, tiny_slice

from rbc_lightning.data.augment.transforms import build_augmentation
from rbc_lightning.errors import InputError

SPEC = slice_spec("lesion")


def changed(transforms, image, label_map, seed=0):
    return build_augmentation(transforms, SPEC)(image, label_map, seed)


def test_contrast_turns_about_the_mean_of_the_brain_by_hand():
    image = np.full((4, 4, 2), round(0.5 * 4095), np.uint16)
    settings = {"p": 1, "power": [2, 2], "scale": [0.5, 0.5], "shift": [1, 1]}
    found, _ = changed({"scan_contrast": settings}, image, np.zeros((4, 4), np.int32))
    # 0.4 * (0.5 / 0.4)^2 = 0.625; half the distance from 0.4 is 0.5125; one deviation more 0.6125.
    np.testing.assert_allclose(found / 4095, 0.6125, atol=3e-4)
    brain = np.full((4, 4, 2), round(0.4 * 4095), np.uint16)
    kept, _ = changed({"scan_contrast": {**settings, "shift": [0, 0]}}, brain, np.zeros((4, 4), np.int32))
    np.testing.assert_array_equal(kept, brain)


def test_channels_have_curves_of_their_own_and_labels_stay():
    image, label_map = tiny_slice(3)
    image[..., 1] = image[..., 0]
    found, kept = changed({"scan_contrast": {"p": 1}, "bias_field": {"p": 1}}, image, label_map)
    assert (found[..., 0] != found[..., 1]).any()
    np.testing.assert_array_equal(kept, label_map)
    again, _ = changed({"scan_contrast": {"p": 1}, "bias_field": {"p": 1}}, image, label_map)
    np.testing.assert_array_equal(found, again)


def test_a_bias_field_is_a_quadratic_surface():
    image = np.full((32, 32, 2), 2000, np.uint16)
    found, _ = changed({"bias_field": {"p": 1, "strength": 0.3}}, image, np.zeros((32, 32), np.int32))
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).reshape(-1, 6)
    for channel in np.moveaxis(found.astype(float), 2, 0):
        fit = terms @ np.linalg.lstsq(terms, channel.ravel(), rcond=None)[0]
        assert np.abs(fit - channel.ravel()).max() < 1
        assert channel.std() > 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scan_contrast": {"power": [0, 1]}}, "power must be a range"),
        ({"bias_field": {"strength": -1}}, "strength must be at least 0"),
    ],
)
def test_bad_values_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build_augmentation(settings, SPEC)
