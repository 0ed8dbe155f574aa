"""The procedural smear: determinism, statistics, label maps, optics, files."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage import measure, segmentation
from skimage.filters import threshold_otsu

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.phantom import PhantomSpec, render_smear, write_phantom
from rbc_lightning.data.phantom.cells import PEAK, Cell, cell_patch, draw_cells
from rbc_lightning.data.phantom.layout import settle
from rbc_lightning.data.phantom.smear import tidy_labels
from rbc_lightning.data.phantom.spec import draw_slide
from rbc_lightning.errors import InputError

SMALL = PhantomSpec(height=160, width=208)
QUARTER = PhantomSpec(height=600, width=960)


@pytest.fixture(scope="module")
def smears():
    return [render_smear(QUARTER, seed) for seed in range(16)]


def whole_cells(label_map):
    """Region properties of the cells that the border does not cut."""
    inside = segmentation.clear_border(label_map)
    return measure.regionprops(inside)


def round_cell(**changes):
    cell = Cell(
        radius=20.0, outline=np.ones(256), aspect=1.0, angle=0.0, dimple=1.0, dimple_shift=np.zeros(2),
        dimple_size=np.ones(2), tilt=np.zeros(2), bump=0.0, spots=np.zeros((0, 2)), pigment=1.0,
    )  # fmt: skip
    return replace(cell, **changes)


# Determinism


def test_same_seed_same_picture_and_other_seed_another_one():
    first, labels = render_smear(SMALL, 0)
    again, labels_again = render_smear(SMALL, 0)
    other, _ = render_smear(SMALL, 1)
    assert first.tobytes() == again.tobytes()
    assert labels.tobytes() == labels_again.tobytes()
    assert (first != other).mean() > 0.9


def test_seed_zero_is_a_seed_and_negative_is_refused():
    assert any((render_smear(SMALL, 0)[1] != render_smear(SMALL, seed)[1]).any() for seed in (1, 2))
    with pytest.raises(ValueError, match="seed must be zero or positive, got -1"):
        render_smear(SMALL, -1)


def test_debris_leaves_the_cells_where_they_are():
    _, labels = render_smear(SMALL, 5)
    image, clean = render_smear(replace(SMALL, platelets=0.0, dirt=0.0), 5)
    np.testing.assert_array_equal(labels, clean)
    assert image.dtype == np.uint8


# Statistics of S3, Table 1


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


# Label maps


def test_ids_are_contiguous_and_every_label_is_one_piece(smears):
    for _, label_map in smears:
        assert label_map.dtype == np.int32
        n = int(label_map.max())
        np.testing.assert_array_equal(np.unique(label_map), np.arange(n + 1))
        assert measure.label(label_map, background=0, connectivity=1).max() == n


def test_tidy_labels_by_hand():
    untidy = ["5555009", "5522200", "2252200", "0022207"]
    # The largest pieces of 5 and 2 stay; the 5 inside joins the 2, the 2s at the left join the 5; 7 and 9 are specks.
    expected = ["1111000", "1122200", "1122200", "0022200"]
    tidy = tidy_labels(np.array([list(row) for row in untidy]).astype(np.int32))
    np.testing.assert_array_equal(tidy, np.array([list(row) for row in expected]).astype(np.int32))


def test_border_cuts_cells_and_cells_touch(smears):
    _, label_map = smears[0]
    rim = np.concatenate([label_map[0], label_map[-1], label_map[:, 0], label_map[:, -1]])
    assert len(np.unique(rim)) > 10
    touching = (label_map[:, 1:] != label_map[:, :-1]) & (label_map[:, 1:] > 0) & (label_map[:, :-1] > 0)
    assert touching.any()


# The picture


def test_labels_lie_on_the_dark_cells(smears):
    for image, label_map in smears:
        green = image[..., 1].astype(float)
        cells = label_map > 0
        assert green[~cells].mean() - green[cells].mean() > 25
        dark = ndimage.binary_fill_holes(green < threshold_otsu(green))
        assert 2 * (dark & cells).sum() / (dark.sum() + cells.sum()) > 0.85


def test_most_isolated_cells_have_a_pallor(smears):
    brighter = []
    for image, label_map in smears:
        green = image[..., 1].astype(float)
        crowd = ndimage.binary_dilation(segmentation.find_boundaries(label_map, mode="inner"), iterations=2)
        for cell in whole_cells(label_map):
            box = tuple(slice(start, stop) for start, stop in zip(cell.bbox[:2], cell.bbox[2:], strict=True))
            wide = tuple(slice(max(0, part.start - 3), part.stop + 3) for part in box)
            if len(np.setdiff1d(np.unique(label_map[wide][crowd[wide]]), [0, cell.label])):
                continue
            depth = ndimage.distance_transform_edt(np.pad(cell.image, 1))[1:-1, 1:-1] / (0.5 * cell.axis_minor_length)
            ring, centre = (depth > 0.2) & (depth < 0.45), depth > 0.8
            brighter.append(green[box][centre].mean() - green[box][ring].mean())
    assert len(brighter) > 50
    assert np.mean(np.array(brighter) > 3) > 0.75


# One cell


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


# The layout


def test_cells_keep_a_soft_core_and_gather_at_contact(smears):
    """g(r) of the visible centroids against real smears: .04 at .55 diameters, .21 at .65, 1.5 at contact, then flat."""
    radii = np.array([0.3, 0.5, 0.6, 0.7, 0.9, 1.15, 1.3, 1.6]) * 46.0
    pairs, uniform = np.zeros(len(radii) - 1), np.zeros(len(radii) - 1)
    for _, label_map in smears:
        centers = np.array([cell.centroid for cell in measure.regionprops(label_map)])
        inner = centers[np.all((centers > 80) & (centers < np.array(label_map.shape) - 80), axis=1)]
        tree, inner_tree = cKDTree(centers), cKDTree(inner)
        pairs += np.diff([inner_tree.count_neighbors(tree, radius) for radius in radii])
        density = len(inner) / np.prod(np.array(label_map.shape) - 160)
        uniform += len(inner) * density * np.pi * np.diff(radii**2)
    g = pairs / uniform
    assert g[0] < 0.02
    assert g[1] < 0.12
    assert 0.1 < g[2] < 0.4
    assert 1.2 < g[4] < 1.9
    assert 0.8 < g[6] < 1.2


def test_settled_centres_lie_in_the_field_or_just_outside():
    centers = settle(np.full(300, 46.0), 600, 960, 0.5, np.random.default_rng(0))
    assert centers.shape == (300, 2)
    margin = 0.4 * 46 + 1e-9
    assert np.all((centers >= -margin) & (centers <= np.array([600, 960]) + margin))
    assert np.any(centers < 0)
    assert np.all(centers.max(axis=0) > [560, 920])


# Files


def test_write_phantom_round_trip(tmp_path):
    root, calls = tmp_path / "deep" / "phantom", []
    write_phantom(root, SMALL, 2, 1, seed=0, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [path.name for path in root.parent.iterdir()] == ["phantom"]
    with (root / "splits.csv").open(newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["sample_id", "split", "group"]
    assert [row[:2] for row in rows[1:]] == [["phantom_0000", "train"], ["phantom_0001", "train"], ["phantom_0002", "test"]]
    assert len({row[2] for row in rows[1:]}) == 3
    images = [read_image(root / "images" / f"{row[0]}.png") for row in rows[1:]]
    assert all(image.shape == (160, 208, 3) for image in images)
    assert len({image.tobytes() for image in images}) == 3
    assert read_label_map(root / "labels" / "phantom_0000.png").max() >= 1
    rendered = render_smear(SMALL, int(np.random.SeedSequence([0, 0, 0]).generate_state(1, np.uint64)[0]))[0]
    np.testing.assert_array_equal(images[0], rendered)


def test_more_test_images_leave_the_training_images_alone(tmp_path):
    write_phantom(tmp_path / "a", SMALL, 1, 1, seed=3)
    write_phantom(tmp_path / "b", SMALL, 1, 2, seed=3)
    write_phantom(tmp_path / "c", SMALL, 1, 1, seed=4)
    first, second, other = [(tmp_path / name / "images" / "phantom_0000.png").read_bytes() for name in "abc"]
    assert first == second
    assert first != other


def test_write_phantom_refuses_what_is_there_and_cleans_up(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty directory; remove it or choose another"):
        write_phantom(tmp_path / "full", SMALL, 1, 1, seed=0)
    (tmp_path / "empty").mkdir()

    def fail(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "empty", SMALL, 1, 1, seed=0, progress=fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]
    assert not any((tmp_path / "empty").iterdir())
    write_phantom(tmp_path / "empty", SMALL, 1, 1, seed=0)
    assert (tmp_path / "empty" / "splits.csv").exists()


@pytest.mark.parametrize(("numbers", "seed", "message"), [((0, 1), 0, "at least 1, got 0"), ((1, 1), -2, "got -2")])
def test_write_phantom_checks_its_arguments(tmp_path, numbers, seed, message):
    with pytest.raises(ValueError, match=message):
        write_phantom(tmp_path / "x", SMALL, *numbers, seed=seed)
    assert not any(tmp_path.iterdir())


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
