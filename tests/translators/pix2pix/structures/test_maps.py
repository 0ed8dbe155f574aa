"""Structure maps: thresholds, what counts as dark, arrays against tensors."""

import numpy as np
import pytest
import torch

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.translators.pix2pix.structures.maps import METHODS, structure_channels, structure_map, structure_threshold

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, size=(40, 50, 3), dtype=np.uint8)


def smear(dark=80, bright=220, seed=0):
    """A dark square on a bright ground, with some noise; grey levels in every channel."""
    noise = np.random.default_rng(seed).integers(-9, 10, size=(40, 50))
    grey = np.full((40, 50), bright)
    grey[10:25, 10:30] = dark
    return np.repeat((grey + noise)[..., None], 3, axis=2).astype(np.uint8)


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def otsu_by_hand(grey):
    """The level that maximises the variance between what is at or below it and what is above."""
    levels = range(int(grey.min()), int(grey.max()))

    def between(level):
        low, high = grey[grey <= level].astype(float), grey[grey > level].astype(float)
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    return max(levels, key=between)


def test_grey_is_rec_601_rounded_and_dark_is_at_or_below_the_threshold():
    pixels = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 0, 0), (0, 1, 0), (0, 0, 250)]
    # 76.245, 149.685, 29.07, 0.299, 0.587 and 28.5, which goes up.
    greys = np.array([[76, 150, 29, 0, 1, 29]])
    image = np.array([pixels], dtype=np.uint8)
    for level in (0, 0.5, 1, 28.9, 29, 75.9, 76, 149, 150):
        assert np.array_equal(structure_map(image, level), greys <= level)


def test_otsu_parts_cells_from_background_at_the_best_level():
    image = smear()
    threshold = structure_threshold(image)
    assert threshold == otsu_by_hand(image[..., 0])
    dark = structure_map(image, threshold)
    expected = np.zeros((40, 50), dtype=bool)
    expected[10:25, 10:30] = True
    assert dark.dtype == bool
    assert np.array_equal(dark, expected)
    grey = (NOISE @ np.array([299, 587, 114]) + 500) // 1000
    assert structure_threshold(NOISE) == otsu_by_hand(grey)


@pytest.mark.parametrize("method", [*METHODS, 100, 99.5])
def test_every_method_parts_the_image_in_two(method):
    image = smear()
    threshold = structure_threshold(image, method)
    assert 0 < structure_map(image, threshold).mean() < 1


def test_named_and_fixed_thresholds_are_what_they_say():
    image = smear()
    assert structure_threshold(image, "mean") == pytest.approx(image[..., 0].mean())
    assert structure_threshold(image, 99.5) == 99.5


def test_arrays_and_tensors_agree_at_every_pixel_and_every_level():
    images = np.stack([NOISE, NOISE[::-1], 255 - NOISE])
    batch = torch.stack([as_tensor(image.copy()) for image in images])
    # A level in float32 just below 100 would round onto it.
    for thresholds in ([97.5, 120.0, 99.9999999], [0.0, 255.0, 130.2], torch.tensor([60.0, 128.0, 200.5])):
        channels = structure_channels(batch, thresholds)
        assert channels.dtype == torch.float32
        assert channels.shape == (3, 1, 40, 50)
        for image, threshold, channel in zip(images, thresholds, channels, strict=True):
            expected = np.where(structure_map(image, float(threshold)), 1.0, -1.0)
            assert np.array_equal(channel[0].numpy(), expected)


def test_all_grey_levels_of_8_bits_survive_the_way_through_float():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for level in range(256):
        assert structure_channels(as_tensor(ramp)[None], [level]).eq(1).sum() == level + 1 == structure_map(ramp, level).sum()


def test_a_crop_takes_the_threshold_of_its_image():
    image = smear()
    threshold = structure_threshold(image)
    crop = as_tensor(image)[None, :, 12:20, 12:28]
    assert structure_channels(crop, [threshold]).eq(1).all()


def test_values_beyond_the_range_count_as_its_ends():
    image = torch.tensor([-0.5, 1.5]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert structure_channels(image, [0]).flatten().tolist() == [1, -1]
    assert structure_channels(image, [255]).flatten().tolist() == [1, 1]


# --- other kinds of images


def test_grey_is_the_mean_of_other_channels_rounded():
    one, two = ImageSpec(channels=("grey",)), ImageSpec(channels=("dapi", "actin"))
    ramp = np.arange(256, dtype=np.uint8)[None, :, None]
    for level in (0, 17, 254):
        assert structure_map(ramp, level, one).sum() == level + 1
    pairs = np.array([[(0, 1), (1, 1), (10, 20), (255, 254)]], dtype=np.uint8)
    # 0.5 goes up, 1, 15, 254.5 goes up.
    greys = np.array([[1, 1, 15, 255]])
    for level in (0, 1, 14, 15, 254):
        assert np.array_equal(structure_map(pairs, level, two), greys <= level)


def test_sixteen_bits_keep_their_levels():
    spec = ImageSpec(channels=("dapi",), value_range=(0, 65535))
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    tensor = torch.from_numpy(image.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    for level in (0, 1, 30000, 65534):
        assert structure_map(image, level, spec).sum() == level + 1
        assert structure_channels(tensor, [level], spec).eq(1).sum() == level + 1
    assert structure_threshold(image, "mean", spec) == pytest.approx(32767.5)
    assert structure_threshold(image, 40000, spec) == 40000


def test_bright_objects_are_what_is_above_the_threshold():
    dark, bright = (ImageSpec(objects=objects) for objects in ("dark", "bright"))
    image = smear()
    threshold = structure_threshold(image, "otsu", dark)
    assert threshold == structure_threshold(image, "otsu", bright)
    assert np.array_equal(structure_map(image, threshold, bright), ~structure_map(image, threshold, dark))
    channels = [structure_channels(as_tensor(image)[None], [threshold], spec) for spec in (dark, bright)]
    assert torch.equal(channels[0], -channels[1])


@pytest.mark.parametrize("method", ["otsu", "li", "triangle", "mean", 100])
def test_a_constant_image_is_refused(method):
    with pytest.raises(ValueError, match=r"all 100 pixels of the image have grey level 200.*leave the image out"):
        structure_threshold(np.full((10, 10, 3), 200, dtype=np.uint8), method)


@pytest.mark.parametrize("level", [20, 250])
def test_a_threshold_beyond_the_image_is_refused(level):
    with pytest.raises(
        ValueError, match=rf"{level} gives grey level {level}, which leaves nothing on one side.*levels 71 to 229"
    ):
        structure_threshold(smear(), level)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: structure_threshold(NOISE, "otzu"), ValueError, "a structure threshold must be one of otsu, li, .*got 'otzu'"),
        (lambda: structure_threshold(NOISE, 256), ValueError, "grey level from 0 to 255, got 256"),
        (lambda: structure_threshold(NOISE / 255), TypeError, "expected an array of uint8, got float64"),
        (lambda: structure_threshold(NOISE[..., 0]), ValueError, r"of red, green, blue, height x width x 3; got \(40, 50\)"),
        (lambda: structure_map(NOISE, 9, ImageSpec(channels=("a", "b"))), ValueError, r"of a, b, height x width x 2; got"),
        (
            lambda: structure_map(NOISE, 9, ImageSpec(value_range=(0, 4095))),
            TypeError,
            "array of uint16, got uint8",
        ),
        (lambda: structure_map(torch.zeros(3, 4, 4), 9), TypeError, "expected an array of uint8, got torch.float32"),
        (lambda: structure_channels(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), [9]), TypeError, "divide 8-bit images by 255"),
        (lambda: structure_channels(torch.zeros(3, 4, 4), [9]), ValueError, r"\(B, 3, H, W\), got \(3, 4, 4\)"),
        (lambda: structure_channels(torch.zeros(2, 3, 4, 4), [9]), ValueError, "1 thresholds for 2 images"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
