"""Cells of the true image stay as they are, however they lie; those mirrored in are cells of their own."""

import random

import numpy as np
import pytest
import yaml

from rbc_lightning.data.augment.transforms import TrainingAugmentation, build_augmentation
from rbc_lightning.usage import CONF_DIR


def under_another():
    """A long cell 1, parted by cell 2 that lies over it, in the middle of the frame."""
    labels = np.zeros((100, 100), np.int32)
    labels[46:54, 30:70], labels[38:62, 44:56] = 1, 2
    return labels


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        ({"affine": {"p": 0}}, [1, 2]),
        ({"affine": {"p": 1, "rotate": [30, 30]}, "elastic": {"p": 1, "alpha": 40, "sigma": 8}}, [1, 2]),
        ({"horizontal_flip": {"p": 1}, "rotate_90": {"p": 1}, "elastic": {"p": 1, "alpha": 40, "sigma": 8}}, [1, 2]),
        # An end of it stays in the frame; both pieces of its mirror image are one more cell. The upper one left, and came back.
        ({"affine": {"p": 1, "translate_px": {"x": [-65, -65], "y": [0, 0]}}}, [1, 2, 3]),
        ({"affine": {"p": 1, "translate_px": {"x": [-65, -65], "y": [0, 0]}}, "elastic": {"p": 1, "alpha": 9}}, [1, 2, 3]),
    ],
)
def test_a_cell_that_lies_under_another_stays_one(transforms, expected):
    for seed in range(5):
        moved = build_augmentation(transforms)(np.zeros((100, 100, 3), np.uint8), under_another(), seed)[1]
        assert np.unique(moved[moved > 0]).tolist() == expected


def test_strong_augmentation_draws_two_cells_of_two():
    strong = yaml.safe_load((CONF_DIR / "augment" / "strong.yaml").read_text())["transforms"]
    augment, labels = build_augmentation(strong), np.pad(under_another(), 100)
    for seed in range(60):
        assert np.unique(augment(np.zeros((*labels.shape, 3), np.uint8), labels, seed)[1]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "transforms", [{"affine": {"p": 1, "rotate": [50, 50]}}, {"elastic": {"p": 1, "alpha": 300, "sigma": 8}}]
)
def test_what_came_from_outside_is_marked_to_the_pixel(transforms):
    compose = build_augmentation(transforms)._compose
    rows, columns = np.mgrid[1:101, 1:101]
    frame, image = np.zeros((100, 100), np.uint8), np.zeros((100, 100, 3), np.uint8)
    inside, mirrored = [], []
    for seed in range(10):
        compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        moved = compose(image=image, mask=(rows * 1000 + columns).astype(np.int32), mirror=frame)
        # Where the true image goes on, so do rows and columns in one handedness; a mirror image in one axis has the other.
        row, column = moved["mask"] // 1000, moved["mask"] % 1000
        turned = np.gradient(row, axis=0) * np.gradient(column, axis=1) - np.gradient(row, axis=1) * np.gradient(column, axis=0)
        inside.append(turned[moved["mirror"] == 0])
        mirrored.append(turned[np.isin(moved["mirror"], [1, 3, 6, 8])])
    assert sum(map(len, mirrored)) > 1000
    # Differences reach over the border of two images.
    assert (np.concatenate(inside) < -0.1).mean() < 0.1
    assert (np.concatenate(mirrored) > 0.1).mean() < 0.1


def test_only_runs_with_reflected_cells_have_another_key():
    assert "reflected" not in TrainingAugmentation({"horizontal_flip": {"p": 1}}).decisive()
    assert TrainingAugmentation({"elastic": {"p": 1}}).decisive()["reflected"] == 2
