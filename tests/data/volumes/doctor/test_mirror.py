import re

import numpy as np
import pytest

from rbc_lightning.data.volumes.doctor.mirror import mirror_finding

SHAPE = (20, 24, 10)
X, Y, Z = "left to right", "front to back", "top to bottom"


@pytest.fixture
def scan():
    """Bright lesions and dark ventricles in noise, each off the middle of all axes."""
    lesions, ventricles = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    lesions[3:7, 4:9, 2:4] = True
    ventricles[9:13, 5:10, 6:9] = True
    z = np.random.default_rng(0).normal(0, 0.3, SHAPE)
    return z + lesions - ventricles, lesions, ventricles


def test_a_mask_that_fits_is_not_warned_of(scan):
    z, lesions, ventricles = scan
    assert mirror_finding("a", z, lesions, ventricles) is None
    assert mirror_finding("a", z, lesions, np.zeros_like(lesions)) is None


@pytest.mark.parametrize(
    ("axes", "named"), [((0,), X), ((1,), Y), ((0, 1), f"{X} and {Y}"), ((0, 1, 2), f"{X} and {Y} and {Z}")]
)
@pytest.mark.parametrize("labelled", [True, False])
def test_a_mirrored_mask_is_told_with_the_flip_that_fits(scan, axes, named, labelled):
    z, lesions, ventricles = scan
    flipped = np.flip(lesions, axes), np.flip(ventricles, axes) & labelled
    finding = mirror_finding("a", z, *flipped)
    assert f"mirrored {named}: " in finding.text
    assert finding.grave
    dark = r", ventricles -\d.\d\d" if labelled else ""
    assert re.search(rf"is lesions \+(1\.0|0\.9)\d{dark} so, lesions [+-]0", finding.text)


def test_what_a_flip_hardly_changes_tells_nothing(scan):
    z, lesions, _ = scan
    nothing = np.zeros_like(lesions)
    few = nothing.copy()
    few[3, 4, 2:4] = True
    middle = nothing.copy()
    middle[8:12, 10:14, 3:7] = True
    for mask in (few, middle, nothing):
        assert mirror_finding("a", z + np.flip(mask, 0) * 2.0, mask, nothing) is None


def test_a_mask_of_another_shape_is_left_to_the_geometry(scan):
    z, lesions, ventricles = scan
    assert mirror_finding("a", z, lesions[1:], ventricles[1:]) is None
