"""Copy-paste: what is pasted by hand-made arithmetic, contracts of the label map, and donors from train alone."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.ndimage import find_objects
from scipy.ndimage import label as components
from tiny_data import disc_smear

from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.copy_paste import CopyPaste, build_training_augmentation
from rbc_lightning.data.folder import read_folder
from rbc_lightning.data.formats import read_image, read_label_map, write_image, write_label_map
from rbc_lightning.data.manifest import Record, cut_validation
from rbc_lightning.errors import InputError

CONF = Path(__file__).parents[2] / "conf" / "augment"
RADIUS = 9


def disc(height=60, width=60, centre=(30, 30), radius=RADIUS):
    rows, columns = np.mgrid[:height, :width]
    return (np.hypot(rows - centre[0], columns - centre[1]) <= radius).astype(np.int32)


def write(root, name, image, label_map, split="train"):
    write_image(root / f"{name}.png", image)
    label_path = write_label_map(root / f"{name}_labels.png", label_map)
    return Record(name, root / f"{name}.png", label_path, "real", split, name, name, name)


@pytest.fixture
def donor(tmp_path):
    """One disc of (90, 50, 120) on (180, 200, 240): a half, a quarter and a half of the light, nearly."""
    labels = disc()
    image = np.where(labels[..., None] > 0, (90, 50, 120), (180, 200, 240)).astype(np.uint8)
    return write(tmp_path, "donor", image, labels)


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


@pytest.fixture(scope="module")
def paste(manifest):
    return CopyPaste(manifest.split("train"), cells=(3, 6), p=1.0)


def test_a_pasted_cell_takes_the_share_of_light_that_it_took_at_home(donor):
    host = np.full((80, 90, 3), (120, 100, 200), np.uint8)
    paste = CopyPaste([donor], cells=(1, 1), feather=0, match_stain=False, p=1)
    image, labels = paste(host, np.zeros((80, 90), np.int32), seed=1)
    inside = labels == 1
    assert inside.sum() == pytest.approx(np.pi * RADIUS**2, rel=0.05)
    # (host + 1) * (cell + 1) / (background + 1) - 1, the law of Beer and Lambert with one grey level more.
    expected = [121 * 91 / 181 - 1, 101 * 51 / 201 - 1, 201 * 121 / 241 - 1]
    assert np.median(image[inside], axis=0) == pytest.approx(expected, abs=1)
    outside = ~_grown(inside, 2)  # turned by any angle, the edge is shared between pixels
    assert np.array_equal(image[outside], host[outside])


def test_the_stain_is_scaled_to_the_hosts_own_cells(donor):
    # The host's cells pass 0.75 of the light in each channel; the donor's a half, a quarter, a half.
    labels = disc(150, 150, (20, 20), 12)
    host = np.where(labels[..., None] > 0, 150, 200) * np.ones(3)
    paste = CopyPaste([donor], cells=(1, 1), feather=0, p=1)
    image, pasted = paste(host.astype(np.uint8), labels, seed=0)
    density = np.log(201 / (np.median(image[pasted == 2], axis=0) + 1))
    own = np.log(201 / 151)
    # Red and blue are within reach; green, four times as dense, is bounded to a half of what it was.
    assert density[[0, 2]] == pytest.approx([max(own, 0.5 * np.log(181 / 91))] * 2, abs=0.02)
    assert density[1] == pytest.approx(0.5 * np.log(201 / 51), abs=0.02)


def test_without_matching_the_pixels_are_the_donors(donor):
    host = np.full((80, 80, 3), 140, np.uint8)
    paste = CopyPaste([donor], cells=(1, 1), feather=0, match_background=False, p=1)
    image, labels = paste(host, np.zeros((80, 80), np.int32), seed=0)
    assert np.median(image[labels == 1], axis=0).tolist() == [90, 50, 120]
    outside = ~_grown(labels > 0, 2)
    assert np.array_equal(image[outside], host[outside])


def test_a_feathered_edge_is_a_slope(tmp_path):
    # All of one colour, so that the only edge is the pasting's own.
    donor = write(tmp_path, "plain", np.full((60, 60, 3), 50, np.uint8), disc())
    host = np.full((80, 80, 3), 200, np.uint8)

    def steepest(feather):
        paste = CopyPaste([donor], cells=(1, 1), feather=feather, match_background=False, p=1)
        image, labels = paste(host, np.zeros((80, 80), np.int32), seed=3)
        assert labels.any()
        return np.abs(np.diff(image[..., 1].astype(int), axis=1)).max()

    # The steepest slope of a step of 150 under a Gaussian: 150 / (2 sqrt(2 pi)) = 30.
    assert steepest(2.0) == pytest.approx(30, abs=4)
    assert steepest(0) > 100


def test_labels_stay_and_new_ones_are_single_pieces_within_the_allowed_overlap(paste):
    image, labels = disc_smear(seed=5, height=160, width=160)
    labels[labels > 0] += 100  # as after a crop: gaps below
    seen = 0
    for seed in range(12):
        changed, pasted = paste(image, labels, seed)
        assert changed.dtype == np.uint8
        assert pasted.dtype == np.int32
        assert np.array_equal(pasted[labels > 0], labels[labels > 0])
        new = np.unique(pasted[pasted > labels.max()])
        assert new.tolist() == list(range(labels.max() + 1, labels.max() + 1 + len(new)))
        assert 1 <= len(new) <= 6
        seen += len(new)
        for cell in new:
            assert components(pasted == cell)[1] == 1
            inner = not {0, 159} & {int(i) for i in np.argwhere(pasted == cell)[[0, -1]].ravel()}
            columns = np.nonzero((pasted == cell).any(0))[0]
            if inner and columns[0] > 0 and columns[-1] < 159:
                # The discs of the donors are all alike: at most a tenth of each lies under others.
                assert (pasted == cell).sum() >= 0.85 * (labels == 101).sum()
        # Only pasted cells and their soft rim change.
        far = ~_grown(pasted > labels.max(), 6)
        assert np.array_equal(changed[far], image[far])
    assert seen >= 30


def _grown(mask, pixels):
    for _ in range(pixels):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        padded = np.pad(mask, 1)
        mask = padded[:-2, :-2] | padded[2:, 2:] | padded[:-2, 2:] | padded[2:, :-2] | mask
    return mask


def test_a_pasted_cell_is_dark_where_its_label_is(paste):
    image, labels = disc_smear(seed=6, height=160, width=160)
    changed, pasted = paste(image, labels, seed=2)
    dark = changed.mean(-1) < 190
    assert (dark == (pasted > 0)).mean() > 0.99


def test_the_seed_alone_decides_in_every_process(paste):
    image, labels = disc_smear(seed=7)
    kept = image.copy(), labels.copy()
    first = [paste(image, labels, seed) for seed in range(4)]
    again = [pickle.loads(pickle.dumps(paste))(image, labels, seed) for seed in reversed(range(4))][::-1]
    for (a, b), (c, d) in zip(first, again, strict=True):
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)
    assert len({a.tobytes() for a, _ in first}) == 4
    assert np.array_equal(kept[0], image)
    assert np.array_equal(kept[1], labels)


def test_probability_is_the_share_of_samples_that_get_any(manifest):
    paste = CopyPaste(manifest.split("train"), cells=(1, 2), p=0.3)
    image, labels = disc_smear(seed=8)
    changed = sum(not np.array_equal(paste(image, labels, seed)[0], image) for seed in range(200))
    assert 38 <= changed <= 85


def test_a_full_field_stays_as_it_is(paste):
    # Squares of 8 pixels hold no disc of radius 11, not even one cut by the border.
    labels = np.arange(1, 65).reshape(8, 8).repeat(8, 0).repeat(8, 1).astype(np.int32)
    image = np.full((64, 64, 3), 99, np.uint8)
    for ids in (labels, np.where(labels % 2, labels, 0).astype(np.int32)):
        changed, pasted = paste(image, ids, 0)
        assert np.array_equal(pasted, ids)
        assert np.array_equal(changed, image)


def test_nothing_is_pasted_on_a_dark_thing_without_a_label(donor):
    labels = disc(60, 120, (30, 30), 10)
    image = np.full((60, 120, 3), 200, np.uint8)
    image[labels > 0] = 120
    image[:, 50:] = 60  # a leucocyte that nobody labelled
    paste = CopyPaste([donor], cells=(5, 5), p=1)
    for seed in range(10):
        pasted = paste(image, labels, seed)[1]
        assert not (pasted[:, 70:] > 0).any()


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
    for record in train:
        labels = read_label_map(record.label_path)
        for rows, columns in find_objects(labels):
            whole += rows.start > 0 and columns.start > 0 and rows.stop < labels.shape[0] and columns.stop < labels.shape[1]
    assert 0.5 * whole <= len(paste.donors) <= whole
    full = np.pi * 11**2
    assert all((cell.labels == 1).sum() == pytest.approx(full, rel=0.03) for cell in paste.donors)
    few = CopyPaste(train, max_donor_cells=8, seed=0).donors
    assert sorted({cell.sample_id for cell in few}) == sorted(record.sample_id for record in train)
    assert len(few) == 8
    others = [CopyPaste(train, max_donor_cells=8, seed=seed).donors for seed in (0, 1)]
    assert [cell.pixels.tobytes() for cell in few] == [cell.pixels.tobytes() for cell in others[0]]
    assert {cell.pixels.tobytes() for cell in few} != {cell.pixels.tobytes() for cell in others[1]}


def test_cells_cut_by_the_border_and_hidden_ones_are_no_donors(tmp_path):
    free, cut = disc(60, 120), 2 * disc(60, 120, (0, 80))
    touching = 3 * disc(60, 120, (40, 80)) + 4 * disc(60, 120, (40, 99))
    labels = np.maximum.reduce([free, cut, touching]).astype(np.int32)
    image = np.where(labels[..., None] > 0, 100, 200).astype(np.uint8) * np.ones(3, np.uint8)
    donors = CopyPaste([write(tmp_path, "a", image, labels)]).donors
    assert [(cell.labels == 1).sum() for cell in donors] == [free.sum()] * len(donors)
    with pytest.raises(InputError, match="none of the 1 training images has a cell"):
        CopyPaste([write(tmp_path, "b", image, cut.astype(np.int32))])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cells": [4, 2]}, r"augment.copy_paste: cells must be \[smallest, largest\] number of cells.*got \[4, 2\]"),
        ({"cells": [0, 0]}, "the largest at least 1"),
        ({"p": 1.5}, r"p must lie in \[0, 1\], got 1.5"),
        ({"max_overlap": -0.1}, r"max_overlap must lie in \[0, 1\], got -0.1"),
        ({"feather": -1}, r"feather must lie in \[0, inf\], got -1"),
        ({"max_donor_cells": 0}, "max_donor_cells must be at least 1, got 0"),
        ({"number": 3}, "expected null, or a mapping with some of cells, max_overlap, feather"),
        (0.5, "augment.copy_paste=0.5; expected null"),
    ],
)
def test_bad_settings_are_told(manifest, parameters, message):
    with pytest.raises(InputError, match=message):
        build_training_augmentation({"transforms": {}, "copy_paste": parameters}, manifest.split("train"))


def test_every_configuration_builds_and_without_pasting_is_the_transforms_alone(manifest):
    image, labels = disc_smear(seed=9)
    for path in CONF.glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        augment = build_training_augmentation(settings, manifest.split("train"))
        changed, moved = augment(image, labels, 4)
        if settings["copy_paste"] is None:
            expected = build_augmentation(settings["transforms"])(image, labels, 4)
            assert np.array_equal(changed, expected[0])
            assert np.array_equal(moved, expected[1])
        else:
            assert len(np.unique(moved)) > len(np.unique(labels))


def test_donor_images_are_not_read_where_nothing_is_pasted(manifest):
    gone = replace(manifest.split("train")[0], image_path=Path("nowhere.png"))
    build_training_augmentation({"transforms": {}, "copy_paste": None}, [gone])
    with pytest.raises(InputError, match=r"nowhere\.png: no such file"):
        build_training_augmentation({"transforms": {}, "copy_paste": {}}, [gone])


def test_the_donors_of_a_read_image_keep_its_pixels(manifest):
    record = manifest.split("train")[0]
    image = read_image(record.image_path)
    cell = CopyPaste([record]).donors[0]
    height, width = cell.labels.shape
    views = np.lib.stride_tricks.sliding_window_view(image, (height, width, 3))[:, :, 0]
    assert (views == cell.pixels).all(axis=(2, 3, 4)).any()
