from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from plain_samples import TWO_CHANNELS, fluorescent_pair, fluorescent_sample, plain_sample

from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.sample import (
    RGB,
    ArrayPair,
    FilePair,
    ImageSpec,
    common_spec,
    from_levels,
    from_unit,
    to_levels,
    to_rgb,
    to_unit,
)
from rbc_lightning.errors import InputError

TWELVE_BITS = ImageSpec(channels=("grey",), value_range=(100, 4095))


def test_the_default_is_8_bit_colour_with_dark_cells():
    assert (RGB.n_channels, RGB.dtype, RGB.labels, RGB.objects) == (3, np.uint8, "instances", "dark")
    assert (TWO_CHANNELS.n_channels, TWO_CHANNELS.dtype) == (2, np.uint16)
    assert ImageSpec(channels=["a"], value_range=[0, 255], spacing=[1, 2]) == ImageSpec(("a",), spacing=(1, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value_range": (5, 5)}, r"value_range \(5, 5\); expected 0 <= smallest < largest <= 65535"),
        ({"value_range": (-1, 1)}, "expected 0 <= smallest"),
        ({"value_range": (0, 70000)}, "largest <= 65535"),
        ({"channels": ()}, r"channels \(\), classes .*expected one or more, all different"),
        ({"channels": ("a", "a")}, "all different"),
        ({"labels": "boxes"}, "labels 'boxes', objects 'dark'; expected 'instances' or 'classes'"),
        ({"objects": "red"}, "objects 'red'; expected .* 'dark' or 'bright'"),
    ],
)
def test_a_spec_is_checked_when_made(settings, message):
    with pytest.raises(InputError, match=message):
        ImageSpec(**settings)


def test_8_bits_are_scaled_as_tensors_are():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_unit(every), torch.from_numpy(every).float().div_(255).numpy())
    np.testing.assert_array_equal(from_unit(to_unit(every)), every)
    np.testing.assert_array_equal(from_levels(to_levels(every)), every)


@pytest.mark.parametrize("spec", [TWO_CHANNELS, TWELVE_BITS])
def test_every_value_survives_the_scaling(spec):
    every = np.arange(spec.value_range[0], spec.value_range[1] + 1).astype(np.uint16)
    unit, levels = to_unit(every, spec), to_levels(every, spec)
    assert (unit.dtype, levels.dtype) == (np.float32, np.float32)
    assert (unit[0], unit[-1], levels[0], levels[-1]) == (0, 1, 0, 255)
    np.testing.assert_array_equal(from_unit(unit, spec), every)
    np.testing.assert_array_equal(from_levels(levels, spec), every)


def test_what_lies_outside_the_range_is_clipped():
    assert to_unit(np.array([0, 65535], np.uint16), TWELVE_BITS).tolist() == [0, 1]
    assert from_unit(np.array([-0.5, 1.5]), TWELVE_BITS).tolist() == [100, 4095]
    assert from_levels(np.array([-3.0, 300.0])).tolist() == [0, 255]


def test_pictures_of_one_two_and_three_channels():
    image = np.array([[[0, 257, 65535, 7]]], np.uint16)
    four = ImageSpec(channels=("a", "b", "c", "d"), value_range=(0, 65535))
    shown = [to_rgb(image[..., :n], replace(four, channels=four.channels[:n]))[0, 0].tolist() for n in (1, 2, 3, 4)]
    assert shown == [[0, 0, 0], [0, 1, 0], [0, 1, 255], [0, 1, 255]]
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb(colour), colour)


def test_a_pair_in_memory():
    image, label_map = fluorescent_pair(0)
    sample = fluorescent_sample("a", 0)
    np.testing.assert_array_equal(sample.load_image(), image)
    np.testing.assert_array_equal(sample.load_label_map(), label_map)
    assert (sample.size, sample.where) == ((96, 128), "memory of a")
    other = ArrayPair(image, 2 * label_map, "")
    assert (sample.image_sha256 == other.sha256[0], sample.label_sha256 == other.sha256[1]) == (True, False)


def test_a_second_annotation_is_there_or_not():
    image, label_map = fluorescent_pair(0)
    sample = fluorescent_sample("a", 0)
    assert sample.load_second_label_map() is None
    second = ArrayPair(image, np.where(label_map == 1, 0, label_map).astype(np.int32), "memory of a second")
    np.testing.assert_array_equal(replace(sample, second=second).load_second_label_map() == 0, label_map <= 1)
    with pytest.raises(
        InputError, match=r"second: a second label map \(95, 128\) \(sample 'a'\); expected .* \(96, 128\): export"
    ):
        replace(sample, second=ArrayPair(image, label_map[1:], "second")).load_second_label_map()
    with pytest.raises(
        InputError, match=r"second: a label map .* of type int64 \(sample 'a'\); expected \(H, W\) of type int32"
    ):
        replace(sample, second=ArrayPair(image, label_map.astype(np.int64), "second")).load_second_label_map()


def test_a_pair_of_files(tmp_path):
    image, label_map = fluorescent_pair(3)
    gaps = 5 * label_map
    files = FilePair(write_image(tmp_path / "a.png", image), write_label_map(tmp_path / "l.png", gaps), TWO_CHANNELS)
    sample = replace(plain_sample("a"), loader=files, spec=TWO_CHANNELS)
    np.testing.assert_array_equal(sample.load_image(), image)
    np.testing.assert_array_equal(sample.load_label_map(), label_map)
    assert (sample.size, sample.where) == ((96, 128), str(tmp_path / "a.tif"))
    # The values of a map of classes are their meaning.
    classes = replace(files, spec=replace(TWO_CHANNELS, labels="classes"))
    np.testing.assert_array_equal(classes.label_map(), gaps)


def test_what_is_not_as_the_spec_says_is_named():
    sample = fluorescent_sample("a", 0)
    image, label_map = fluorescent_pair(0)
    with pytest.raises(
        InputError, match=r"memory of a: an image \(96, 128, 2\) of type uint16 .*'a'\); expected \(H, W, 3\) of type uint8"
    ):
        replace(sample, spec=RGB).load_image()
    for wrong in (image[..., 0], image[..., :1], image.astype(np.float32)):
        with pytest.raises(InputError, match=r"expected \(H, W, 2\) of type uint16, channels nuclei, actin: mend its"):
            replace(sample, loader=ArrayPair(wrong, label_map, "x")).load_image()
    for wrong in (label_map.astype(np.int64), label_map[None]):
        with pytest.raises(InputError, match=r"x: a label map .* \(sample 'a'\); expected \(H, W\) of type int32"):
            replace(sample, loader=ArrayPair(image, wrong, "x")).load_label_map()


def test_only_the_spacing_may_differ_between_samples():
    first = fluorescent_sample("a", 0, spec=replace(TWO_CHANNELS, spacing=(1, 1)))
    second = fluorescent_sample("b", 1, spec=replace(TWO_CHANNELS, spacing=(2, 1)))
    assert common_spec([first, first]).spacing == (1, 1)
    assert common_spec([first, second, first]) == TWO_CHANNELS
    assert common_spec([]) == RGB
    with pytest.raises(InputError, match=r"samples 'a' and 'c' differ in labels: instances and classes; .*: read them as two"):
        common_spec([first, second, fluorescent_sample("c", 0, spec=replace(TWO_CHANNELS, labels="classes"))])


LESIONS = ImageSpec(
    ("FLAIR", "T1w"),
    (0, 4095),
    "classes",
    ("lesion",),
    "bright",
    context=["ventricles", "brain"],
    upright=True,
    standard=[0.4, 0.1],
)


def slice_with_context():
    label_map = np.array([[0, 1, 2], [3, 1, 0]], dtype=np.int32)
    pair = ArrayPair(np.zeros((2, 3, 2), dtype=np.uint16), label_map, "memory")
    return replace(plain_sample("scan_000", "train"), loader=pair, spec=LESIONS), label_map


def test_context_is_background_for_segmenters_and_a_class_for_translators():
    sample, label_map = slice_with_context()
    np.testing.assert_array_equal(sample.load_label_map(), [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(sample.with_context().load_label_map(), label_map)
    assert sample.with_context().spec.class_names == ("lesion", "ventricles", "brain")
    np.testing.assert_array_equal(sample.loader.label_map(), label_map)  # its own array is left alone


def test_samples_without_context_are_their_own_view():
    sample, _ = slice_with_context()
    assert sample.with_context().with_context() == sample.with_context()
    smear = plain_sample("a", "train")
    assert smear.with_context() is smear
    assert (RGB.class_names, LESIONS.class_names) == ((), ("lesion",))


@pytest.mark.parametrize(
    "settings", [{"context": ("brain",)}, {"labels": "classes", "classes": ("brain",), "context": ("brain",)}]
)
def test_context_is_of_classes_and_named_once(settings):
    with pytest.raises(InputError, match="expected names of classes, all different"):
        ImageSpec(**settings)


def test_what_came_later_enters_keys_only_where_it_is_used():
    assert set(asdict(TWELVE_BITS)) - set(TWELVE_BITS.decisive()) == {"context", "upright", "standard"}
    assert LESIONS.decisive()["standard"] == (0.4, 0.1)
