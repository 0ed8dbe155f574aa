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
    # Places off the border for 2 x 2, 2 x 4 and single pixels.
    size = np.average(diameters, weights=[1 / (5 * 7), 1 / (5 * 5), 1 / (6 * 8), 1 / (6 * 8)])
    assert measure_layout([first, second]) == TrainLayout(8, 10, 2.5, 0.5, pytest.approx(size))
    other = measure_layout([np.zeros((20, 20), np.int32), first, second])
    assert (other.height, other.width) == (8, 10)


def test_it_is_what_a_bin_count_gives():
    maps = [blob_map(seed) for seed in range(4)]
    diameters, weights = [], []
    for label_map in maps:
        border = {*label_map[0], *label_map[-1], *label_map[:, 0], *label_map[:, -1]}
        areas = np.bincount(label_map.ravel())
        for label in set(range(1, len(areas))) - border:
            diameters.append(2.0 * np.sqrt(areas[label] / np.pi))
            rows, columns = np.nonzero(label_map == label)
            weights.append(1 / ((95 - np.ptp(rows) - 1) * (127 - np.ptp(columns) - 1)))
    assert measure_layout(maps).cell_size == pytest.approx(np.average(diameters, weights=weights))


def test_without_a_whole_cell_there_is_no_size():
    with pytest.raises(InputError, match="hold no cell off the border, from which the cell size is measured"):
        measure_layout([disc_map([(0, 9)], 5, 30, 30)])
