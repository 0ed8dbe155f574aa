"""The settings are followed: the statistics of Bailo et al. 2019, Table 1."""

from dataclasses import replace

import numpy as np
import pytest
from phantom_helpers import QUARTER, whole_cells

from rbc_lightning.data.readers.phantom import PhantomSpec, render_smear


def test_count_scales_with_the_area(smears):
    counts = np.array([label_map.max() for _, label_map in smears])
    expected, spread = 669 / 4, 149 / 4
    assert abs(counts.mean() - expected) < 2.5 * spread / np.sqrt(len(counts))
    assert 0.6 * spread < counts.std() < 1.4 * spread
    fixed = [render_smear(replace(QUARTER, count_std=0.0), seed)[1].max() for seed in range(2)]
    assert all(abs(int(count) - expected) <= 2 for count in fixed)


def test_diameter_and_spread(smears):
    areas = np.array([cell.area for _, label_map in smears for cell in whole_cells(label_map)])
    diameters = np.sqrt(4 * areas / np.pi)
    assert abs(diameters.mean() - 46.0) < 1.5
    assert abs(diameters.std() - 5.0) < 1.0


def test_other_cell_size_is_followed():
    spec = PhantomSpec(height=300, width=300, count_mean=2000.0, count_std=0.0, cell_size=24.0, cell_std=2.0)
    areas = [cell.area for seed in range(3) for cell in whole_cells(render_smear(spec, seed)[1])]
    assert abs(np.sqrt(4 * np.array(areas) / np.pi).mean() - 24.0) < 1.5


def test_colours_between_images(smears):
    means = np.array([image.reshape(-1, 3).mean(axis=0) for image, _ in smears])
    # Sixteen images with a spread of 20: two standard errors are 10 grey levels.
    np.testing.assert_allclose(means.mean(axis=0), [154, 151, 162], atol=10)
    assert np.all((means.std(axis=0) > 10) & (means.std(axis=0) < 30))
    red, green, blue = means.mean(axis=0)
    assert blue - red > 2
    assert red > green


@pytest.mark.slow
def test_table_1_at_full_size():
    smears = [render_smear(PhantomSpec(), seed) for seed in range(40)]
    counts = np.array([label_map.max() for _, label_map in smears])
    means = np.array([image.reshape(-1, 3).mean(axis=0) for image, _ in smears])
    assert abs(counts.mean() - 669) < 2 * 149 / np.sqrt(40)
    np.testing.assert_allclose(means.mean(axis=0), [154, 151, 162], atol=6)
    np.testing.assert_allclose(means.std(axis=0), [20, 17, 21], atol=4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"height": 0}, ValueError, "height must be finite and positive, got 0"),
        ({"width": 12.5}, TypeError, "width must be an int"),
        ({"height": 40}, ValueError, "at least one cell .* got 40x1920"),
        ({"count_mean": 0.0}, ValueError, "count_mean must be finite and positive"),
        ({"count_std": -1.0}, ValueError, "count_std must be finite and zero or positive, got -1.0"),
        ({"sensor_noise": float("nan")}, ValueError, "sensor_noise must be finite"),
        ({"cell_size": 4.0}, ValueError, "cell_size must be at least 8"),
        ({"cell_std": 20.0}, ValueError, "cell_std must be at most a quarter"),
        ({"count_mean": 1500.0}, ValueError, "cover 1.3.* of the field.*lower the counts"),
    ],
)
def test_bad_settings_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PhantomSpec(**arguments)
