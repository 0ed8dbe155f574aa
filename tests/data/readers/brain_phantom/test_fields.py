import numpy as np
import pytest

from rbc_lightning.data.readers.brain_phantom.fields import NODES, STEP, Grid, ellipsoid, noise, tube


def axis(low, high, count):
    return np.linspace(low, high, count, dtype=np.float32)


def test_a_field_that_is_a_plane_is_spread_exactly():
    x, y, z = NODES.positions
    grid = Grid(axis(-50, 40, 7), axis(-31, 62, 5), axis(-20, 33, 4))
    gx, gy, gz = grid.positions
    found = grid.spread(np.asarray(2 * x - y + 0.5 * z, dtype=np.float32))
    np.testing.assert_allclose(found, 2 * gx - gy + 0.5 * gz, atol=1e-3)
    assert (found.shape, found.dtype) == ((7, 5, 4), np.float32)


def test_beyond_the_nodes_the_last_one_counts():
    grid = Grid(axis(200, 210, 2), axis(0, 1, 2), axis(0, 1, 2))
    x = np.broadcast_to(NODES.positions[0], NODES.shape)
    np.testing.assert_allclose(grid.spread(x), NODES.x[-1], rtol=1e-5)


@pytest.mark.parametrize("length", [4.0, 12.0])
def test_noise_is_standardised_seeded_and_as_smooth_as_asked(length):
    field = noise(np.random.default_rng(0), length)
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.array_equal(field, noise(np.random.default_rng(0), length))
    # White noise smoothed by sigma s correlates at distance d by exp(-d^2 / 4 s^2).
    steps = round(length / STEP)
    near = np.corrcoef(field[:-steps].ravel(), field[steps:].ravel())[0, 1]
    assert near == pytest.approx(np.exp(-((steps * STEP / length) ** 2) / 4), abs=0.25)


def test_distances_from_a_ball_and_a_straight_tube():
    x, y, z = (np.array([[[value]]], dtype=np.float32) for value in (3.0, 4.0, 12.0))
    assert ellipsoid((x, y, z), (0, 0, 0), (5, 5, 5)).item() == pytest.approx(8, abs=1e-4)
    points, radii = np.array([[0, 0, 0], [0, 0, 20.0]]), np.array([1.0, 2.0])
    assert tube((x, y, z), points, radii, (1, 1, 1)).item() == pytest.approx(5 - 1.6, abs=1e-4)
    assert tube((x, y, z), points, radii, (2, 1, 1)).item() == pytest.approx(np.hypot(6, 4) - 1.6, abs=1e-4)
