"""Structure maps of the samples of a data set."""

import numpy as np
import pytest
from pix2pix_helpers import GREY_16, TWO_16, make_samples

from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pix.structures.maps import (
    structure_map,
    structure_of,
    structure_threshold,
    threshold_of,
    thresholds,
)


def test_thresholds_are_those_of_each_image():
    samples = make_samples()
    expected = {sample.sample_id: structure_threshold(sample.load_image(), "li") for sample in samples}
    assert thresholds(samples, "li") == expected
    assert len(set(expected.values())) > 1


@pytest.mark.parametrize("spec", [RGB, GREY_16, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_objects_are_marked_whatever_the_kind_of_image(spec):
    (sample,) = make_samples(1, spec)
    image, label_map = sample.load_image(), sample.load_label_map()
    structure = structure_of(sample, image, "otsu")
    assert structure.dtype == np.uint8
    assert np.array_equal(structure, structure_map(image, threshold_of(sample, image, "otsu"), spec))
    assert structure[label_map > 0].mean() > 0.8 > 0.01 > structure[label_map == 0].mean()


def test_an_image_of_one_colour_is_named():
    pair = ArrayPair(np.full((8, 9, 3), 200, np.uint8), np.zeros((8, 9), np.int32), "memory/blank")
    blank = Sample("blank", "train", "blank", *pair.sha256, pair)
    message = r"^memory/blank: no structure threshold: all 72 pixels .* grey level 200, .*structure_method=otsu"
    with pytest.raises(InputError, match=message) as error:
        thresholds([*make_samples(), blank], "otsu")
    assert "\n" not in str(error.value)
