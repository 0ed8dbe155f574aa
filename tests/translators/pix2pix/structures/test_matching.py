"""Where each cell takes its structure from."""

import numpy as np
import pytest
from oracles.mask_checks import sampler
from oracles.mask_layouts import disc_map
from structure_samples import SHAPES, half_dark

from rbc_lightning.masks.sampler import raster
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank


def test_poses_say_where_every_shape_was_drawn():
    mask = sampler(SHAPES, 200, 260, n_init=8).sample(3, 30)
    assert mask.poses.shape == (mask.placed, 2, 2)
    scales = np.sqrt(np.abs(np.linalg.det(mask.poses)))
    assert (scales >= 0.8 - 1e-9).all()
    assert (scales <= 1.2 + 1e-9).all()
    assert {-1.0, 1.0} == set(np.sign(np.linalg.det(mask.poses)))
    expected = np.zeros((400, 460), np.int32)
    for label, ((row, column), pose, shape) in enumerate(zip(mask.centers, mask.poses, mask.shape_index, strict=True), 1):
        brush = raster.new_brush(60)
        assert raster.rasterise(SHAPES.vertices, SHAPES.starts[shape], SHAPES.starts[shape + 1], pose, brush)
        for y, start, stop in brush.runs[: brush.box[raster.RUNS]]:
            expected[100 + row + y, 100 + column + start : 100 + column + stop] = label
    np.testing.assert_array_equal(mask.label_map, expected[100:-100, 100:-100])


def test_borrowed_structures_point_along_their_axis():
    bank = StructureBank.from_samples([half_dark(extra_rows=10)], free_standing=False)
    rows, columns = np.mgrid[:80, :80]
    along, across = (rows - 40 + columns - 40) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    labels = ((np.abs(along) <= 24) & (np.abs(across) <= 9)).astype(np.int32)
    sides = []
    for seed in range(10):
        dark = bank.borrow_structures(labels, seed) > 0
        # Four of nineteen rows are dark, at one end.
        assert dark.sum() / labels.sum() == pytest.approx(4 / 19, abs=0.03)
        assert abs(across[dark].mean()) < 1.0
        assert abs(along[dark].mean()) == pytest.approx(24 * 15 / 19, abs=1.5)
        sides.append(np.sign(along[dark].mean()))
    assert {-1.0, 1.0} == set(sides)


def test_cells_borrow_from_cells_of_their_size():
    sizes = np.repeat([4, 12], 40)
    samples = [(disc_map([(20, 20)], radius, 41, 41),) * 2 for radius in sizes]
    samples = [(labels, (labels > 0) & (labels.sum() < 100)) for labels, _ in samples]
    bank = StructureBank.from_samples(samples, free_standing=False)
    small, large = disc_map([(20, 8), (20, 55)], 4, 41, 100), disc_map([(20, 30), (20, 80)], 12, 41, 100)
    np.testing.assert_array_equal(bank.borrow_structures(small + (large + 2) * (large > 0), 5), small > 0)
