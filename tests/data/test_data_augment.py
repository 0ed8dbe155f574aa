"""Augmentations: each one's effect by hand, ids kept, image and label map together, drawn from the seed alone."""

import pickle
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from rbc_lightning.data import augment
from rbc_lightning.data.augment import TRANSFORMS, build_augmentation, random_crop, random_flips
from rbc_lightning.data.crops import separate_mirrored_cells
from rbc_lightning.errors import InputError

CONF = Path(__file__).parents[2] / "conf" / "augment"
PAPER = yaml.safe_load((CONF / "paper.yaml").read_text())["transforms"]
GEOMETRIC = ("horizontal_flip", "vertical_flip", "rotate_90")
PHOTOMETRIC = tuple(name for name in TRANSFORMS if name not in (*GEOMETRIC, "affine", "elastic"))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture
def label_map():
    return np.random.default_rng(1).integers(0, 100_000, (40, 50), dtype=np.int32)


def run(image, label_map=None, seed=0, **transforms):
    label_map = np.zeros(image.shape[:2], np.int32) if label_map is None else label_map
    return build_augmentation(transforms)(image, label_map, seed)


def convolve(image, kernel):
    """Plain 3x3 correlation, border reflected without repeating the edge pixel."""
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    total = sum(kernel[r][c] * padded[r : r + height, c : c + width] for r in range(3) for c in range(3))
    return np.clip(total, 0, 255)


def test_flips_move_image_and_label_map_alike(image, label_map):
    for name, axis in (("horizontal_flip", 1), ("vertical_flip", 0)):
        flipped, labels = run(image, label_map, **{name: {"p": 1}})
        assert np.array_equal(flipped, np.flip(image, axis))
        assert np.array_equal(labels, np.flip(label_map, axis))


def test_inversion_is_255_minus_x_in_a_choice_of_channels(image):
    inverted, _ = run(image, invert_channels={"p": 1, "per_channel": False})
    assert np.array_equal(inverted, 255 - image)
    seen = set()
    for seed in range(60):
        result, _ = run(image, seed=seed, invert_channels={"p": 1, "per_channel": True})
        choice = tuple(bool(np.array_equal(result[..., c], 255 - image[..., c])) for c in range(3))
        kept = [np.array_equal(result[..., c], image[..., c]) for c in range(3) if not choice[c]]
        assert all(kept)
        seen.add(choice)
    assert len(seen) == 7
    assert (False, False, False) not in seen


def test_brightness_adds_and_multiplies(image):
    added, _ = run(image, brightness={"p": 1, "add": [20, 20], "multiply": [1, 1]})
    assert np.array_equal(added, np.clip(image.astype(int) + 20, 0, 255))
    multiplied, _ = run(image, brightness={"p": 1, "add": [0, 0], "multiply": [0.5, 0.5]})
    assert np.array_equal(multiplied, np.rint(image * 0.5))


def test_contrast_is_about_128():
    image = np.array([[[0, 28, 100], [128, 138, 255]]], dtype=np.uint8)
    doubled, _ = run(image, contrast={"p": 1, "factor": [2, 2]})
    assert doubled.tolist() == [[[0, 0, 72], [128, 148, 255]]]
    halved, _ = run(image, contrast={"p": 1, "factor": [0.5, 0.5]})
    assert halved.tolist() == [[[64, 78, 114], [128, 133, 192]]]


def test_grayscale_is_luma_in_all_channels(image):
    grey, _ = run(image, grayscale={"p": 1})
    luma = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - luma[..., None]).max() <= 1


def test_gaussian_noise_has_the_asked_spread_and_is_independent_in_the_channels():
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noise = run(grey, gaussian_noise={"p": 1, "std_range": [0.05, 0.05], "per_channel": True})[0].astype(float) - 128
    assert noise.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.5)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05


def test_gaussian_blur_spreads_a_point_to_a_gaussian_of_that_sigma():
    image = np.zeros((41, 41, 3), dtype=np.uint8)
    image[18:23, 18:23] = 255  # variance of five equal pixels: (25 - 1) / 12 = 2
    blurred, _ = run(image, gaussian_blur={"p": 1, "sigma_limit": [2, 2]})
    profile = blurred[..., 0].astype(float).sum(0)
    variance = (profile * (np.arange(41) - 20.0) ** 2).sum() / profile.sum()
    assert variance == pytest.approx(2 + 2**2, rel=0.05)


def test_sharpening_and_embossing_are_the_known_kernels(image):
    # Half of the image, half of its Laplacian-sharpened version: centre (1 + 8 + 1) / 2, neighbours -1 / 2.
    sharpened, _ = run(image, sharpen={"p": 1, "alpha": [0.5, 0.5], "lightness": [1, 1]})
    expected = convolve(image, [[-0.5, -0.5, -0.5], [-0.5, 5, -0.5], [-0.5, -0.5, -0.5]])
    assert np.abs(sharpened - expected).max() <= 1
    # Relief from the upper left: strength 1 gives -2 -1 0 / -1 1 1 / 0 1 2.
    embossed, _ = run(image, emboss={"p": 1, "alpha": [1, 1], "strength": [1, 1]})
    assert np.abs(embossed - convolve(image, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])).max() <= 1


def test_stain_strength_scales_optical_density():
    image = np.array([[[255, 128, 0], [64, 200, 51]]], dtype=np.uint8)
    stronger, _ = run(image, stain_strength={"p": 1, "scale": [2, 2]})
    # Density doubles, so transmission is squared: 255 (128 / 255)^2 = 64.25, (51 / 255)^2 = 1 / 25.
    assert stronger.tolist() == [[[255, 64, 0], [16, 157, 10]]]


@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_changes_of_colour_change_the_image_and_leave_the_label_map(name, image, label_map):
    changed, labels = run(image, label_map, **{name: {**PAPER.get(name, {}), "p": 1}})
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, image)
    assert np.array_equal(labels, label_map)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("rotate_90", {}),
        ("affine", {"rotate": [-45, 45], "scale": [0.7, 1.4]}),
        ("elastic", {"alpha": 60, "sigma": 8}),
        ("horizontal_flip", {}),
    ],
)
def test_image_and_label_map_move_together_and_ids_stay(name, parameters):
    """The marker image shows each cell in a grey of its own; after the move image and labels still agree."""
    labels = np.zeros((160, 160), np.int32)
    greys = {70_001: 60, 12: 120, 300: 180, 1: 240}
    for (row, column), cell in zip([(40, 45), (45, 110), (110, 60), (115, 115)], greys, strict=True):
        cv2.circle(labels, (column, row), 18, cell, -1)
    marker = np.zeros((160, 160, 3), np.uint8)
    for cell, grey in greys.items():
        marker[labels == cell] = grey
    moved_image, moved = run(marker, labels, seed=3, **{name: {**parameters, "p": 1}})
    assert not np.array_equal(moved, labels)
    assert moved.dtype == np.int32
    assert set(greys) <= set(np.unique(moved))
    for cell, grey in greys.items():
        inside = cv2.erode((moved == cell).astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert inside.sum() > 300
        assert np.abs(moved_image[inside].astype(int) - grey).max() <= 1
    outside = cv2.erode((moved == 0).astype(np.uint8), np.ones((5, 5))).astype(bool)
    assert moved_image[outside].max() == 0


def test_cells_mirrored_into_the_frame_are_cells_of_their_own():
    labels = np.zeros((100, 100), np.int32)
    cv2.circle(labels, (85, 50), 8, 7, -1)  # wholly inside, near the right border
    image = np.zeros((100, 100, 3), np.uint8)
    _, moved = run(image, labels, affine={"p": 1, "translate_px": {"x": [-30, -30], "y": [0, 0]}})
    ids, areas = np.unique(moved[moved > 0], return_counts=True)
    assert ids.tolist() == [7, 8]
    assert areas[0] == (labels == 7).sum()


def test_separating_leaves_specks_and_connected_cells_alone():
    labels = np.array([[1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 2, 0], [0, 0, 0, 0, 0, 2]], np.int32)
    # The speck of cell 1 is a twelfth of it; cell 2 is joined through a corner.
    assert np.array_equal(separate_mirrored_cells(labels), labels)
    labels[0, 4:] = [0, 3]
    labels[3, 0] = 3
    assert separate_mirrored_cells(labels)[[0, 3], [5, 0]].tolist() == [3, 4]
    assert np.array_equal(separate_mirrored_cells(np.zeros((3, 3), np.int32)), np.zeros((3, 3), np.int32))


def test_the_seed_alone_decides(image, label_map):
    paper = pickle.loads(pickle.dumps(build_augmentation(PAPER)))  # as a worker process gets it
    first = [paper(image, label_map, seed) for seed in range(8)]
    backwards = [build_augmentation(PAPER)(image, label_map, seed) for seed in reversed(range(8))][::-1]
    for (image_a, labels_a), (image_b, labels_b) in zip(first, backwards, strict=True):
        assert np.array_equal(image_a, image_b)
        assert np.array_equal(labels_a, labels_b)
    assert len({result.tobytes() for result, _ in first}) >= 7


def test_transforms_are_drawn_independently_of_one_another(image):
    flips = build_augmentation({"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}})
    counts: dict[bytes, int] = {}
    for seed in range(400):
        labels = image[..., 0].astype(np.int32)
        key = flips(image, labels, seed)[1].tobytes()
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 4
    assert min(counts.values()) > 70


def test_the_input_is_left_untouched(image, label_map):
    kept_image, kept_labels = image.copy(), label_map.copy()
    everything = {name: {**PAPER.get(name, {}), "p": 1} for name in TRANSFORMS}
    build_augmentation(everything)(image, label_map, 0)
    assert np.array_equal(image, kept_image)
    assert np.array_equal(label_map, kept_labels)


def test_probability_is_the_share_of_changed_images(image):
    changed = sum(not np.array_equal(run(image, seed=seed, contrast={"p": 0.3})[0], image) for seed in range(300))
    assert 60 <= changed <= 120


def test_paper_has_the_ten_of_the_paper_and_every_config_builds(image, label_map):
    assert list(PAPER) == list(TRANSFORMS)[:10]
    # Each has a probability of its own, and a range where there is anything to range over.
    assert all(0 < parameters["p"] < 1 for parameters in PAPER.values())
    assert [name for name, parameters in PAPER.items() if set(parameters) == {"p"}] == [*GEOMETRIC[:2], "grayscale"]
    for path in CONF.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        assert set(content) == {"transforms", "copy_paste"}, path
        assert all("p" in parameters for parameters in content["transforms"].values()), path
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            changed, labels = build_augmentation(content["transforms"])(image[:40, :40], label_map[:40, :40], 0)
        assert changed.shape == (40, 40, 3)
        assert labels.shape == (40, 40)


def test_no_transforms_change_nothing(image, label_map):
    changed, labels = build_augmentation({})(image, label_map, 5)
    assert np.array_equal(changed, image)
    assert np.array_equal(labels, label_map)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gauss_blur": {"p": 1}}, "Unknown augmentation 'gauss_blur'; known are horizontal_flip, .*gaussian_blur"),
        ({"contrast": {"range": [1, 2]}}, "'contrast' has no parameter range; it has factor, p"),
        ({"gaussian_noise": {"var_limit": 5}}, "'gaussian_noise' has no parameter var_limit; it has std_range"),
        ({"affine": {"border_mode": 0}}, "'affine' has no parameter border_mode"),
        ({"contrast": 0.5}, r"'contrast' takes a mapping such as \{p: 0.5\}, got 0.5"),
        ({"contrast": {"p": 1.5}}, r"probability p must lie in \[0, 1\], got 1.5"),
        ({"contrast": {"p": "often"}}, "probability p must lie in .*'often'"),
        ({"contrast": {"factor": [2, 1]}}, r"'contrast' refuses its parameters .*range \[smallest, largest\]"),
        ({"brightness": {"multiply": [-1, 1]}}, "'brightness' refuses .*multiply must be a range .* from 0 up"),
        ({"sharpen": {"alpha": [0, 7]}}, "'sharpen' refuses its parameters"),
        ({"gaussian_blur": {"sigma_limit": "wide"}}, "'gaussian_blur' refuses its parameters"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build_augmentation(settings)


def test_bad_samples_are_refused(image, label_map):
    augmentation = build_augmentation({})
    with pytest.raises(TypeError, match="uint8 image and an int32 label map, got float64 and int32"):
        augmentation(image / 255, label_map, 0)
    with pytest.raises(TypeError, match="got uint8 and int64"):
        augmentation(image, label_map.astype(np.int64), 0)
    with pytest.raises(ValueError, match=r"got \(40, 50, 3\) and \(50, 40\)"):
        augmentation(image, label_map.T, 0)


def test_random_crop_cuts_both_at_every_place(label_map):
    image = np.repeat((label_map % 256).astype(np.uint8)[..., None], 3, 2)
    corners = set()
    for seed in range(400):
        cut, labels = random_crop(image, label_map, 38, np.random.default_rng(seed))
        assert labels.shape == (38, 38)
        assert np.array_equal(cut[..., 2], labels % 256)
        row, column = (int(i[0]) for i in np.nonzero(label_map == labels[0, 0]))
        assert np.array_equal(labels, label_map[row : row + 38, column : column + 38])
        corners.add((row, column))
    assert {row for row, _ in corners} == set(range(3))
    assert {column for _, column in corners} == set(range(13))


def test_random_crop_reflects_smaller_images():
    labels = np.array([[0, 1], [0, 1], [2, 0]], np.int32)
    image = np.repeat((10 * labels).astype(np.uint8)[..., None], 3, 2)
    cut, cut_labels = random_crop(image, labels, 4, np.random.default_rng(0))
    assert cut[..., 0].tolist() == [[0, 10, 10, 0], [0, 10, 10, 0], [20, 0, 0, 20], [20, 0, 0, 20]]
    # Cell 1 goes on over the border; the mirror image of cell 2 is another cell.
    assert cut_labels.tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 3], [2, 0, 0, 3]]
    assert random_crop(image[:1, :1], labels[:1, :1], 5, np.random.default_rng(0))[0].shape == (5, 5, 3)
    with pytest.raises(ValueError, match="crop size must be at least 1 pixel, got 0"):
        random_crop(image, labels, 0, np.random.default_rng(0))


def test_random_flips_draw_all_four_orientations_together(image):
    labels = image[..., 1].astype(np.int32)
    seen = set()
    for seed in range(40):
        flipped, flipped_labels = random_flips(image, labels, np.random.default_rng(seed))
        assert np.array_equal(flipped[..., 1], flipped_labels)
        seen.add(flipped_labels.tobytes())
    assert seen == {np.flip(labels, axes).tobytes() for axes in ((), (0,), (1,), (0, 1))}


def test_importing_does_not_ask_the_network():
    assert augment.os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
