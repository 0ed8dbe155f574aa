"""Copy-paste: what is pasted by hand-made arithmetic, and contracts of the label map."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from copy_paste_helpers import RADIUS, disc, pasting, write
from plain_samples import fluorescent_pair, fluorescent_sample
from scipy.ndimage import label as components
from tiny_data import disc_smear

from rbc_lightning.data.augment.copy_paste import CopyPasteSettings
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import ArrayPair
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.data.splits import cut_validation


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


@pytest.fixture
def donor(tmp_path):
    """One disc of (90, 50, 120) on (180, 200, 240): a half, a quarter and a half of the light, nearly."""
    labels = disc()
    image = np.where(labels[..., None] > 0, (90, 50, 120), (180, 200, 240)).astype(np.uint8)
    return write(tmp_path, "donor", image, labels)


@pytest.fixture(scope="module")
def paste(manifest):
    return pasting(manifest.split("train"), cells=(3, 6), p=1.0)


def test_a_pasted_cell_takes_the_share_of_light_that_it_took_at_home(donor):
    host = np.full((80, 90, 3), (120, 100, 200), np.uint8)
    paste = pasting([donor], cells=(1, 1), feather=0, match_stain=False, p=1)
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
    paste = pasting([donor], cells=(1, 1), feather=0, p=1)
    image, pasted = paste(host.astype(np.uint8), labels, seed=0)
    density = np.log(201 / (np.median(image[pasted == 2], axis=0) + 1))
    own = np.log(201 / 151)
    # Red and blue are within reach; green, four times as dense, is bounded to a half of what it was.
    assert density[[0, 2]] == pytest.approx([max(own, 0.5 * np.log(181 / 91))] * 2, abs=0.02)
    assert density[1] == pytest.approx(0.5 * np.log(201 / 51), abs=0.02)


def test_without_matching_the_pixels_are_the_donors(donor):
    host = np.full((80, 80, 3), 140, np.uint8)
    paste = pasting([donor], cells=(1, 1), feather=0, match_background=False, p=1)
    image, labels = paste(host, np.zeros((80, 80), np.int32), seed=0)
    assert np.median(image[labels == 1], axis=0).tolist() == [90, 50, 120]
    outside = ~_grown(labels > 0, 2)
    assert np.array_equal(image[outside], host[outside])


def test_a_feathered_edge_is_a_slope(tmp_path):
    # All of one colour, so that the only edge is the pasting's own.
    donor = write(tmp_path, "plain", np.full((60, 60, 3), 50, np.uint8), disc())
    host = np.full((80, 80, 3), 200, np.uint8)

    def steepest(feather):
        paste = pasting([donor], cells=(1, 1), feather=feather, match_background=False, p=1)
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
    paste = pasting(manifest.split("train"), cells=(1, 2), p=0.3)
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
    paste = pasting([donor], cells=(5, 5), p=1)
    for seed in range(10):
        pasted = paste(image, labels, seed)[1]
        assert not (pasted[:, 70:] > 0).any()


@pytest.mark.parametrize(("top", "objects"), [(255, "dark"), (65535, "dark"), (65535, "bright")])
def test_any_channels_and_bits_are_pasted_alike(tmp_path, top, objects):
    """A disc at 0.4 of the range on 0.8, pasted on a host of 0.6: by ratio where light is absorbed, else as it is."""
    spec = ImageSpec(channels=("one", "two"), value_range=(0, top), objects=objects)
    labels = disc()
    image = (np.where(labels[..., None] > 0, 0.4, 0.8) * top * np.ones(2)).astype(spec.dtype)
    host = np.full((80, 90, 2), round(0.6 * top), spec.dtype)
    paste = pasting([write(tmp_path, "donor", image, labels, spec=spec)], cells=(1, 1), feather=0, match_stain=False, p=1)
    pasted, ids = paste(host, np.zeros((80, 90), np.int32), seed=1)
    assert pasted.dtype == spec.dtype
    inside = ids == 1
    assert inside.sum() == pytest.approx(np.pi * RADIUS**2, rel=0.05)
    expected = 0.4 if objects == "bright" else ((0.6 * 255 + 1) * (0.4 * 255 + 1) / (0.8 * 255 + 1) - 1) / 255
    assert np.median(pasted[inside], axis=0) / top == pytest.approx([expected] * 2, abs=1 / 255)
    assert np.array_equal(pasted[~_grown(inside, 2)], host[~_grown(inside, 2)])


def test_bright_cells_are_pasted_on_the_dark_ground_and_on_no_other_bright_thing():
    paste = pasting([fluorescent_sample(name, seed) for seed, name in enumerate("abc")], cells=(3, 6), p=1)
    image, labels = fluorescent_pair(9, height=160, width=160)
    for seed in range(6):
        changed, pasted = paste(image, labels, seed)
        assert pasted.max() > labels.max()
        assert ((changed.mean(-1) > 0.24 * 65535) == (pasted > 0)).mean() > 0.99
    image[:, 80:] = 40_000  # debris that nobody labelled
    assert all(paste(image, labels, seed)[1][:, 100:].max() <= labels.max() for seed in range(6))


def test_a_single_channel_is_pasted():
    spec = ImageSpec(channels=("grey",))
    image, labels = disc_smear(1)
    donor = replace(fluorescent_sample("a", 0, spec=spec), loader=ArrayPair(image[..., :1], labels, "grey"))
    changed, pasted = pasting([donor], cells=(2, 4), p=1)(image[..., :1], labels, 0)
    assert changed.shape == (96, 128, 1)
    assert pasted.max() > labels.max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"cells": (4, 2)}, "cells must be"), ({"feather": float("inf")}, r"feather must lie in \[0, inf\], got inf")],
)
def test_settings_are_checked_when_made(settings, message):
    with pytest.raises(ValueError, match=message):
        CopyPasteSettings(**settings)
