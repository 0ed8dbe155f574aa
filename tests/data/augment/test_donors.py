"""Donors of copy-paste: whole cells, of train alone."""

from dataclasses import replace

import numpy as np
import pytest
from copy_paste_helpers import disc, pasting, write
from plain_samples import TWO_CHANNELS, fluorescent_sample
from scipy.ndimage import find_objects

from rbc_lightning.data.augment.copy_paste import CopyPaste
from rbc_lightning.data.augment.donors import density, image_colour
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.errors import InputError


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


def test_cells_are_cut_from_train_only(manifest):
    train = manifest.split("train")
    for split in ("val", "test"):
        held_out = manifest.split(split)[0]
        with pytest.raises(InputError, match=rf"'{held_out.sample_id}' \(real, split '{split}'\); expected real samples"):
            CopyPaste([*train, held_out])
    with pytest.raises(InputError, match=r"'smear_0\d' \(synthetic, split 'train'\)"):
        CopyPaste([replace(train[0], origin="synthetic")])
    with pytest.raises(InputError, match="has no sample to cut cells from"):
        CopyPaste([])


def test_donor_cells_are_whole_and_bounded_in_number(manifest):
    train = manifest.split("train")
    paste = CopyPaste(train)
    whole = 0
    for sample in train:
        labels = sample.load_label_map()
        for rows, columns in find_objects(labels):
            whole += rows.start > 0 and columns.start > 0 and rows.stop < labels.shape[0] and columns.stop < labels.shape[1]
    assert 0.5 * whole <= len(paste.donors) <= whole
    full = np.pi * 11**2
    assert all((cell.labels == 1).sum() == pytest.approx(full, rel=0.03) for cell in paste.donors)
    subsample = pasting(train, max_donor_cells=8).donors
    assert sorted({cell.sample_id for cell in subsample}) == sorted(sample.sample_id for sample in train)
    assert len(subsample) == 8
    others = [pasting(train, seed, max_donor_cells=8).donors for seed in (0, 1)]
    assert [cell.pixels.tobytes() for cell in subsample] == [cell.pixels.tobytes() for cell in others[0]]
    assert {cell.pixels.tobytes() for cell in subsample} != {cell.pixels.tobytes() for cell in others[1]}


def test_cells_cut_by_the_border_and_hidden_ones_are_no_donors(tmp_path):
    free, cut = disc(60, 120), 2 * disc(60, 120, (0, 80))
    touching = 3 * disc(60, 120, (40, 80)) + 4 * disc(60, 120, (40, 99))
    labels = np.maximum.reduce([free, cut, touching]).astype(np.int32)
    image = np.where(labels[..., None] > 0, 100, 200).astype(np.uint8) * np.ones(3, np.uint8)
    donors = CopyPaste([write(tmp_path, "a", image, labels)]).donors
    assert [(cell.labels == 1).sum() for cell in donors] == [free.sum()] * len(donors)
    with pytest.raises(InputError, match="none of the 1 training images has a cell"):
        CopyPaste([write(tmp_path, "b", image, cut.astype(np.int32))])


def test_the_donors_of_a_read_image_keep_its_pixels(manifest):
    sample = manifest.split("train")[0]
    image = sample.load_image()
    cell = CopyPaste([sample]).donors[0]
    height, width = cell.labels.shape
    views = np.lib.stride_tricks.sliding_window_view(image, (height, width, 3))[:, :, 0]
    assert (views == cell.pixels).all(axis=(2, 3, 4)).any()


def test_label_maps_of_classes_have_no_single_cells():
    donor = fluorescent_sample("a", 0, spec=replace(TWO_CHANNELS, labels="classes"))
    with pytest.raises(InputError, match=r"label map of 'a' holds classes; expected instances: take another augment"):
        CopyPaste([donor])


def test_the_density_of_cells_is_positive_whether_dark_or_bright():
    light = np.full((1, 2), 50 * 257, np.uint16)
    background = np.array([101, 101], np.float32)
    dark = replace(TWO_CHANNELS, objects="dark")
    assert density(light, background, dark)[0] == pytest.approx([np.log(2)] * 2)
    assert density(light, background, TWO_CHANNELS)[0] == pytest.approx([-np.log(2)] * 2)
    sample = fluorescent_sample("a", 0)
    colour = image_colour(sample.load_image(), sample.load_label_map(), sample.spec)
    assert colour.background == pytest.approx([40, 45], abs=1)  # 255 less the smear's ground
    assert (colour.stain > 0.5).all()


def test_without_background_the_least_like_cells_stand_in():
    image = np.repeat(np.arange(0, 65536, 257, dtype=np.uint16), 2).reshape(16, 16, 2)
    everywhere = np.ones((16, 16), np.int32)
    assert image_colour(image, everywhere, TWO_CHANNELS).background == pytest.approx([0.05 * 255] * 2, abs=1)
    assert image_colour(image, everywhere, replace(TWO_CHANNELS, objects="dark")).background == pytest.approx(
        [0.95 * 255] * 2, abs=1
    )
