import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.full_map_sampler import warp
from oracles.mask_layouts import blob_map, disc_map
from scipy import ndimage

from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.bank.shapes import FIELDS
from rbc_lightning.masks.sampler import raster


def draw(bank, index, matrix, reach=60):
    """One posed shape as bool (2 reach + 1)^2, or None where the pose is refused."""
    brush = raster.new_brush(reach)
    if not raster.rasterise(bank.vertices, bank.starts[index], bank.starts[index + 1], np.asarray(matrix, float), brush):
        return None
    filled = np.zeros((2 * reach + 1, 2 * reach + 1), np.bool_)
    for row, start, stop in brush.runs[: brush.box[raster.RUNS]]:
        filled[row + reach, start + reach : stop + reach] = True
    return filled


def whole_cells(label_map):
    """Crops of the cells that do not reach the border, largest part, holes filled, by scipy."""
    cells = []
    for label, box in enumerate(ndimage.find_objects(label_map), start=1):
        if box is None:
            continue
        if any(s.start == 0 or s.stop == n for s, n in zip(box, label_map.shape, strict=True)):
            continue
        parts, n = ndimage.label(label_map[box] == label)
        largest = parts == 1 + np.argmax(ndimage.sum_labels(np.ones(parts.shape), parts, range(1, n + 1)))
        filled = ndimage.binary_fill_holes(np.pad(largest, 1))
        rows, columns = np.nonzero(filled)
        cells.append(filled[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return cells


def test_cells_cut_by_the_border_are_left_out():
    label_map = disc_map([(20, 20), (0, 40), (30, 63), (45, 45), (59, 10)], 6, 60, 64)
    bank = ShapeBank.from_label_maps([label_map])
    assert len(bank) == 2
    assert bank.areas.tolist() == [(label_map == 1).sum(), (label_map == 4).sum()]
    assert bank.extents().tolist() == [[13, 13], [13, 13]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_outline_gives_every_shape_back_exactly(seed):
    label_map = blob_map(seed)
    bank, cells = ShapeBank.from_label_maps([label_map]), whole_cells(label_map)
    assert len(bank) == len(cells)
    for index, cell in enumerate(cells):
        np.testing.assert_array_equal(bank.mask(index), cell)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.8))
def test_the_outline_is_exact_for_random_noise_too(seed, share):
    noise = np.zeros((14, 17), np.int32)
    noise[1:-1, 1:-1] = np.random.default_rng(seed).random((12, 15)) < share
    cells = whole_cells(noise)
    bank = ShapeBank.from_label_maps([noise])
    assert len(bank) == len(cells)
    if cells and bank.areas[0] > 0:
        np.testing.assert_array_equal(bank.mask(0), cells[0])


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_quarter_turns_and_flips_are_exact(quarter, flip):
    label_map = blob_map(3)
    bank = ShapeBank.from_label_maps([label_map])
    straight = draw(bank, 0, np.eye(2))
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter]
    turn = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    # [[0, -1], [1, 0]] takes (row, column) to (-column, row), which is what rot90 does once.
    expected = np.rot90(straight[::-1] if flip else straight, quarter)
    np.testing.assert_array_equal(draw(bank, 0, turn), expected)


def test_turned_shapes_agree_with_bitmap_warping():
    bank = ShapeBank.from_label_maps([blob_map(seed, 200, 240, 12, 18) for seed in range(4)])
    rng = np.random.default_rng(0)
    ratios, differing = [], []
    for _ in range(150):
        index, angle, scale = int(rng.integers(len(bank))), rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.2)
        filled = draw(bank, index, scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))
        if filled is None:
            continue
        expected = warp(bank.mask(index), angle, scale)
        margin = (len(filled) - len(expected)) // 2
        expected = np.pad(expected, margin)
        ratios.append(filled.sum() / (scale**2 * bank.areas[index]))
        # The outlines may differ by rounding along the boundary, never inside.
        differing.append((filled ^ expected).sum() / expected.sum())
    assert len(ratios) > 140
    assert abs(np.mean(ratios) - 1) < 0.01
    assert np.mean(differing) < 0.06
    assert np.max(differing) < 0.15


def test_save_and_load(tmp_path):
    bank = ShapeBank.from_label_maps([blob_map(1), blob_map(2)])
    bank.save(tmp_path / "bank.npz")
    loaded = ShapeBank.load(tmp_path / "bank.npz")
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(loaded, field), getattr(bank, field))
        assert getattr(loaded, field).dtype == getattr(bank, field).dtype
    assert [path.name for path in tmp_path.iterdir()] == ["bank.npz"]


def test_load_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not a shape bank"):
        ShapeBank.load(tmp_path / "other.npz")
    bank = ShapeBank.from_label_maps([blob_map(1)])
    np.savez(tmp_path / "old.npz", version=1, **{f: getattr(bank, f) for f in FIELDS if f != "weights"})
    with pytest.raises(ValueError, match="a shape bank of version 1, expected 2; make it again"):
        ShapeBank.load(tmp_path / "old.npz")
    with pytest.raises(FileNotFoundError):
        ShapeBank.load(tmp_path / "none.npz")


def test_select_and_diameters():
    bank = ShapeBank.from_label_maps([disc_map([(20, 20), (20, 60)], 6, 40, 80), disc_map([(20, 20)], 10, 40, 80)])
    assert bank.image_diameters == pytest.approx(np.sqrt(4 * bank.areas / np.pi))
    chosen = bank.select(bank.areas > 200)
    assert len(chosen) == 1
    np.testing.assert_array_equal(chosen.mask(0), bank.mask(2))
    assert chosen.weights == bank.weights[2]
    assert len(bank.select(np.array([], int))) == 0


@pytest.mark.parametrize(
    ("label_map", "error", "message"),
    [
        (np.zeros((4, 4)), TypeError, "integer type, got float64"),
        (np.zeros((4, 4, 3), np.int32), ValueError, r"shape \(4, 4, 3\)"),
        (np.full((4, 4), -1), ValueError, "negative ids"),
        (np.zeros((0, 4), np.int32), ValueError, "non-empty"),
    ],
)
def test_bad_label_maps_are_refused(label_map, error, message):
    with pytest.raises(error, match=message):
        ShapeBank.from_label_maps([label_map])


def test_arrays_that_are_no_shapes_are_refused():
    with pytest.raises(ValueError, match=r"vertices must be \(n, 2\)"):
        ShapeBank(np.zeros((4, 3), np.int16), np.array([0, 4]), np.array([1]), np.array([1.0]), np.ones(1))
    corners = np.zeros((4, 2), np.int16)
    with pytest.raises(ValueError, match="starts must rise"):
        ShapeBank(corners, np.array([0, 2, 4]), np.array([1, 1]), np.array([1.0, 1.0]), np.ones(2))
    with pytest.raises(ValueError, match="1 diameters and 2 weights"):
        ShapeBank(corners, np.array([0, 4]), np.array([1]), np.array([1.0]), np.ones(2))
    with pytest.raises(ValueError, match=r"weights must be finite and > 0, got 0\.0"):
        ShapeBank(corners, np.array([0, 4]), np.array([1]), np.array([1.0]), np.zeros(1))


def test_one_pixel_is_a_shape():
    label_map = np.zeros((5, 5), np.int32)
    label_map[2, 2] = 1
    bank = ShapeBank.from_label_maps([label_map])
    assert bank.mask(0).tolist() == [[True]]
    assert draw(bank, 0, 0.8 * np.eye(2)).sum() == 1


def test_free_standing_cells_only_on_request():
    label_map = np.zeros((40, 60), dtype=np.int32)
    label_map[5:15, 5:15], label_map[5:15, 16:26] = 1, 2  # one pixel apart
    label_map[5:15, 40:50] = 3
    label_map[25:35, 5:15], label_map[25:35, 17:27] = 4, 5  # two pixels apart
    assert len(ShapeBank.from_label_maps([label_map])) == 5
    assert len(ShapeBank.from_label_maps([label_map], free_standing=True)) == 3
