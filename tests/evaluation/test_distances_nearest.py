import cv2
import numpy as np
import pytest
from tiny_data import disc_smear

from rbc_lightning.evaluation.distances import nearest_distances, nearest_patterns, pattern_distances
from rbc_lightning.evaluation.realism import cell_crops


@pytest.fixture(scope="module")
def cells():
    pairs = [disc_smear(seed, count=8) for seed in range(6)]
    # Every cell gets a pattern of its own.
    rng = np.random.default_rng(0)
    crops = []
    for image, label_map in pairs:
        pattern = cv2.GaussianBlur(rng.normal(size=image.shape), (0, 0), 3)
        crops.append(cell_crops((image + 300 * pattern).clip(0, 255).astype(np.uint8), label_map))
    return np.concatenate(crops[:4]), np.concatenate(crops[4:])


def test_a_copy_is_found_mirrored_in_another_stain_and_contrast(cells):
    train, held_out = cells
    noise = np.random.default_rng(1).normal(0, 2, train.shape)
    copies = (0.5 * train[:, ::-1, ::-1] + (40, 60, 20) + noise).astype(np.float32)
    assert nearest_distances(train, train) == pytest.approx(0, abs=2e-3)
    assert nearest_distances(copies, train).max() < 0.4 * np.median(nearest_distances(held_out, train))
    # A copy that is turned by a quarter is none the translator could have learnt from flips.
    assert np.median(nearest_distances(train[:, :, ::-1].transpose(0, 2, 1, 3), train)) > 0.4


def test_distances_by_hand_and_in_chunks():
    rng = np.random.default_rng(2)
    queries, references = (rng.normal(size=(n, 4, 4, 3)).astype(np.float32) for n in (300, 5))
    found = nearest_distances(queries, references)

    def pattern(crop):
        crop = crop - crop.mean(axis=(0, 1))
        return (crop / crop.std()).astype(np.float64)

    plain = [
        min(np.sqrt(((pattern(q) - pattern(r)[::a, ::b]) ** 2).mean()) for r in references for a in (1, -1) for b in (1, -1))
        for q in queries
    ]
    assert found == pytest.approx(plain, abs=1e-4)
    assert nearest_distances(queries[:0], references).shape == (0,)
    flat = np.full((1, 4, 4, 3), 7, dtype=np.float32)
    assert nearest_distances(flat, references) == pytest.approx(1)


@pytest.mark.parametrize(
    ("queries", "references", "message"),
    [
        ((1, 4, 4, 3), (1, 5, 5, 3), "crops must have one size"),
        ((1, 4, 4, 3), (0, 4, 4, 3), "at least one reference cell, got none"),
    ],
)
def test_bad_arguments_are_named(queries, references, message):
    with pytest.raises(ValueError, match=message):
        nearest_distances(np.zeros(queries), np.zeros(references))


def test_a_shifted_copy_is_found_with_its_number():
    rng = np.random.default_rng(3)
    references = rng.normal(size=(4, 12, 12, 2)).astype(np.float32)
    moved = np.roll(references[[2, 0]], (1, -1), axis=(1, 2))
    found = nearest_patterns(moved, references, shift=1)
    assert found.index.tolist() == [2, 0]
    assert found.distance == pytest.approx(0, abs=2e-3)
    assert nearest_patterns(moved, references).distance.min() > 0.8


def test_distances_of_patterns_by_correlation():
    rng = np.random.default_rng(4)
    images = rng.normal(size=(3, 6, 6, 1)).astype(np.float32)
    flat = images.reshape(3, -1)
    expected = [np.sqrt(2 * (1 - np.corrcoef(flat[a], flat[b])[0, 1])) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert pattern_distances(images) == pytest.approx(expected, abs=1e-4)
