import numpy as np
import pytest

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue
from rbc_lightning.data.readers.brain_phantom.fields import Grid
from rbc_lightning.data.readers.brain_phantom.scanner import THICK, THIN, acquire, average, bias_field, contrasts_of


def test_slices_are_means_of_their_parts():
    values = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    np.testing.assert_array_equal(average(values, 3), [[[1, 4], [7, 10]]])


def test_noise_is_rician():
    empty = acquire(np.random.default_rng(0), np.zeros((40, 40, 10), np.float32), np.float32(1), 0.037, 0, 1e4)
    assert empty.mean() / 1e4 == pytest.approx(0.037 * np.sqrt(np.pi / 2), rel=0.02)
    bright = acquire(np.random.default_rng(0), np.ones((40, 40, 10), np.float32), np.float32(1), 0.037, 0, 1e4)
    assert bright.std() / 1e4 == pytest.approx(0.037, rel=0.03)
    assert bright.dtype == np.int16


def test_what_is_too_bright_for_the_type_is_cut():
    assert acquire(np.random.default_rng(0), np.ones((2, 2, 2), np.float32), np.float32(1), 0, 0, 1e6).max() == 32767


def test_the_bias_spans_what_was_drawn():
    axis = np.linspace(-60, 60, 20, dtype=np.float32)
    grid, brain = Grid(axis, axis, axis), np.ones((20, 20, 20), dtype=np.bool_)
    spans = []
    for seed in range(40):
        log = np.log(bias_field(np.random.default_rng(seed), grid, brain, (-0.92, 0.45)))
        spans.append(np.diff(np.percentile(log, [2, 98])).item())
    assert 0.05 < min(spans) < max(spans) <= 1.16
    assert np.median(spans) == pytest.approx(0.4, rel=0.3)


@pytest.mark.parametrize("scanner", [THICK, THIN])
def test_contrasts_are_those_measured(scanner):
    drawn = [contrasts_of(scanner, np.random.default_rng(seed)) for seed in range(60)]
    means = np.mean([means for means, _ in drawn], axis=0)
    np.testing.assert_allclose(means[:, Tissue.WHITE], 1)
    np.testing.assert_allclose(means[:, Tissue.CORTEX], scanner.grey, atol=0.02)
    np.testing.assert_allclose(means[:, Tissue.VENTRICLE], scanner.ventricle, rtol=0.12)
    np.testing.assert_allclose(np.mean([lesion for _, lesion in drawn], axis=0), scanner.lesion, atol=0.06)
    assert means[0, Tissue.WHITE] < means[0, Tissue.CORTEX] < means[0, Tissue.RIM] < means[0, Tissue.FAT]
