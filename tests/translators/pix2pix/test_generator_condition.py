"""The input of a Pix2Pix generator."""

import numpy as np
import torch
from tiny_data import disc_smear

from rbc_lightning.data.augment.crops import random_crop
from rbc_lightning.data.stream import to_sample
from rbc_lightning.translators.pix2pix.generator import condition_channels, latent_codes, with_codes
from rbc_lightning.translators.pix2pix.structures.maps import structure_map, structure_threshold


def test_a_crop_has_the_structure_map_of_the_whole_image_cropped():
    image, label_map = disc_smear(3)
    # Bright at the left and dark at the right: a threshold of the crop's own would be another one.
    image = (image * np.linspace(1, 0.5, image.shape[1])[:, None]).astype(np.uint8)
    threshold = structure_threshold(image)
    whole = structure_map(image, threshold)
    numbered = np.arange(whole.size, dtype=np.int32).reshape(whole.shape)
    for seed in range(3):
        crop, ids = random_crop(image, numbered, 40, np.random.default_rng(seed))
        sample = to_sample(crop, ids, "a", "real")
        channels = condition_channels(sample["label_map"][None], sample["image"][None], [threshold])
        assert channels.shape == (1, 2, 40, 40)
        row, column = np.unravel_index(ids[0, 0], whole.shape)
        expected = whole[row : row + 40, column : column + 40]
        assert np.array_equal(channels[0, 1].numpy(), expected * 2.0 - 1)
        assert structure_threshold(crop) != threshold
    assert label_map.max() == 9


def test_codes_are_planes_that_depend_on_the_seed_alone():
    condition = torch.ones(2, 1, 4, 4)
    codes = latent_codes([3, 4], 2, condition)
    assert torch.equal(codes, torch.cat([latent_codes([3], 2, condition), latent_codes([4], 2, condition)]))
    drawn = np.random.default_rng(4).standard_normal(2, dtype=np.float32)
    assert codes[1].tolist() == drawn.tolist()
    planes = with_codes(condition, codes)
    assert planes.shape == (2, 3, 4, 4)
    assert all(torch.equal(planes[i, 1 + k], codes[i, k].expand(4, 4)) for i in range(2) for k in range(2))
    assert latent_codes([3, 4], 0, condition).shape == (2, 0)


def test_without_thresholds_the_mask_is_all():
    label_map, image = torch.tensor([[[0, 3], [1, 0]]]), torch.rand(1, 3, 2, 2)
    assert condition_channels(label_map, image, None).tolist() == [[[[-1, 1], [1, -1]]]]
    assert condition_channels(label_map, None, None).tolist() == [[[[-1, 1], [1, -1]]]]
