"""Pictures of one field in two splits are found, whatever was done to them; different fields are not taken for one."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from plain_samples import TWO_CHANNELS, fluorescent_sample
from scipy.fft import dctn

from rbc_lightning.data import near_duplicates
from rbc_lightning.data.near_duplicates import CUTS, THRESHOLD, find_near_duplicates, n_pairs
from rbc_lightning.data.readers.phantom import PhantomSpec, render_smear
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import ImageSpec

T = Image.Transpose


def sample(image, name, split="train", spec=None):
    pair = ArrayPair(np.asarray(image), np.zeros(np.asarray(image).shape[:2], np.int32), name)
    return Sample(name, split, name, *pair.sha256, pair, spec=spec or ImageSpec())


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def crop(image, left, top, right, bottom):
    width, height = image.size
    return image.crop((round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height)))


CHANGES = {
    "jpeg": lambda image: jpeg(image, 30),
    "half_size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "gamma": lambda image: image.point(lambda value: int(255 * (value / 255) ** 1.5)),
    **{turn.name.lower(): lambda image, turn=turn: jpeg(image.transpose(turn), 50) for turn in T},
    "crop": lambda image: crop(image, 0.07, 0.1, 0.03, 0.02),
    "crop_mirrored": lambda image: jpeg(crop(image, 0.0, 0.18, 0.1, 0.06).transpose(T.FLIP_LEFT_RIGHT), 70),
}


@pytest.fixture(scope="module")
def phantoms():
    spec = PhantomSpec(height=192, width=256)
    return [Image.fromarray(render_smear(spec, seed)[0]) for seed in range(6)]


def found(samples, **options):
    return [(pair.first.sample_id, pair.second.sample_id) for pair in find_near_duplicates(samples, **options)]


def test_different_fields_are_not_taken_for_one(phantoms):
    assert found([sample(image, str(i), ("train", "val", "test")[i % 3]) for i, image in enumerate(phantoms)]) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_copy_is_found_in_either_direction(phantoms, change):
    train = [sample(image, str(i)) for i, image in enumerate(phantoms)]
    assert found([*train, sample(change(phantoms[2]), "copy", "test")]) == [("2", "copy")]
    assert found([sample(change(phantoms[2]), "copy", "val"), *train]) == [("copy", "2")]


def test_the_nearest_pair_comes_first_and_one_split_is_no_pair(phantoms):
    copies = [sample(CHANGES["crop"](phantoms[0]), "crop", "test"), sample(CHANGES["jpeg"](phantoms[1]), "jpeg", "val")]
    train = [sample(image, str(i)) for i, image in enumerate(phantoms[:2])]
    counted = []
    pairs = find_near_duplicates([*train, *copies, replace(train[0], sample_id="again")], progress=lambda *n: counted.append(n))
    assert [(pair.first.sample_id, pair.second.sample_id) for pair in pairs] == [
        ("1", "jpeg"),
        ("0", "crop"),
        ("crop", "again"),
    ]
    assert pairs[0].distance < 0.05 < pairs[1].distance < THRESHOLD
    assert counted == [(n, 5) for n in range(1, 6)]


def test_among_very_many_pairs_whole_images_alone_are_compared(phantoms, monkeypatch):
    samples = [
        *(sample(image, str(i)) for i, image in enumerate(phantoms[:2])),
        sample(CHANGES["crop"](phantoms[0]), "crop", "test"),
        sample(CHANGES["transpose"](phantoms[1]), "mirrored", "test"),
    ]
    assert n_pairs(samples) == 4
    monkeypatch.setattr(near_duplicates, "MOST_PAIRS", 3)
    assert found(samples) == [("1", "mirrored")]


def test_images_of_one_value_are_no_copies_of_each_other():
    blank = np.zeros((64, 64, 3), np.uint8)
    assert found([sample(blank, "a"), sample(blank + 1, "b", "test")]) == []
    assert found([]) == []


def test_images_of_other_kinds(phantoms):
    first, other = fluorescent_sample("a", 0), fluorescent_sample("b", 1, "test")
    mirrored = sample(np.fliplr(first.load_image()), "c", "test", TWO_CHANNELS)
    assert ("a", "c") in found([first, other, mirrored])


def test_bits_are_the_signs_of_the_cosine_transform():
    picture = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    expected = np.sign(dctn(picture.astype(np.float64))[:16, :16])
    expected[0, 0] = 0
    hashes = near_duplicates.hashes(picture, near_duplicates._WINDOWS)
    assert hashes.shape == (len(CUTS) ** 4, 16, 16)
    np.testing.assert_array_equal(hashes[0], expected)
    turned = near_duplicates._orientations(hashes[0])
    for view in (picture.T, picture[::-1], picture[:, ::-1], np.rot90(picture), np.rot90(picture, 3)):
        one = near_duplicates.hashes(view, near_duplicates._WINDOWS[:1])[0]
        assert any(np.array_equal(one, candidate) for candidate in turned)
    # A window of whole pixels is a picture of its own.
    part = near_duplicates.hashes(picture, near_duplicates._basis(0.125, 0.25)[None])[0]
    expected = np.sign(dctn(picture[16:96, 16:96].astype(np.float64))[:16, :16])
    np.testing.assert_array_equal(part.ravel()[1:], expected.ravel()[1:])


def test_real_smears_are_told_apart_and_their_copies_found(shared_smears):
    images = [Image.open(path).convert("RGB") for path in sorted((shared_smears / "images").iterdir())]
    samples = [sample(image, str(i), "train" if i % 2 else "test") for i, image in enumerate(images)]
    assert found(samples) == []
    rng = np.random.default_rng(0)
    copies = [
        sample(jpeg(crop(image, *rng.uniform(0, 0.1, 4)).transpose(T.FLIP_LEFT_RIGHT), 60), f"copy {i}", "val")
        for i, image in enumerate(images)
    ]
    assert sorted(found([*samples, *copies])) == sorted((str(i), f"copy {i}") for i in range(len(images)))
