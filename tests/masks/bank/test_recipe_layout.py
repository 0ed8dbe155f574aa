import numpy as np
import pytest
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.errors import InputError
from rbc_lightning.masks.bank.recipe import TrainLayout, measure_layout


def test_a_layout_by_hand():
    first, second = np.zeros((8, 10), np.int32), np.zeros((8, 10), np.int32)
    first[2:4, 2:4], first[5:7, 5:9] = 1, 2
    # Cut by the border: counted, and not measured.
    second[0, 3:5], second[3, 3], second[5, 5] = 1, 2, 3
    diameters = 2 * np.sqrt(np.array([4, 8, 1, 1]) / np.pi)
    assert measure_layout([first, second]) == TrainLayout(8, 10, 2.5, 0.5, pytest.approx(diameters.mean()))
    other = measure_layout([np.zeros((20, 20), np.int32), first, second])
    assert (other.height, other.width) == (8, 10)


def test_it_is_what_a_bin_count_gives():
    maps = [blob_map(seed) for seed in range(4)]
    diameters = []
    for label_map in maps:
        border = {*label_map[0], *label_map[-1], *label_map[:, 0], *label_map[:, -1]}
        areas = np.bincount(label_map.ravel())
        diameters += [2.0 * np.sqrt(areas[label] / np.pi) for label in range(1, len(areas)) if label not in border]
    assert measure_layout(maps).cell_size == float(np.mean(diameters))


def test_without_a_whole_cell_there_is_no_size():
    with pytest.raises(InputError, match="hold no cell off the border, from which the cell size is measured"):
        measure_layout([disc_map([(0, 9)], 5, 30, 30)])
