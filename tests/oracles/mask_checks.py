"""Small banks, a sampler over them, and everything that a sampled mask promises."""

import hashlib

import numpy as np
from oracles.mask_layouts import EIGHT, blob_map, disc_map, read_back, same_cells, touching_pairs

from rbc_lightning.masks import MaskSampler, SampledMask, ShapeBank

BANK = ShapeBank.from_label_maps([blob_map(seed) for seed in range(6)])
DISC = ShapeBank.from_label_maps([disc_map([(20, 20)], 9, 40, 40)])


def sampler(bank=BANK, height=120, width=150, count_mean=30, count_std=12, cell_size=19, **values):
    return MaskSampler(bank, height, width, count_mean, count_std, cell_size, **{"n_init": 4, **values})


def digest(seed):
    """Hash of a mask with overlaps and a margin."""
    mask = sampler(max_overlap=0.3, margin=5).sample(seed)
    parts = (mask.label_map, mask.colors, mask.centers, mask.z_order)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def check(mask):
    """Everything a sampled mask promises, whatever the recipe."""
    n = mask.placed
    labels, colors = mask.label_map, mask.colors
    assert labels.dtype == np.int32
    assert colors.dtype == np.uint8
    assert np.issubdtype(mask.centers.dtype, np.integer)
    assert mask.centers.shape == (n, 2)
    assert mask.shape_index is None or mask.shape_index.shape == (n,)
    assert sorted(mask.z_order) == list(range(n))
    assert set(np.unique(labels)) - {0} == set(range(1, n + 1))
    assert mask.placed + mask.not_placed == mask.asked
    np.testing.assert_array_equal(colors > 0, labels > 0)
    palette = np.zeros(n + 1, np.uint8)
    palette[labels] = colors
    np.testing.assert_array_equal(palette[labels], colors)
    assert all(palette[first] != palette[second] for first, second in touching_pairs(labels))
    # Each cell is 4-connected and no two of a colour are 8-neighbours: either way of reading back gives the cells.
    assert same_cells(read_back(colors), labels)
    assert same_cells(read_back(colors, EIGHT), labels)


def hand_made(label_map, centers, poses, shapes):
    """A mask whose cells lie where the caller says, in one colour."""
    labels = np.asarray(label_map, np.int32)
    n = len(centers)
    colors = (labels > 0).astype(np.uint8)
    where = np.asarray(centers, np.int64).reshape(n, 2)
    matrices = np.asarray(poses, float).reshape(n, 2, 2)
    return SampledMask(labels, colors, where, np.arange(n), np.asarray(shapes, np.int32), matrices, n, 0, n)
