from dataclasses import replace

import numpy as np
import pytest
from plain_samples import LESIONS, TWO_CHANNELS, fluorescent_pair, fluorescent_sample, plain_sample

from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.sample import ArrayPair, FilePair, common_spec
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError


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
