import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.full_map_sampler import probability_map
from oracles.mask_layouts import disc_map
from scipy import integrate, stats

from rbc_lightning.masks import MaskSampler, ShapeBank, adhesion_map
from rbc_lightning.masks.sampler.adhesion import excitation, lattice_kernel, offset_table, parent_weights

HEIGHT, WIDTH, CELL = 24, 30, 3.0


def test_sampled_masks_follow_the_map():
    """The last cell of a mask, against P(i) given the cells before it, by the probability integral transform."""
    label_map = np.zeros((5, 5), np.int32)
    label_map[2, 2] = 1
    bank = ShapeBank.from_label_maps([label_map])
    sampler = MaskSampler(bank, HEIGHT, WIDTH, 9, 0, CELL, n_init=4, n_colors=32, scale_std=0.0)
    rng = np.random.default_rng(0)
    ranks = []
    for seed in range(1500):
        mask = sampler.sample(seed)
        before, (row, column) = mask.centers[:-1], mask.centers[-1]
        probability = adhesion_map(before, HEIGHT, WIDTH, CELL, n_init=4)
        # A taken pixel is drawn again: P(i) given that the place is free.
        probability[before[:, 0], before[:, 1]] = 0
        cumulative = np.cumsum(probability) / probability.sum()
        place = row * WIDTH + column
        below = cumulative[place - 1] if place else 0.0
        ranks.append(below + rng.random() * (cumulative[place] - below))
    assert stats.kstest(ranks, "uniform").pvalue > 0.01


def test_z_is_continuous_and_integrates_to_pi_c_squared():
    c = 46.0
    total, _ = integrate.quad(lambda r: 2 * np.pi * r * float(excitation(np.array(r), c)), 0, 12 * c, points=[c])
    assert total == pytest.approx(np.pi * c**2, rel=1e-10)
    edge = excitation(np.array([c * (1 - 1e-12), c, c * (1 + 1e-12)]), c)
    assert edge == pytest.approx([0.5, 0.5, 0.5], abs=1e-11)
    assert excitation(np.array([0.0]), c) == pytest.approx([0.0])
    # sigma = c / sqrt(2 ln 2) = 39.07 for c = 46.
    assert excitation(np.array([2 * c]), c) == pytest.approx(np.exp(-((2 * c) ** 2) / (2 * 39.0688**2)), rel=1e-4)


def test_a_shorter_tail_is_continuous_and_draws_closer():
    c = 46.0
    assert excitation(np.array([c * (1 + 1e-12)]), c, 0.3) == pytest.approx(0.5, abs=1e-10)
    r = np.linspace(c * 1.01, 3 * c, 50)
    assert (excitation(r, c, 0.3) < excitation(r, c)).all()


def test_lattice_kernel_sums_to_one_and_the_table_reproduces_it():
    kernel = lattice_kernel(3.0)
    assert kernel.shape == (31, 31)
    assert kernel.sum() == pytest.approx(1, abs=1e-14)
    table = offset_table(kernel)
    drawn = np.zeros(len(table.keep))
    np.add.at(drawn, np.arange(len(drawn)), table.keep / len(drawn))
    np.add.at(drawn, table.alias, (1 - table.keep) / len(drawn))
    folded = kernel + kernel[::-1]
    folded = (folded + folded[:, ::-1])[15:, 15:]
    folded[0] /= 2
    folded[:, 0] /= 2
    np.testing.assert_allclose(drawn.reshape(16, 16), folded, atol=1e-15)


@pytest.mark.parametrize("exact_mean", [False, True])
@pytest.mark.parametrize("n", [3, 4, 5, 17])
def test_closed_form_equals_the_recursion(n, exact_mean):
    rng = np.random.default_rng(n)
    centers = np.stack([rng.integers(0, 40, n), rng.integers(0, 50, n)], axis=1)
    closed = adhesion_map(centers, 40, 50, 9.0, n_init=4, exact_mean=exact_mean)
    # Both cut z at 5 cell sizes: here that lies outside the image but for one pixel in 1e-8 of mass.
    recursion = probability_map(centers, 40, 50, 9.0, 4, exact_mean)
    np.testing.assert_allclose(closed, recursion, atol=2e-9)


@pytest.mark.parametrize("exact_mean", [False, True])
def test_maps_equal_the_recursion_to_1e_12(exact_mean):
    rng = np.random.default_rng(7)
    centers = np.stack([rng.integers(0, 30, 40), rng.integers(0, 36, 40)], axis=1)
    # The map after one initial cell is that cell's z.
    z = [adhesion_map(center[None], 30, 36, 4.0, n_init=1) for center in centers]
    probability = np.mean(z[:6], axis=0)
    for i in range(8, 42):
        a = 1 / (i - 1) if exact_mean else 1 / i
        probability = (1 - a) * probability + a * z[i - 2]
        closed = adhesion_map(centers[: i - 1], 30, 36, 4.0, 6, exact_mean)
        np.testing.assert_allclose(closed, probability, atol=1e-12, rtol=0)


@pytest.mark.parametrize("exact_mean", [False, True])
def test_weights_equal_the_recursion_to_1e_12(exact_mean):
    n_init, n = 20, 300
    weights = np.full(n_init, 1 / n_init)
    for i in range(n_init + 2, n + 2):
        a = 1 / (i - 1) if exact_mean else 1 / i
        weights = np.append((1 - a) * weights, a)
        np.testing.assert_allclose(parent_weights(i - 1, n_init, exact_mean), weights, atol=1e-12, rtol=0)
    printed = [(n_init + 1) / n_init / (n + 1)] * n_init + [1 / (n + 1)] * (n - n_init)
    if not exact_mean:
        np.testing.assert_allclose(weights, printed, atol=1e-12, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(1, 12), st.integers(1, 5), st.integers(0, 9), st.integers(0, 99))
def test_every_map_sums_to_one(height, width, cell_size, n_init, n, seed):
    rng = np.random.default_rng(seed)
    centers = np.stack([rng.integers(0, height, n), rng.integers(0, width, n)], axis=1)
    if height * width == 1 and n >= n_init:
        # z is 0 in the centre: a single pixel has no map.
        return
    probability = adhesion_map(centers, height, width, cell_size, n_init)
    assert probability.shape == (height, width)
    assert probability.min() >= 0
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    if n < n_init:
        assert np.ptp(probability) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"centers": [[0, 9]], "height": 8, "width": 9, "cell_size": 4}, "inside the 8 x 9"),
        ({"centers": [[-1, 0]], "height": 8, "width": 9, "cell_size": 4}, "inside the 8 x 9"),
        ({"centers": [], "height": 0, "width": 9, "cell_size": 4}, "at least 1"),
        ({"centers": [], "height": 8, "width": 9, "cell_size": 4, "n_init": 0}, "at least 1"),
        ({"centers": [], "height": 8, "width": 9, "cell_size": 0.5}, "cell_size must be"),
        ({"centers": [], "height": 8, "width": 9, "cell_size": float("nan")}, "cell_size must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        adhesion_map(np.array(arguments.pop("centers"), int).reshape(-1, 2), **arguments)


def test_a_tail_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="tail"):
        lattice_kernel(5.0, 0.0)


def test_cells_cluster_compared_with_uniform_placement():
    bank = ShapeBank.from_label_maps([disc_map([(20, 20)], 9, 40, 40)])

    def median_nearest(placement):
        distances = []
        for seed in range(15):
            sampler = MaskSampler(bank, 600, 800, 100, 0, 19, placement=placement, scale_std=0.0)
            centers = sampler.sample(seed).centers.astype(float)
            apart = np.hypot(*(centers[:, None] - centers[None]).transpose(2, 0, 1))
            np.fill_diagonal(apart, np.inf)
            distances.append(apart.min(axis=1))
        return np.median(np.concatenate(distances))

    assert median_nearest("adhesion") < 0.8 * median_nearest("uniform")
