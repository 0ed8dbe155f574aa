import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_checks import hand_made, sampler
from oracles.mask_layouts import blob_map, disc_map
from oracles.paint_structure_plainly import paint, seam_share
from scipy import ndimage

from rbc_lightning.masks import ShapeBank, StructureBank, raster
from rbc_lightning.masks.structure_cuts import free_background
from rbc_lightning.masks.structure_matching import borrowed_maps, pose_maps
from rbc_lightning.masks.structures import _generator

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


def noisy_sample(seed):
    """Blobs with an uneven inside, some halo and some dirt."""
    labels = blob_map(seed)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=labels.shape), 1.5)
    return labels, ((labels > 0) & (noise > -0.12)) | (noise > 0.28)


SAMPLES = [noisy_sample(seed) for seed in range(4)]
SHAPES = ShapeBank.from_label_maps([labels for labels, _ in SAMPLES])
STRUCTURES = StructureBank.from_samples(SAMPLES, free_standing=False)


def half_dark(extra_rows=0):
    """A 9 x 7 cell, longer by some rows, with its upper rows dark; the rest of the image is light."""
    labels, structure = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.uint8)
    labels[10 : 19 + extra_rows, 12:19] = 1
    structure[10:14, 12:19] = 1
    return labels, structure


@pytest.mark.parametrize("free_standing", [False, True])
def test_shapes_are_numbered_as_in_the_shape_bank(free_standing):
    label_maps = [blob_map(seed, n=14) for seed in range(8)]
    shapes = ShapeBank.from_label_maps(label_maps, free_standing)
    bank = StructureBank.from_samples([(labels, labels > 0) for labels in label_maps], free_standing)
    assert len(bank) == len(shapes) > 10
    for index in range(len(shapes)):
        np.testing.assert_array_equal(bank.mask(index), shapes.mask(index))


def test_the_crop_holds_the_structure_of_the_cell_and_of_its_margin_alone():
    labels = disc_map([(12, 12), (12, 23)], 5, 30, 40)
    structure = np.zeros((30, 40), np.uint8)
    structure[12, 5:30] = 1
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # Row 12 of the first crop: a dark margin pixel on the left, then the cell; on the right the seam is nobody's.
    assert bank.crop(0)[6].tolist() == [True] * 12 + [False]
    assert bank.crop(0).sum() == 12


def test_poses_say_where_every_shape_was_drawn():
    mask = sampler(SHAPES, 200, 260, n_init=8).sample(3, 30)
    assert mask.poses.shape == (mask.placed, 2, 2)
    scales = np.sqrt(np.abs(np.linalg.det(mask.poses)))
    assert (scales >= 0.8 - 1e-9).all()
    assert (scales <= 1.2 + 1e-9).all()
    assert {-1.0, 1.0} == set(np.sign(np.linalg.det(mask.poses)))
    expected = np.zeros((400, 460), np.int32)
    for label, ((row, column), pose, shape) in enumerate(zip(mask.centers, mask.poses, mask.shape_index, strict=True), 1):
        brush = raster.new_brush(60)
        assert raster.rasterise(SHAPES.vertices, SHAPES.starts[shape], SHAPES.starts[shape + 1], pose, brush)
        for y, start, stop in brush.runs[: brush.box[raster.RUNS]]:
            expected[100 + row + y, 100 + column + start : 100 + column + stop] = label
    np.testing.assert_array_equal(mask.label_map, expected[100:-100, 100:-100])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(0, 40), max_overlap=st.sampled_from([0.0, 0.3]))
def test_a_bank_of_foreground_gives_the_foreground_back(seed, count, max_overlap):
    samples = [(labels, (labels > 0).astype(np.uint8)) for labels, _ in SAMPLES]
    bank = StructureBank.from_samples(samples, free_standing=False)
    mask = sampler(SHAPES, max_overlap=max_overlap, line_share=0.5, margin=12).sample(seed, count)
    for structure in (bank.render(mask, seed), bank.dress(mask.label_map, seed)):
        assert structure.dtype == np.uint8
        np.testing.assert_array_equal(structure, mask.label_map > 0)


@pytest.mark.parametrize(
    ("pose", "turn"),
    [
        (np.eye(2), lambda cell: cell),
        (QUARTER, lambda cell: np.rot90(cell)),
        (QUARTER @ QUARTER, lambda cell: np.rot90(cell, 2)),
        (np.diag([-1.0, 1.0]), lambda cell: cell[::-1]),
        (np.diag([1.0, -1.0]), lambda cell: cell[:, ::-1]),
        (QUARTER @ np.diag([-1.0, 1.0]), lambda cell: np.rot90(cell[::-1])),
    ],
)
def test_the_dark_half_lies_where_the_pose_says(pose, turn):
    labels, structure = half_dark()
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # The centre of the cell is (14, 15); a frame of 10 pixels around it turns about itself.
    new_labels, expected = (turn(image[4:25, 5:26]) for image in (labels, structure))
    rendered = bank.render(hand_made(new_labels, [(10, 10)], [pose], [0]), 0)
    np.testing.assert_array_equal(rendered, expected)


def test_scale_is_followed():
    labels, structure = half_dark()
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    large = np.zeros((60, 60), np.int32)
    large[21:40, 23:38] = 1  # three times 9 x 7 would be 27 x 21: cut by what is visible
    rendered = bank.render(hand_made(large, [(30, 30)], [3.0 * np.eye(2)], [0]), 0)
    # Dark are the rows nearer to -1 than to 0, in pixels of the crop: 30 - 1.5 and above.
    np.testing.assert_array_equal(rendered, (large > 0) & (np.arange(60) < 29)[:, None])


def test_overlaps_obey_the_label_map():
    labels = disc_map([(15, 15), (15, 45)], 8, 30, 60)
    bank = StructureBank.from_samples([(labels, labels == 1)], free_standing=False)
    overlapping = disc_map([(15, 20), (15, 29)], 8, 30, 60)
    for dark, shapes in ((1, [0, 1]), (2, [1, 0])):
        mask = hand_made(overlapping, [(15, 20), (15, 29)], [np.eye(2)] * 2, shapes)
        np.testing.assert_array_equal(bank.render(mask, 0), overlapping == dark)


@pytest.mark.parametrize("recipe", [{}, {"max_overlap": 0.4, "line_share": 0.7, "margin": 14}])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(0, 14))
def test_render_equals_its_plain_twin(recipe, seed, count):
    mask = sampler(SHAPES, 60, 75, **recipe).sample(seed, count)
    maps = pose_maps(mask.centers, mask.poses)
    expected = paint(STRUCTURES, mask.label_map, mask.shape_index, maps, _generator(seed), stretch=False)
    np.testing.assert_array_equal(STRUCTURES.render(mask, seed), expected)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_dress_equals_its_plain_twin(seed):
    labels = blob_map(seed % 1000, 60, 75, 7)
    rng = _generator(seed)
    crop_of, maps = borrowed_maps(labels, STRUCTURES.moments, STRUCTURES.crops.centers, rng)
    expected = paint(STRUCTURES, labels, crop_of, maps, rng, stretch=True)
    np.testing.assert_array_equal(STRUCTURES.dress(labels, seed), expected)


def test_the_share_of_dark_seams_equals_its_plain_twin():
    for labels, structure in SAMPLES[:2]:
        bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
        assert bank.seam_share == pytest.approx(seam_share(labels, structure))


@pytest.mark.parametrize("dark_seam", [False, True])
def test_a_line_between_cells_is_dark_where_real_ones_are(dark_seam):
    labels = np.zeros((30, 40), np.int32)
    labels[10:20, 8:18], labels[10:20, 19:29] = 1, 2
    structure = (labels > 0).astype(np.uint8)
    structure[10:20, 18] = dark_seam
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # Background is between cells up to one pixel beyond their ends: 10 of 12 such pixels are dark.
    assert bank.seam_share == pytest.approx(10 / 12 if dark_seam else 0)
    lines = np.mean([bank.dress(labels, seed)[10:20, 18].mean() for seed in range(60)])
    assert lines == pytest.approx(bank.seam_share, abs=0.15)


def test_dressed_cells_point_along_their_axis():
    bank = StructureBank.from_samples([half_dark(extra_rows=10)], free_standing=False)
    rows, columns = np.mgrid[:80, :80]
    along, across = (rows - 40 + columns - 40) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    labels = ((np.abs(along) <= 24) & (np.abs(across) <= 9)).astype(np.int32)
    sides = []
    for seed in range(10):
        dark = bank.dress(labels, seed) > 0
        # Four of nineteen rows are dark, at one end.
        assert dark.sum() / labels.sum() == pytest.approx(4 / 19, abs=0.03)
        assert abs(across[dark].mean()) < 1.0
        assert abs(along[dark].mean()) == pytest.approx(24 * 15 / 19, abs=1.5)
        sides.append(np.sign(along[dark].mean()))
    assert {-1.0, 1.0} == set(sides)


def test_dressed_cells_borrow_from_cells_of_their_size():
    sizes = np.repeat([4, 12], 40)
    samples = [(disc_map([(20, 20)], radius, 41, 41),) * 2 for radius in sizes]
    samples = [(labels, (labels > 0) & (labels.sum() < 100)) for labels, _ in samples]
    bank = StructureBank.from_samples(samples, free_standing=False)
    small, large = disc_map([(20, 8), (20, 55)], 4, 41, 100), disc_map([(20, 30), (20, 80)], 12, 41, 100)
    np.testing.assert_array_equal(bank.dress(small + (large + 2) * (large > 0), 5), small > 0)


def test_halos_are_no_background_and_dirt_is():
    labels = disc_map([(30, 30), (30, 75)], 10, 60, 110)
    halo = ndimage.binary_dilation(labels > 0, iterations=6) & (np.arange(110) > 30)
    dirt = np.zeros(labels.shape, np.bool_)
    dirt[5:8, 5:9] = True
    nothing = np.zeros((90, 130), np.int32)
    bank = StructureBank.from_samples([(labels, halo)], free_standing=False)
    assert not bank.dress(nothing, 0).any()
    bank = StructureBank.from_samples([(labels, halo | dirt)], free_standing=False)
    drawn = [bank.dress(nothing, seed) for seed in range(6)]
    share = dirt.sum() / free_background(labels, halo | dirt).sum()
    assert np.mean(drawn) == pytest.approx(share, rel=0.5)
    free = free_background(labels, halo)
    assert not (free & (halo | ndimage.binary_dilation(labels > 0, np.ones((3, 3)), 3))).any()


def test_a_dark_background_stays_dark():
    labels = disc_map([(20, 20)], 8, 40, 60)
    bank = StructureBank.from_samples([(labels, labels == 0)], free_standing=False)
    np.testing.assert_array_equal(bank.dress(labels, 0), labels == 0)


def test_without_background_it_is_light():
    full = np.kron(np.arange(1, 10, dtype=np.int32).reshape(3, 3), np.ones((8, 8), np.int32))
    bank = StructureBank.from_samples([(full, np.ones_like(full))], free_standing=False)
    assert len(bank) == 1
    assert len(bank.images.sizes) == 0
    labels = disc_map([(20, 20)], 5, 40, 60)
    np.testing.assert_array_equal(bank.dress(labels, 0), labels > 0)


def test_a_background_that_is_nearly_all_cells_is_still_found():
    labels = np.ones((40, 40), np.int32)
    labels[10:25, 10:25] = 0
    structure = np.ones((40, 40), np.uint8)
    bank = StructureBank.from_samples([(labels, structure)], free_standing=False)
    # 9 x 9 of 40 x 40 pixels are free, all of them dark: after 64 images hardly anything is unfilled.
    assert bank.dress(np.zeros((30, 50), np.int32), 0).mean() > 0.9


def test_empty_masks_show_background_alone():
    empty = sampler(SHAPES).sample(0, 0)
    rendered = STRUCTURES.render(empty, 7)
    assert rendered.shape == (120, 150)
    assert 0 < rendered.mean() < 0.5
    np.testing.assert_array_equal(rendered, STRUCTURES.render(empty, 7))
    nothing = StructureBank.from_samples([], free_standing=True)
    assert len(nothing) == 0
    assert not nothing.render(empty, 0).any()
    assert not nothing.dress(empty.label_map, 0).any()


def test_the_seed_decides():
    mask = sampler(SHAPES).sample(0, 12)
    for draw in (lambda seed: STRUCTURES.render(mask, seed), lambda seed: STRUCTURES.dress(mask.label_map, seed)):
        np.testing.assert_array_equal(draw(0), draw(0))
        assert (draw(0) != draw(1)).any()
        np.testing.assert_array_equal(draw(np.random.SeedSequence([4, 2])), draw(np.random.SeedSequence([4, 2])))
        with pytest.raises(ValueError, match="non-negative"):
            draw(-1)
    background = mask.label_map == 0
    assert (STRUCTURES.render(mask, 0) != STRUCTURES.render(mask, 1))[background].any()
    inside = ndimage.minimum_filter(mask.label_map, 7) > 0
    np.testing.assert_array_equal(STRUCTURES.render(mask, 0)[inside], STRUCTURES.render(mask, 1)[inside])


def test_save_and_load(tmp_path):
    STRUCTURES.save(tmp_path / "structures.npz")
    loaded = StructureBank.load(tmp_path / "structures.npz")
    assert len(loaded) == len(STRUCTURES)
    for part in ("crops", "images"):
        for name, array in getattr(STRUCTURES, part)._asdict().items():
            np.testing.assert_array_equal(getattr(getattr(loaded, part), name), array)
            assert getattr(getattr(loaded, part), name).dtype == array.dtype
    mask = sampler(SHAPES).sample(1, 12)
    np.testing.assert_array_equal(loaded.render(mask, 3), STRUCTURES.render(mask, 3))
    np.testing.assert_array_equal(loaded.dress(mask.label_map, 3), STRUCTURES.dress(mask.label_map, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["structures.npz"]
    SHAPES.save(tmp_path / "shapes.npz")
    with pytest.raises(ValueError, match="not a structure bank"):
        StructureBank.load(tmp_path / "shapes.npz")
