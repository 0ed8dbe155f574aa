"""Quality of generated slices: painted from masks with their context, measured against what is segmented."""

import numpy as np
import pytest
from evaluation_helpers import Place
from head_slices import Copier, slice_samples
from skimage.measure import label

from rbc_lightning.evaluation.held_out import gather_held_out
from rbc_lightning.evaluation.measure import measure_quality
from rbc_lightning.evaluation.realism import region_colors

TRAIN, VAL = slice_samples(6), slice_samples(4, "val", 6)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("slices"))
    network = place.store.make(place.network(40, 20, train=TRAIN, val=VAL))
    return gather_held_out(network, TRAIN, VAL.samples)


def test_patches_of_classes_are_measured_and_masks_have_their_context(held_out):
    for sample, patches, mask in zip(VAL, held_out.label_maps, held_out.masks, strict=True):
        np.testing.assert_array_equal(patches, label(sample.load_label_map() == 1))
        np.testing.assert_array_equal(mask, sample.loader.label_map())
    assert held_out.train_colors.shape == (6, 2, 2)
    assert len(held_out.train_crops) >= 3


def test_copies_are_as_faithful_as_real_slices(held_out):
    quality = measure_quality(Copier(VAL), held_out, "per_image", 0)
    assert quality.dice == pytest.approx(quality.dice_real)
    assert quality.ap50 == pytest.approx(quality.ap50_real)
    assert quality.nearest_cell == pytest.approx(quality.nearest_cell_real)
    assert quality.samples.cells[0] == pytest.approx(
        tuple(region_colors(VAL.samples[0].load_image(), VAL.samples[0].load_label_map(), VAL.spec)[1]), abs=0.01
    )
