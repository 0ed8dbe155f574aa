"""Augmentations: each one's effect by hand, ids kept, image and label map together, drawn from the seed alone."""

import pickle
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from plain_samples import TWO_CHANNELS, fluorescent_pair

from rbc_lightning.data.augment import transforms as augment
from rbc_lightning.data.augment.transforms import FLIPS, TRANSFORMS, build_augmentation
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError

CONF = Path(__file__).parents[3] / "conf" / "augment"
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


def test_the_seed_alone_decides(image, label_map):
    paper = pickle.loads(pickle.dumps(build_augmentation(PAPER)))  # as a worker process gets it
    first = [paper(image, label_map, seed) for seed in range(8)]
    backwards = [build_augmentation(PAPER)(image, label_map, seed) for seed in reversed(range(8))][::-1]
    for (image_a, labels_a), (image_b, labels_b) in zip(first, backwards, strict=True):
        assert np.array_equal(image_a, image_b)
        assert np.array_equal(labels_a, labels_b)
    assert len({result.tobytes() for result, _ in first}) >= 7


def test_transforms_are_drawn_independently_of_one_another(image):
    flips = build_augmentation(FLIPS)
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
        assert set(content) == {"_target_", "transforms", "copy_paste"}, path
        assert all("p" in parameters for parameters in content["transforms"].values()), path
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            changed, labels = build_augmentation(content["transforms"])(image[:40, :40], label_map[:40, :40], 0)
        assert changed.shape == (40, 40, 3)
        assert labels.shape == (40, 40)


KINDS = [
    ImageSpec(channels=channels, value_range=(0, top), objects=objects)
    for channels in (("grey",), ("nuclei", "actin"), ("red", "green", "blue"))
    for top, objects in ((255, "dark"), (4095, "bright"), (65535, "bright"))
]
REFUSED = {
    "grayscale": lambda spec: spec.n_channels != 3,
    "hue_saturation": lambda spec: spec.n_channels != 3,
    "jpeg": lambda spec: spec.n_channels == 2 or spec.dtype == np.uint16,
    "stain_strength": lambda spec: spec.objects == "bright",
}


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: f"{spec.n_channels}x{spec.value_range[1]}")
def test_every_transform_takes_any_channels_and_bits_or_refuses_them_by_name(spec, label_map):
    rng = np.random.default_rng(0)
    image = rng.integers(0, spec.value_range[1] + 1, (40, 50, spec.n_channels)).astype(spec.dtype)
    parameters = PAPER | {"affine": {"rotate": [30, 30]}, "elastic": {"alpha": 60, "sigma": 8}}
    for name in TRANSFORMS:
        settings = {name: {**parameters.get(name, {}), "p": 1}}
        if REFUSED.get(name, lambda spec: False)(spec):
            with pytest.raises(InputError, match=rf"augment\.transforms\.{name} needs .*: take it out"):
                build_augmentation(settings, spec)
            continue
        changed, _ = build_augmentation(settings, spec)(image, label_map, 3)
        assert changed.dtype == spec.dtype, name
        assert changed.shape in ((40, 50, spec.n_channels), (50, 40, spec.n_channels)), name
        assert changed.max() <= spec.value_range[1], name
        assert changed.shape != image.shape or not np.array_equal(changed, image), name


def test_a_refusal_names_the_channels():
    wanted = r"hue_saturation needs three channels \(red, green, blue\); these images have 2 \(nuclei, actin\): take it out"
    with pytest.raises(InputError, match=wanted):
        build_augmentation({"hue_saturation": {"p": 1}}, TWO_CHANNELS)
    with pytest.raises(InputError, match=r"stain_strength needs objects that absorb light; the objects .* are bright"):
        build_augmentation({"stain_strength": {"p": 1}}, TWO_CHANNELS)
    with pytest.raises(InputError, match=r"jpeg needs one or three channels of values 0\.\.255; .* of values 0\.\.65535"):
        build_augmentation({"jpeg": {"p": 1}}, TWO_CHANNELS)


def test_16_bits_are_changed_in_grey_levels_of_a_255th_of_the_range():
    image = np.array([[[0, 257], [25700, 65535]]], np.uint16)
    labels = np.zeros((1, 2), np.int32)

    def apply(**transforms):
        return build_augmentation(transforms, TWO_CHANNELS)(image, labels, 0)[0].tolist()

    assert apply(brightness={"p": 1, "add": [20, 20], "multiply": [1, 1]}) == [[[5140, 5397], [30840, 65535]]]
    assert apply(contrast={"p": 1, "factor": [2, 2]}) == [[[0, 0], [257 * 72, 65535]]]
    assert apply(invert_channels={"p": 1, "per_channel": False}) == [[[65535, 65278], [39835, 0]]]
    assert apply(horizontal_flip={"p": 1}) == [[[25700, 65535], [0, 257]]]


def test_inversion_draws_among_the_channels_there_are():
    image = np.zeros((4, 4, 2), np.uint16)
    inversion = build_augmentation({"invert_channels": {"p": 1}}, TWO_CHANNELS)
    drawn = {tuple(inversion(image, np.zeros((4, 4), np.int32), seed)[0][0, 0].tolist()) for seed in range(40)}
    assert drawn == {(65535, 0), (0, 65535), (65535, 65535)}


def test_labels_of_bright_objects_follow_the_image():
    image, labels = fluorescent_pair(0, height=128, width=128)
    moving = {
        "rotate_90": {"p": 1},
        "affine": {"p": 1, "rotate": [-45, 45]},
        "gaussian_noise": {"p": 1, "std_range": [0.01, 0.01]},
    }
    for seed in range(4):
        moved, ids = build_augmentation(moving, TWO_CHANNELS)(image, labels, seed)
        assert ((moved.mean(-1) > 0.24 * 65535) == (ids > 0)).mean() > 0.97


def test_classes_get_no_new_ids():
    labels = np.zeros((100, 100), np.int32)
    cv2.circle(labels, (85, 50), 8, 7, -1)
    spec = ImageSpec(labels="classes")
    shift = {"affine": {"p": 1, "translate_px": {"x": [-30, -30], "y": [0, 0]}}}
    _, moved = build_augmentation(shift, spec)(np.zeros((100, 100, 3), np.uint8), labels, 0)
    assert np.unique(moved).tolist() == [0, 7]


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
    with pytest.raises(TypeError, match="Expected a uint16 image and an int32 label map, got uint8 and int32"):
        build_augmentation({}, TWO_CHANNELS)(image, label_map, 0)
    with pytest.raises(ValueError, match=r"image \(H, W, 2\) and a label map \(H, W\), got \(40, 50, 3\)"):
        build_augmentation({}, TWO_CHANNELS)(image.astype(np.uint16), label_map, 0)


def test_importing_does_not_ask_the_network():
    assert augment.os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
