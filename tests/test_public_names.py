"""What `from rbc_lightning import ...` promises, wherever the modules lie."""

import subprocess
import sys

import numpy as np
import pytest

import rbc_lightning

PROMISED = (
    "ShapeBank",
    "MaskSampler",
    "adhesion_map",
    "LayoutStatistics",
    "GlobalGenerator",
    "LocalEnhancer",
    "InstanceEncoder",
    "MultiscaleDiscriminator",
    "load_reference_weights",
    "instance_edges",
    "instance_mean",
    "label_map_to_boxes",
    "label_map_to_contours",
    "colors_to_label_map",
    "average_precision",
    "WmhScores",
    "wmh_scores",
    "Store",
    "Recipe",
)


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_name_is_there(name):
    assert name in rbc_lightning.__all__
    assert getattr(rbc_lightning, name).__name__ == name


def test_nothing_is_imported_before_it_is_used():
    code = "import sys, rbc_lightning; assert not {'torch', 'numba', 'scipy'} & set(sys.modules); rbc_lightning.MaskSampler"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True, timeout=60)


def test_masks_are_sampled_by_the_flat_names():
    from rbc_lightning import LayoutStatistics, MaskSampler, ShapeBank

    label_map = np.zeros((80, 80), dtype=np.int32)
    for number, (row, column) in enumerate(((10, 10), (40, 45), (12, 50)), start=1):
        label_map[row : row + 14, column : column + 12] = number
    sampler = MaskSampler(ShapeBank.from_label_maps([label_map]), 80, 80, 3, 0, 14.0, n_init=1)
    sampled = sampler.sample(0)
    assert sampled.label_map.shape == (80, 80)
    assert len(LayoutStatistics.from_label_maps([sampled.label_map]).images) == 1
