"""Whole smears: determinism and label maps."""

import numpy as np
import pytest
from phantom_helpers import SMALL
from skimage import measure

from rbc_lightning.data.readers.phantom import render_smear
from rbc_lightning.data.readers.phantom.smear import tidy_labels


def test_same_seed_same_picture_and_other_seed_another_one():
    first, labels = render_smear(SMALL, 0)
    again, labels_again = render_smear(SMALL, 0)
    other, _ = render_smear(SMALL, 1)
    assert first.tobytes() == again.tobytes()
    assert labels.tobytes() == labels_again.tobytes()
    assert (first != other).mean() > 0.9


def test_seed_zero_is_a_seed_and_negative_is_refused():
    assert any((render_smear(SMALL, 0)[1] != render_smear(SMALL, seed)[1]).any() for seed in (1, 2))
    with pytest.raises(ValueError, match="seed must be zero or positive, got -1"):
        render_smear(SMALL, -1)


def test_ids_are_contiguous_and_every_label_is_one_piece(smears):
    for _, label_map in smears:
        assert label_map.dtype == np.int32
        n = int(label_map.max())
        np.testing.assert_array_equal(np.unique(label_map), np.arange(n + 1))
        assert measure.label(label_map, background=0, connectivity=1).max() == n


def test_tidy_labels_by_hand():
    untidy = ["5555009", "5522200", "2252200", "0022207"]
    # The largest pieces of 5 and 2 stay; the 5 inside joins the 2, the 2s at the left join the 5; 7 and 9 are specks.
    expected = ["1111000", "1122200", "1122200", "0022200"]
    tidy = tidy_labels(np.array([list(row) for row in untidy]).astype(np.int32))
    np.testing.assert_array_equal(tidy, np.array([list(row) for row in expected]).astype(np.int32))


def test_border_cuts_cells_and_cells_touch(smears):
    _, label_map = smears[0]
    rim = np.concatenate([label_map[0], label_map[-1], label_map[:, 0], label_map[:, -1]])
    assert len(np.unique(rim)) > 10
    touching = (label_map[:, 1:] != label_map[:, :-1]) & (label_map[:, 1:] > 0) & (label_map[:, :-1] > 0)
    assert touching.any()
