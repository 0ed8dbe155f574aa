import numba
import numpy as np
import pytest
from scipy import stats

from rbc_lightning.masks import adhesion_map
from rbc_lightning.masks.sampler.adhesion import (
    draw_offset,
    draw_parent,
    draw_place,
    lattice_kernel,
    offset_table,
    parent_weights,
)

HEIGHT, WIDTH, CELL = 24, 30, 3.0


@numba.njit
def count_places(rng, n, centers, keep, alias, side, n_init, exact_mean, redraw_parent, height, width):
    """Histogram of draws; ``redraw_parent`` is the wrong border rule, which draws parent and offset again."""
    counts = np.zeros((height, width), np.int64)
    for _ in range(n):
        if redraw_parent:
            row, column = -1, -1
            while not (0 <= row < height and 0 <= column < width):
                parent = draw_parent(rng, len(centers), n_init, exact_mean)
                row, column = draw_offset(rng, keep, alias, side)
                row += centers[parent, 0]
                column += centers[parent, 1]
        else:
            row, column = draw_place(rng, centers, len(centers), keep, alias, side, n_init, exact_mean, 0, height, width)
        counts[row, column] += 1
    return counts


def chi_square_p(exact_mean=False, redraw_parent=False, map_exact_mean=None):
    rng = np.random.default_rng(11)
    centers = np.stack([rng.integers(0, HEIGHT, 12), rng.integers(0, WIDTH, 12)], axis=1)
    # Corners and edges, where the border rules differ.
    centers[:4] = [[0, 0], [23, 29], [0, 15], [12, 0]]
    expected = adhesion_map(
        centers, HEIGHT, WIDTH, CELL, n_init=5, exact_mean=exact_mean if map_exact_mean is None else map_exact_mean
    )
    n = 400_000
    table = offset_table(lattice_kernel(CELL))
    counts = count_places(
        np.random.default_rng(3), n, centers, table.keep, table.alias, table.side, 5, exact_mean, redraw_parent,
        HEIGHT, WIDTH,
    )  # fmt: skip
    # Pixels that are expected fewer than 5 times share a bin.
    rare = expected * n < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum()) * n
    return stats.chisquare(observed[wanted > 0], wanted[wanted > 0] * observed.sum() / wanted.sum()).pvalue


@pytest.mark.parametrize("exact_mean", [False, True])
def test_draws_follow_the_map(exact_mean):
    assert chi_square_p(exact_mean) > 0.01


def test_a_wrong_border_rule_fails_the_same_test():
    assert chi_square_p(redraw_parent=True) < 1e-6


def test_a_wrong_weight_fails_the_same_test():
    assert chi_square_p(exact_mean=False, map_exact_mean=True) < 1e-3


@pytest.mark.parametrize("exact_mean", [False, True])
def test_parents_follow_their_weights(exact_mean):
    rng = np.random.default_rng(1)
    drawn = np.bincount([draw_parent(rng, 9, 4, exact_mean) for _ in range(20_000)], minlength=9)
    assert stats.chisquare(drawn, 20_000 * parent_weights(9, 4, exact_mean)).pvalue > 0.01
