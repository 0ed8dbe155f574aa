import numpy as np
import pytest

from rbc_lightning.data.volumes.head import find_head
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
