"""The inside of a head: bright scalp is left out, whatever the air's value; an image without a head has none."""

import numpy as np
import pytest
from slice_samples import slice_manifest, tiny_slice

from rbc_lightning.segmenters.threshold.head import DEPTH, inner_head

STANDARD = (0.4, 0.1)


def disc_head(side=101, radius=40.0, air=0.0):
    rows, columns = np.mgrid[:side, :side] - side // 2
    distance = np.hypot(rows, columns)
    grey = np.select([distance > radius, distance > 0.9 * radius, distance > 0.8 * radius], [air, 0.95, 0.1], 0.4)
    return np.stack([grey, grey]), distance


@pytest.mark.parametrize("air", [0.0, 0.15])
def test_the_rim_is_left_out_and_the_rest_kept(air):
    image, distance = disc_head(air=air)
    inside = inner_head(image, STANDARD)
    assert inside[distance < (1 - DEPTH) * 40 - 2].all()
    assert not inside[distance > (1 - DEPTH) * 40 + 2].any()


def test_a_head_that_fills_the_image_has_a_rim_at_its_border():
    image = np.full((1, 40, 40), 0.4)
    image[0, 0, 0] = 0.0
    inside = inner_head(image, STANDARD)
    assert inside[20, 20]
    assert not inside[:, 0].any()


def test_without_anything_but_air_there_is_no_inside():
    assert not inner_head(np.zeros((2, 8, 9)), (0.4, 0.1)).any()


def test_the_lesions_of_slices_lie_inside():
    for sample in slice_manifest().samples:
        inside = inner_head(sample.load_image().transpose(2, 0, 1) / 4095, STANDARD)
        assert inside[sample.load_label_map() > 0].all()
    assert tiny_slice(0, empty=True)[1].max() == 2


def test_the_largest_body_is_the_head():
    image, distance = disc_head()
    image[:, :6, :6] = 0.5  # such as a marker beside it
    inside = inner_head(image, STANDARD)
    assert not inside[:6, :6].any()
    assert inside[distance < 20].all()
