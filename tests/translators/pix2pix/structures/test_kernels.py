"""Kernels that draw structure maps, against their slow plain twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_checks import sampler
from oracles.mask_layouts import blob_map
from oracles.paint_structure_plainly import paint, seam_share
from structure_samples import SAMPLES, SHAPES, STRUCTURES

from rbc_lightning.translators.pix2pix.structures.bank import StructureBank, _generator
from rbc_lightning.translators.pix2pix.structures.matching import borrowed_maps, pose_maps


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(0, 40), max_overlap=st.sampled_from([0.0, 0.3]))
def test_a_bank_of_foreground_gives_the_foreground_back(seed, count, max_overlap):
    samples = [(labels, (labels > 0).astype(np.uint8)) for labels, _ in SAMPLES]
    bank = StructureBank.from_samples(samples, free_standing=False)
    mask = sampler(SHAPES, max_overlap=max_overlap, line_share=0.5, margin=12).sample(seed, count)
    for structure in (bank.render(mask, seed), bank.borrow_structures(mask.label_map, seed)):
        assert structure.dtype == np.uint8
        np.testing.assert_array_equal(structure, mask.label_map > 0)


@pytest.mark.parametrize("recipe", [{}, {"max_overlap": 0.4, "line_share": 0.7, "margin": 14}])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(0, 14))
def test_render_equals_its_plain_twin(recipe, seed, count):
    mask = sampler(SHAPES, 60, 75, **recipe).sample(seed, count)
    maps = pose_maps(mask.centers, mask.poses)
    expected = paint(STRUCTURES, mask.label_map, mask.shape_index, maps, _generator(seed), stretch=False)
    np.testing.assert_array_equal(STRUCTURES.render(mask, seed), expected)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_borrowing_equals_its_plain_twin(seed):
    labels = blob_map(seed % 1000, 60, 75, 7)
    rng = _generator(seed)
    crop_of, maps = borrowed_maps(labels, STRUCTURES.moments, STRUCTURES.crops.centers, rng)
    expected = paint(STRUCTURES, labels, crop_of, maps, rng, stretch=True)
    np.testing.assert_array_equal(STRUCTURES.borrow_structures(labels, seed), expected)


def test_the_share_of_dark_seams_equals_its_plain_twin():
    for labels, structure in SAMPLES[:2]:
        bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
        assert bank.seam_share == pytest.approx(seam_share(labels, structure))


@pytest.mark.parametrize("dark_seam", [False, True])
def test_a_line_between_cells_is_dark_where_real_ones_are(dark_seam):
    labels = np.zeros((30, 40), np.int32)
    labels[10:20, 8:18], labels[10:20, 19:29] = 1, 2
    structure = (labels > 0).astype(np.uint8)
    structure[10:20, 18] = dark_seam
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # Background is between cells up to one pixel beyond their ends: 10 of 12 such pixels are dark.
    assert bank.seam_share == pytest.approx(10 / 12 if dark_seam else 0)
    lines = np.mean([bank.borrow_structures(labels, seed)[10:20, 18].mean() for seed in range(60)])
    assert lines == pytest.approx(bank.seam_share, abs=0.15)
