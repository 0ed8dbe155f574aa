import numpy as np
import pytest
import torch
from pair_helpers import SPEC, brain, measured
from tiny_data import disc_smear
from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure

from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.pair_quality.measured import SIDE, smalls
from rbc_lightning.evaluation.pair_quality.novelty import aligned_rmse, diversity, nearest_cells, nearest_training_pairs

SMEARS = measured(*(disc_smear(seed, count=5) for seed in range(8)), spec=RGB)


def test_copies_of_one_pair_have_no_diversity():
    one = diversity(SMEARS[:1] * 4, seed=0, twins_of=4)
    assert (one.images, one.masks, one.twins) == pytest.approx((0, 0, 0), abs=1e-6)
    many = diversity(SMEARS, seed=0, twins_of=8)
    assert min(many.images, many.masks, many.twins) > 0.3


def test_two_modes_have_twins_although_they_differ():
    modes = diversity(SMEARS[:2] * 3, seed=0, twins_of=6)
    assert modes.twin_distances == pytest.approx(np.zeros(6))
    # Of the 15 pairs 6 are of one mode.
    alone = diversity(SMEARS[:2], seed=0, twins_of=2)
    assert modes.masks == pytest.approx(alone.masks * 9 / 15)
    assert modes.images == pytest.approx(alone.images * 9 / 15, abs=1e-6)


def test_images_differ_by_ms_ssim():
    """Of both images at three scales, whose weights of Wang et al. are scaled to a sum of 1."""
    weights = np.array([0.0448, 0.2856, 0.3001])
    measure = MultiScaleStructuralSimilarityIndexMeasure(data_range=255.0, betas=tuple((weights / weights.sum()).tolist()))
    first, second = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in smalls(SMEARS[:2]))
    assert diversity(SMEARS[:2], 0, 2).images == pytest.approx(1 - float(measure(first, second)), abs=1e-5)


def test_masks_differ_and_empty_ones_do_not_count():
    # 16 pixels each of 1600, 8 in both, where 0.16 would be by chance.
    found = diversity(measured(brain((4, 12, 4)), brain(), brain((4, 14, 4)), brain()), 0, 4)
    assert found.masks == pytest.approx(0.5 / 0.99)
    assert np.isnan(diversity(measured(brain(), brain((4, 12, 4))), 0, 2).masks)


def test_masks_of_other_sizes_are_not_compared():
    assert np.isnan(diversity(measured(brain((4, 12, 4)), brain((4, 12, 4), side=48)), 0, 2).masks)


def test_a_copy_is_found_shifted_mirrored_and_brighter():
    train = SMEARS[:6]
    image, label_map = disc_smear(2, count=5)
    moved, map_moved = (np.roll(array, (3, -4), axis=(0, 1))[:, ::-1] for array in (image, label_map))
    copies = measured((image, label_map), ((moved * 0.8 + 30).astype(np.uint8), map_moved), spec=RGB)
    found, held_out = nearest_training_pairs(copies, train), nearest_training_pairs(SMEARS[6:], train)
    assert found.index.tolist() == [2, 2]
    assert found.distance[0] < 2e-3
    assert found.distance[1] < 0.5 * held_out.distance.min()
    assert found.rmse[0] == 0
    # Its cells are those of train.
    crops = [[pair.crops for pair in pairs] for pairs in (copies, SMEARS[6:], train)]
    assert np.median(nearest_cells(crops[0], crops[2], 0)) < 0.02 < np.median(nearest_cells(crops[1], crops[2], 0))


def test_rmse_by_hand():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (SIDE, SIDE, 2)).astype(np.float32)
    assert aligned_rmse(image + 3, image) == pytest.approx(3, rel=1e-4)
    assert aligned_rmse(np.roll(image[::-1], (2, -1), axis=(0, 1)), image) == pytest.approx(0, abs=1e-6)
    assert aligned_rmse(np.roll(image, 5, axis=0), image) > 50


def test_slices_without_a_lesion_have_no_patches_to_copy():
    pairs = measured(brain(seed=1), brain(seed=2), brain((4, 12, 4)))
    assert len(nearest_cells([pair.crops for pair in pairs[:2]], [pairs[2].crops], 0)) == 0
    assert SPEC.upright
