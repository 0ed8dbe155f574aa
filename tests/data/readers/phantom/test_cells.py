from dataclasses import replace

import numpy as np
import pytest
from phantom_helpers import QUARTER, SMALL

from rbc_lightning.data.readers.phantom.cells import PEAK, Cell, cell_patch, draw_cells
from rbc_lightning.data.readers.phantom.spec import draw_slide


def round_cell(**changes):
    cell = Cell(
        radius=20.0, outline=np.ones(256), aspect=1.0, angle=0.0, dimple=1.0, dimple_shift=np.zeros(2),
        dimple_size=np.ones(2), tilt=np.zeros(2), bump=0.0, spots=np.zeros((0, 2)), pigment=1.0,
    )  # fmt: skip
    return replace(cell, **changes)


def test_thickness_of_the_plain_disc():
    slide = replace(draw_slide(SMALL, np.random.default_rng(0)), edge_power=1.0)
    top, left, rho, thickness = cell_patch(round_cell(), np.array([50.0, 70.0]), slide)
    assert rho[50 - top, 70 - left] == 0
    # Evans and Fung: a cell of 3.91 um radius is 0.81 um thick at the centre; drying flattens its 2.55 um crest a little.
    assert thickness[50 - top, 70 - left] * PEAK * 3.91 == pytest.approx(0.81, abs=0.01)
    assert thickness.max() == pytest.approx(1.0, abs=0.01)
    assert 2.2 < PEAK * 3.91 < 2.55
    assert 0.6 < rho.flat[thickness.argmax()] < 0.9
    assert thickness[rho >= 1].max() == 0
    sphere = cell_patch(round_cell(dimple=0.0), np.array([50.0, 70.0]), slide)[3]
    assert sphere[50 - top, 70 - left] == sphere.max()


def test_area_is_kept_by_any_outline():
    rng = np.random.default_rng(3)
    slide = draw_slide(QUARTER, rng)
    for cell in draw_cells(QUARTER, slide, rng)[:40]:
        _, _, rho, _ = cell_patch(cell, np.array([0.3, -7.6]), slide)
        assert (rho < 1).sum() == pytest.approx(np.pi * cell.radius**2, rel=0.02)
