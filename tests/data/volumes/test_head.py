import numpy as np
import pytest

from rbc_lightning.data.volumes.head import find_bright, find_grey, find_head
from rbc_lightning.data.volumes.intensity import LARGEST


def drawn(air=-3.2, side=64, scalp=2.5):
    """Brain of 0 within a dark skull and a bright scalp, two channels alike, and the radius in mm; a pixel is 3 mm."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = 3 * np.hypot(x, y)
    z = np.select([radius < 66, radius < 72, radius < 80], [0.0, -2.8, scalp], air)
    z[28:32, 28:32] = -2.5  # fluid
    z[2, 2] = 3.0  # a speck in the air
    image = np.rint((z * 0.1 + 0.4) * LARGEST).astype(np.uint16)
    return np.stack([image, image], axis=-1)[None], radius


@pytest.mark.parametrize("air", [-3.2, -2.2, -4.0])
def test_the_head_ends_with_the_scalp_and_has_no_holes(air):
    image, radius = drawn(air)
    head, _ = find_head(image, (3.0, 3.0))
    assert head[0][radius < 79].all()
    assert not head[0][radius > 86].any()


def test_dark_are_fluid_and_bone_but_not_the_air_around():
    image, radius = drawn()
    head, dark = find_head(image, (3.0, 3.0))
    assert dark[0, 28:32, 28:32].all()
    assert dark[0][(radius > 66) & (radius < 72)].all()
    assert not dark[0][(radius > 20) & (radius < 66)].any()
    assert not (dark & ~head).any()


def test_a_slice_of_air_alone_has_no_head():
    image, _ = drawn()
    head, dark = find_head(np.concatenate([image, np.full_like(image, image[0, 0, 0, 0])]), (3.0, 3.0))
    assert head[0].any()
    assert not head[1].any()
    assert not dark[1].any()


def with_cortex(shares):
    """A slice with white matter within 54 mm and cortex around, uneven light, noise; shares: how cortex shows by channel."""
    _, radius = drawn()
    y = np.mgrid[:64, :64][0] / 64 - 0.5
    noise = np.random.default_rng(0).normal(0, 0.05, (len(shares), 64, 64))
    brain = radius < 64
    z = [np.where(brain, y - share * (radius > 54) + some, -3.0) for share, some in zip(shares, noise, strict=True)]
    return np.rint((np.stack(z, axis=-1) * 0.1 + 0.4) * LARGEST).astype(np.uint16)[None], brain[None], radius[None]


def test_grey_is_what_is_darker_than_around_in_the_channel_that_shows_it():
    """Uneven light of +-0.5 deviations is as much as half the contrast of the cortex."""
    for shares in ((0.1, 1.0), (1.0, 0.1)):
        image, brain, radius = with_cortex(shares)
        grey = find_grey(image, brain, (3.0, 3.0))
        assert grey[brain & (radius > 56)].mean() > 0.98
        assert grey[brain & (radius < 52)].mean() < 0.02
        assert not (grey & ~brain).any()


def test_what_is_outside_of_the_brain_or_empty_is_never_grey():
    image, brain, radius = with_cortex((1.0, 1.0))
    lesion = brain & (radius < 9)
    np.testing.assert_array_equal(
        find_grey(np.where(lesion[..., None], 4095, image).astype(np.uint16), brain & ~lesion, (3.0, 3.0)),
        find_grey(image, brain & ~lesion, (3.0, 3.0)),
    )
    assert not find_grey(image, np.zeros_like(brain), (3.0, 3.0)).any()
    assert not find_grey(np.full_like(image, 1638), brain, (3.0, 3.0)).any()


def test_bright_is_what_stands_out_in_the_first_channel():
    """Spots of 1.5 and 0.3 deviations in the first channel, and of 1.5 in the second alone."""
    image, brain, _ = with_cortex((0.0, 0.0))
    unit = round(0.1 * LARGEST)
    image[0, 20:24, 30:34, 0] += round(1.5 * unit)
    image[0, 40:44, 30:34, 0] += round(0.3 * unit)
    image[0, 30:34, 40:44, 1] += round(1.5 * unit)
    bright = find_bright(image, brain, (3.0, 3.0))
    assert bright[0, 21:23, 31:33].all()
    bright[0, 19:25, 29:35] = False
    assert not bright.any()
