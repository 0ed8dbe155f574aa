import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_checks import check
from oracles.mask_layouts import blob_map, touching_pairs

from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sampler.sampled import color_cells


def test_a_label_map_alone_is_a_mask():
    label_map = np.zeros((6, 9), np.int32)
    label_map[1:3, 1:3], label_map[1:3, 3:6], label_map[5, 8] = 1, 2, 3
    mask = SampledMask.from_label_map(label_map)
    check(mask)
    # Centroids (1.5, 1.5) and (1.5, 4) are rounded up, as in a bank.
    assert mask.centers.tolist() == [[2, 2], [2, 4], [5, 8]]
    assert (mask.asked, mask.placed, mask.not_placed, mask.by_fallback) == (3, 3, 0, 0)
    assert mask.poses is None
    assert mask.shape_index is None
    assert mask.colors[label_map > 0].tolist() == [1, 1, 2, 2, 2, 1, 1, 2, 2, 2, 3]
    check(SampledMask.from_label_map(np.zeros((3, 3), np.int32)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_touching_cells_never_share_a_colour(seed, n_colors):
    label_map = blob_map(seed, n=25)
    palette = np.zeros(label_map.max() + 1, np.uint8)
    palette[label_map] = color_cells(label_map, n_colors)
    assert all(palette[first] != palette[second] for first, second in touching_pairs(label_map))


def test_a_palette_is_exceeded_only_where_it_must_be():
    # Four cells around one corner touch each other.
    four = np.array([[1, 2], [3, 4]], np.int32)
    assert color_cells(four, 2).tolist() == [[1, 2], [3, 4]]
    assert color_cells(four, 8).tolist() == [[1, 2], [3, 4]]
    assert color_cells(np.array([[1, 0, 2, 0, 3]], np.int32), 2).tolist() == [[1, 0, 2, 0, 1]]


def test_more_cells_around_one_than_there_are_colours_are_refused():
    # A cell of one row beside 300 others, two pixels each, which touch one another in pairs.
    label_map = np.zeros((2, 600), np.int32)
    label_map[0], label_map[1] = 301, 1 + np.arange(600) // 2
    assert color_cells(label_map, 8)[0, 0] == 9
    with pytest.raises(ValueError, match="cell 256 touches cells of all 255 colours"):
        color_cells(complete(256), 8)


def complete(n):
    """Every pair of ids side by side somewhere, int32 (1, W)."""
    first, second = np.triu_indices(n, 1)
    flat = np.zeros((len(first), 3), np.int32)
    flat[:, 0], flat[:, 1] = first + 1, second + 1
    return flat.reshape(1, -1)
