import re
from unittest.mock import ANY

import numpy as np
import pytest
from volume_samples import AFFINE, CLASSES, tiny_preparation, tiny_scan

from rbc_lightning.data.volumes.intensity import LARGEST, brain_mask
from rbc_lightning.data.volumes.nifti import Volume
from rbc_lightning.data.volumes.preparation import share_outside
from rbc_lightning.errors import InputError


def volumes(tmp_path, *arrays, affine=AFFINE):
    return [Volume(tmp_path / f"{index}.nii", array, affine) for index, array in enumerate(arrays)]


@pytest.fixture
def scan(tmp_path):
    """Volumes, labels, brain."""
    flair, t1, labels = tiny_scan(5)
    *images, truth = volumes(tmp_path, flair.astype(np.float32), t1.astype(np.float32), labels.astype(np.int32))
    return images, truth, brain_mask(images)


def test_the_spec_says_what_is_stored():
    spec = tiny_preparation().spec
    assert (spec.channels, spec.classes, spec.context) == (("FLAIR", "T1w"), ("lesion",), ("ventricles", "rim", "brain"))
    assert (spec.labels, spec.objects, spec.upright, spec.standard) == ("classes", "bright", True, (0.4, 0.1))
    assert (spec.value_range, spec.dtype) == ((0, LARGEST), np.uint16)


@pytest.mark.parametrize(
    ("changes", "classes", "context"),
    [
        ({"targets": ("rim", "lesion")}, ("rim", "lesion"), ("ventricles", "brain")),
        ({"targets": None}, ("lesion", "ventricles", "rim"), ("brain",)),
        ({"targets": None, "outline": None}, ("lesion", "ventricles", "rim"), ()),
        ({"outline": None}, ("lesion",), ("ventricles", "rim")),
        ({"classes": {1: "lesion", 2: None, 0: None}, "outline": None}, ("lesion",), ()),
        # Two values of one name, as BraTS's 3 of one year and 4 of another.
        (
            {"classes": {1: "core", 4: "enhancing", 3: "enhancing"}, "targets": ("enhancing",)},
            ("enhancing",),
            ("core", "brain"),
        ),
    ],
)
def test_targets_come_first_and_the_outline_last(changes, classes, context):
    preparation = tiny_preparation(**changes)
    assert (preparation.spec.classes, preparation.spec.context) == (classes, context)
    assert preparation.names == (*classes, *context)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ("tumour",)}, "data.targets: 'tumour'; expected some of lesion, ventricles, rim, as data.classes names"),
        ({"targets": ()}, r"data\.targets=\[\]; expected some of lesion, ventricles, rim, or null for all"),
        ({"classes": {1: None}}, r"data\.classes names no class to segment; expected such as {1: lesion}"),
        ({"outline": "rim"}, "classes .*expected names of classes, all different"),
        ({"channels": ("FLAIR", "FLAIR")}, r"data\.channels=\['FLAIR', 'FLAIR'\]; expected one or more names, all different"),
        ({"channels": ()}, r"data\.channels=\[\]; expected one or more names"),
        ({"spacing": 0}, r"data\.spacing=0; expected mm above 0, or null"),
        ({"spacing": "x"}, r"data\.spacing=x; expected mm above 0, or null"),
        ({"strip": "maybe"}, r"data\.strip=maybe; expected true or false"),
        ({"side": 0}, r"data\.side=0; expected a whole number"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        tiny_preparation(**changes)


def test_images_are_z_scores_in_the_brain_in_every_channel(scan):
    images, _, brain = scan
    stored, grid = tiny_preparation(side=None).image(images, brain)
    assert stored.shape == (6, 40, 34, 2)
    assert stored.dtype == np.uint16
    for channel in range(2):
        z = (grid.to_volume(stored[..., channel])[brain] / LARGEST - 0.4) / 0.1
        values = images[channel].array[brain]
        np.testing.assert_allclose(z, ((values - values.mean()) / values.std()).clip(-4, 6), atol=2e-3)


def test_what_lies_outside_is_like_the_rim_of_the_volume(scan):
    images, _, brain = scan
    stored, _ = tiny_preparation(side=64).image(images, brain)
    for channel in range(2):
        assert set(np.unique(stored[:, :10, :, channel])) == {stored[2, 32, 16, channel]}


def test_stripping_empties_all_but_the_brain(scan):
    images, _, brain = scan
    for volume in images:
        volume.array[~brain] = 80
    plain, grid = tiny_preparation().image(images, brain)
    stored, _ = tiny_preparation(strip=True).image(images, brain)
    inside = grid.to_slices(brain, 0)
    np.testing.assert_array_equal(stored[inside], plain[inside])
    assert stored[~inside].max() == 0
    assert plain[~inside].max() > 0


def test_label_maps_hold_targets_then_context(scan):
    images, truth, brain = scan
    preparation = tiny_preparation(targets=("rim",), side=None)
    label_maps = preparation.labels(truth, preparation.grid(images[0]), brain)
    back = preparation.grid(images[0]).to_volume(label_maps)
    assert label_maps.dtype == np.uint8
    assert preparation.names == ("rim", "lesion", "ventricles", "brain")
    for value, name in enumerate(preparation.names[:3], start=1):
        np.testing.assert_array_equal(back == value, truth.array == {name: value for value, name in CLASSES.items()}[name])
    np.testing.assert_array_equal(back == 4, brain & (truth.array == 0))


def test_values_need_not_be_small_or_in_order(tmp_path):
    labels = np.array([0, 65535, 255, 0]).reshape(2, 2, 1).astype(np.int32)
    preparation = tiny_preparation(classes={255: "lesion", 65535: None}, outline=None, side=None)
    (volume,) = volumes(tmp_path, labels)
    found = preparation.labels(volume, preparation.grid(volume), labels > 0)
    assert sorted(found.ravel().tolist()) == [0, 0, 0, 1]


@pytest.mark.parametrize("value", [4, -1, 2])
def test_a_value_that_no_class_has_is_refused_by_file_and_value(tmp_path, scan, value):
    images, truth, _ = scan
    (volume,) = volumes(tmp_path, np.where(truth.array == 1, value, 0))
    count = int((truth.array == 1).sum())
    expected = rf"0\.nii: {count} voxels of value {value}; expected 0, 1 \(lesion\), 3 \(background\): mend it"
    with pytest.raises(InputError, match=expected):
        tiny_preparation(classes={1: "lesion", 3: None}).check(images, volume)
    with pytest.raises(InputError, match=re.escape(f"set 'data.classes={{1: lesion, 3: null, {value}: NAME}}', with null")):
        tiny_preparation(classes={1: "lesion", 3: None}).check(images, volume)


def test_resampling_makes_no_classes_between_others(tmp_path):
    labels = np.zeros((80, 80, 3), dtype=np.int32)
    labels[20:40, 20:60], labels[40:60, 20:60] = 2, 4
    (volume,) = volumes(tmp_path, labels, affine=np.diag([1, 1, 5, 1.0]))
    preparation = tiny_preparation(classes={2: "a", 3: "b", 4: "c"}, targets=None, outline=None, side=32, spacing=2.6)
    found = preparation.labels(volume, preparation.grid(volume), labels >= 0)
    assert set(np.unique(found)) == {0, 1, 3}
    for value, size in ((1, 800), (3, 800)):
        assert (found[1] == value).sum() * 2.6**2 == pytest.approx(size, rel=0.08)


def test_lesions_of_one_voxel_stay_when_pixels_are_larger(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.zeros((240, 240, 4), dtype=np.int32)
    for z in range(4):
        for x in range(20, 220, 20):
            labels[x + rng.integers(8), 20 * rng.integers(2, 10) + rng.integers(8), z] = 1
    (volume,) = volumes(tmp_path, labels, affine=np.diag([0.9, 0.9, 5, 1.0]))
    preparation = tiny_preparation(side=64, spacing=3.6)
    brain = np.ones(labels.shape, dtype=np.bool_)
    found = preparation.labels(volume, preparation.grid(volume), brain)
    assert [int((part == 1).sum()) for part in found] == [10, 10, 10, 10]
    assert (found > 1).sum() > 10000


def test_a_lesion_wins_the_last_pixel_over_what_lies_around(tmp_path):
    labels = np.zeros((40, 40, 1), dtype=np.int32)
    labels[20, 20], labels[20, 21] = 1, 3
    (volume,) = volumes(tmp_path, labels, affine=np.eye(4))
    for targets in (("lesion",), ("rim",)):
        preparation = tiny_preparation(targets=targets, outline=None, side=8, spacing=5.0)
        assert 1 in preparation.labels(volume, preparation.grid(volume), labels > 0)


def test_slices_that_cut_the_brain_are_refused(scan):
    images, truth, _ = scan
    tiny_preparation(side=40).check(images, truth)
    with pytest.raises(InputError, match=r"0\.nii: slices of 90 x 90 mm leave out \d\d% of the brain; .*raise data\.side"):
        tiny_preparation(side=20).check(images, truth)
    tiny_preparation(side=20, spacing=9.5).check(images, truth)


def test_what_decides_does_not_depend_on_the_order_of_the_table():
    first = tiny_preparation(classes={1: "lesion", 3: "rim"}).decisive()
    assert first == tiny_preparation(classes={3: "rim", 1: "lesion"}).decisive()
    assert first != tiny_preparation(classes={1: "lesion", 3: None}).decisive()


def test_the_share_outside_of_slices_is_measured(scan):
    volumes, _, brain = scan
    grid = tiny_preparation(side=20).grid(volumes[0])
    assert 0.3 < share_outside(brain, grid) < 0.9
    assert share_outside(brain, tiny_preparation().grid(volumes[0])) == 0
    assert share_outside(np.zeros_like(brain), grid) == 0


def test_the_head_and_its_tissue_are_classes_behind_the_outline(scan):
    images, truth, brain = scan
    plain, preparation = tiny_preparation(), tiny_preparation(head=True)
    assert preparation.names == (*plain.names, "head", "dark", "grey", "bright")
    assert preparation.spec.context == ("ventricles", "rim", "brain", "head", "dark", "grey", "bright")
    image, grid = preparation.image(images, brain)
    before = preparation.labels(truth, grid, brain)
    np.testing.assert_array_equal(before, plain.labels(truth, grid, brain))
    assert plain.with_head(before, image, grid) is before
    image[2, 18:22, 18:22] = 0  # a hole in the brain
    after = preparation.with_head(before, image, grid)
    kept = (before > 0) & (before < 4)
    np.testing.assert_array_equal(after[kept], before[kept])
    assert set(np.unique(after[2, 18:22, 18:22]).tolist()) <= {1, 2, 3, 6}
    assert np.isin(after, (4, 7, 8)).sum() > 0.8 * (before == 4).sum()
    assert 0 < (after == 8).sum() < (after == 7).sum() < (after == 4).sum()
    without = tiny_preparation(head=True, outline=None)
    assert set(np.unique(without.with_head(without.labels(truth, grid, brain), image, grid)).tolist()) == {0, 1, 2, 3, 4, 5}


def test_no_head_leaves_the_keys_as_they_were():
    assert "head" not in tiny_preparation().decisive()
    assert tiny_preparation(head=True).decisive() == {**tiny_preparation().decisive(), "names": ANY, "head": True}
