import numpy as np
import pytest

from rbc_lightning.masks.statistics.layout import pair_sums


def test_one_pair_by_hand():
    # Two centres 12.5 pixels apart in a row, 1.25 diameters, in a window of 100 x 120: weight 2 A / (100 (120 - 12.5)).
    observed, expected = pair_sums(np.array([[50.0, 40.0], [50.0, 52.5]]), 100, 120, 10.0)
    assert np.flatnonzero(observed).tolist() == [12]
    assert observed[12] == pytest.approx(2 * 12_000 / (100 * 107.5))
    # Two ordered pairs over a ring between 12 and 13 pixels.
    assert expected[12] == pytest.approx(2 * np.pi * (13**2 - 12**2) / 12_000)


def test_a_window_that_hardly_holds_the_distances_has_no_g():
    centers = np.array([[5.0, 5.0], [15.0, 15.0]])
    assert not np.any(pair_sums(centers, 40, 400, 10.0))
    assert not np.any(pair_sums(centers[:1], 400, 400, 10.0))


def test_g_is_one_for_complete_randomness_up_to_the_border():
    """Without edge correction g would fall to about 0.75 at 100 of 400 pixels."""
    rng = np.random.default_rng(0)
    observed, expected = np.zeros(40), np.zeros(40)
    for _ in range(500):
        pairs = pair_sums(rng.uniform(-0.5, 399.5, (120, 2)), 400, 400, 25.0)
        observed, expected = observed + pairs[0], expected + pairs[1]
    g = observed / expected
    assert g[5:] == pytest.approx(np.ones(35), abs=0.04)
    assert g[20:].mean() == pytest.approx(1, abs=0.005)


def test_g_of_a_known_pattern():
    """Pairs at distance 10 and nothing else nearby: all near mass in one bin, as much as there are pairs."""
    rng = np.random.default_rng(0)
    first = np.stack(np.meshgrid(np.arange(60, 1000, 120), np.arange(60, 1000, 120)), -1).reshape(-1, 2).astype(float)
    angle = rng.uniform(0, 2 * np.pi, len(first))
    centers = np.concatenate([first, first + 10.25 * np.stack([np.sin(angle), np.cos(angle)], axis=1)])
    observed, expected = pair_sums(centers, 1020, 1020, 10.0)
    assert np.flatnonzero(observed).tolist() == [10]
    assert observed[10] == pytest.approx(2 * len(first), rel=0.02)
    ring = np.pi * (11**2 - 10**2)
    n = len(centers)
    assert expected[10] == pytest.approx(n * (n - 1) * ring / 1020**2)
