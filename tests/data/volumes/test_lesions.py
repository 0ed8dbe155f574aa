import numpy as np
import pytest
from scipy.spatial.distance import pdist

from rbc_lightning.data.volumes.lesions import COLUMNS, find_lesions

AFFINE = np.array([[-1.0, 0, 0, 10], [0, 2, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]])
CLASSES = {1: "lesion", 4: "core"}


def volume(**boxes):
    labels = np.zeros((12, 12, 6), np.uint8)
    for value, corners in boxes.items():
        for box in corners:
            labels[box] = int(value[1:])
    return labels


def test_a_single_voxel_has_volume_extent_and_place():
    (lesion,) = find_lesions(volume(v1=[(3, 4, 2)]), AFFINE, CLASSES)
    assert (lesion.name, lesion.voxels, lesion.volume) == ("lesion", 1, pytest.approx(0.01))
    assert lesion.extent == pytest.approx(np.sqrt(1 + 4 + 25))
    assert lesion.center == (3, 4, 2)
    assert lesion.world == (7, -12, 40)
    assert dict(zip(COLUMNS, lesion.row(1), strict=True)) == {
        **{"lesion": 1, "class": "lesion", "volume_ml": 0.01, "extent_mm": 5.48, "voxels": 1},
        **{"center_right_mm": 7, "center_front_mm": -12, "center_up_mm": 40, "center_x": 3, "center_y": 4, "center_z": 2},
    }


def test_voxels_that_touch_at_a_corner_are_one_lesion_and_classes_are_apart():
    labels = volume(v1=[(1, 1, 1), (2, 2, 2), (8, 8, np.s_[2:5])], v4=[(3, 3, 3)], v2=[(5, 5, 5)])
    assert [(one.name, one.voxels) for one in find_lesions(labels, AFFINE, CLASSES)] == [
        *[("lesion", 3), ("lesion", 2)],
        ("core", 1),
    ]
    assert find_lesions(volume(), AFFINE, CLASSES) == []


def test_the_extent_is_the_longest_line_between_corners_under_any_affine():
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3, :3] = rng.normal(size=(3, 3))
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[tuple(np.clip(rng.normal(4, 1, (3, 60)).round().astype(int), 0, 8))] = 1
    largest = find_lesions(labels, affine, CLASSES)[0]
    only = np.zeros((9, 9, 9), np.uint8)
    only[1:8, 2, 3] = only[1, 2:7, 3] = only[4, 2, 3:8] = 1
    (shape,) = find_lesions(only, affine, CLASSES)
    corners = (np.argwhere(only)[:, None] + np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3), -1).reshape(-1, 3)).reshape(-1, 3)
    assert shape.extent == pytest.approx(pdist(corners @ affine[:3, :3].T).max())
    assert largest.volume == pytest.approx(largest.voxels * abs(np.linalg.det(affine[:3, :3])) / 1000)
