import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_checks import sampler
from oracles.mask_layouts import blob_map
from scipy import ndimage, stats

from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.sampler import raster

REACH = 90
BAR = np.zeros((9, 12), np.int32)
BAR[3:6, 2:9] = 1  # 3 rows, 7 columns, centred on a pixel
BANK = ShapeBank.from_label_maps([BAR, *[blob_map(seed, 200, 220, 8, 30) for seed in range(3)]])
UPRIGHT = sampler(rotate=False, flip=False, scale_mean=1.1, scale_std=0.0)._placing


def brush_with(index, pose):
    brush = raster.new_brush(REACH)
    done = raster.rasterise(BANK.vertices, BANK.starts[index], BANK.starts[index + 1], np.asarray(pose, float), brush)
    return brush, done


def as_mask(brush):
    """The runs as bool, the centre in the middle."""
    mask = np.zeros((2 * REACH + 1, 2 * REACH + 1), np.bool_)
    for row, start, stop in brush.runs[: brush.box[raster.RUNS]]:
        mask[row + REACH, start + REACH : stop + REACH] = True
    return mask


def as_bits(rows, words, n):
    """Bit rows as bool (n, 64 words)."""
    return np.array([[(int(rows[line, k // 64]) >> (k % 64)) & 1 for k in range(64 * words)] for line in range(n)], np.bool_)


def test_runs_of_a_bar_by_hand():
    brush, done = brush_with(0, np.eye(2))
    assert done
    assert brush.runs[:3].tolist() == [[-1, -3, 4], [0, -3, 4], [1, -3, 4]]
    assert brush.box.tolist() == [-1, 3, -4, 1, 3, 21]
    turned, _ = brush_with(0, [[0, -1], [1, 0]])
    assert turned.box[raster.ROWS] == 7
    assert turned.box[raster.AREA] == 21
    nothing, done = brush_with(0, 0.01 * np.array([[1, 0], [0, 0.01]]))
    assert not done or nothing.box[raster.AREA] == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 20), st.floats(0, 6.3))
def test_bits_are_the_shape_and_the_halo_its_neighbourhood(index, angle):
    pose = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    brush, done = brush_with(index % len(BANK), pose)
    if not done:
        return
    raster.pack(brush)
    top, rows, left, words = brush.box[: raster.RUNS]
    mask = as_mask(brush)
    window = mask[top + REACH : top + REACH + rows, left + REACH : left + REACH + 64 * words]
    bits = as_bits(brush.bits, words, rows)
    np.testing.assert_array_equal(bits[:, : window.shape[1]], window)
    assert bits.sum() == mask.sum() == brush.box[raster.AREA]
    grown = ndimage.binary_dilation(mask, np.ones((3, 3)))
    halo = as_bits(brush.halo, words, rows + 2)
    window = grown[top + REACH - 1 : top + REACH + rows + 1, left + REACH : left + REACH + 64 * words]
    np.testing.assert_array_equal(halo[:, : window.shape[1]], window)
    assert halo.sum() == grown.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 0.8))
def test_parts_in_a_window_agree_with_scipy(seed, share):
    rng = np.random.default_rng(seed)
    noise = rng.random((9, 11)) < share
    brush = raster.new_brush(12)
    runs = []
    for row, line in enumerate(np.pad(noise, ((0, 0), (1, 1))).astype(int)):
        steps = np.diff(line)
        starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        runs += [(row, start, stop) for start, stop in zip(starts, stops, strict=True)]
    brush.runs[: len(runs)] = np.array(runs).reshape(-1, 3)
    brush.box[raster.RUNS] = len(runs)
    top, bottom = sorted(rng.integers(0, 10, 2))
    left, right = sorted(rng.integers(0, 12, 2))
    assert raster.count_parts(brush, top, bottom, left, right) == ndimage.label(noise[top:bottom, left:right])[1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3), st.integers(0, 63))
def test_a_shift_is_that_of_one_long_number(words, shift):
    rows = np.array([words], np.uint64)
    found = [int(raster.shifted(rows, 0, word, 3, np.uint64(shift))) for word in range(4)]
    number = sum(word << (64 * k) for k, word in enumerate(words)) << shift
    assert found == [(number >> (64 * k)) & (2**64 - 1) for k in range(4)]


def test_a_row_crossed_too_often_is_refused():
    # A comb of 40 teeth, upright: one scan line would cross it 80 times.
    comb = np.zeros((8, 84), np.int32)
    comb[2, 2:82], comb[3:6, 2:82:2] = 1, 1
    bank = ShapeBank.from_label_maps([comb])
    brush = raster.new_brush(100)
    assert not raster.rasterise(bank.vertices, bank.starts[0], bank.starts[1], np.eye(2), brush)
    with pytest.raises(ValueError, match="zero-size"):
        bank.mask(0)


def poses(n, size=1.0, **values):
    rng, placing = np.random.default_rng(0), UPRIGHT._replace(**values)
    drawn = np.empty((n, 2, 2))
    for pose in drawn:
        raster.draw_pose(rng, placing, size, pose)
    return drawn


def test_a_pose_is_scale_times_turn_times_flips():
    np.testing.assert_allclose(poses(1, 2.0)[0], 2.2 * np.eye(2))
    np.testing.assert_allclose(poses(1, scale_mean=3.0)[0], 1.2 * np.eye(2))
    flipped = {tuple(np.diag(pose).round(9)) for pose in poses(60, flip=True)}
    assert flipped == {(1.1, 1.1), (1.1, -1.1), (-1.1, 1.1), (-1.1, -1.1)}
    turned = poses(400, rotate=True)
    np.testing.assert_allclose(turned.transpose(0, 2, 1) @ turned, np.broadcast_to(1.21 * np.eye(2), turned.shape), atol=1e-12)
    angles = np.arctan2(turned[:, 1, 0], turned[:, 0, 0]) % (2 * np.pi)
    assert stats.kstest(angles / (2 * np.pi), "uniform").pvalue > 0.01
