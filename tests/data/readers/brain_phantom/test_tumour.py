import numpy as np
import pytest
from brain_helpers import ml, subject
from scipy.ndimage import binary_dilation, label

from rbc_lightning.data.readers.brain_phantom.anatomy import draw_anatomy
from rbc_lightning.data.readers.brain_phantom.fields import NODES
from rbc_lightning.data.readers.brain_phantom.tumour import draw_tumour


def test_the_classes_are_nested_and_of_the_volumes_of_gliomas():
    oedema, core, rim = np.median([[ml(subject(k, tumour=True), value) for value in (4, 5, 6)] for k in (1, 2)], axis=0)
    assert 15 < oedema < 120
    assert 3 < core < 40
    assert 3 < rim < 45
    labels = subject(1, tumour=True).labels
    assert set(np.unique(labels)) == {0, 2, 3, 4, 5, 6}
    assert label(labels >= 5, np.ones((3, 3, 3)))[1] == 1
    around = binary_dilation(labels == 5) & (labels != 5)
    assert np.isin(labels[around], (4, 6)).mean() > 0.8


def test_the_rim_is_bright_after_the_contrast_agent_and_the_core_is_not():
    drawn = subject(1, tumour=True)
    oedema, core, rim = (np.median(drawn.t1w[drawn.labels == value]) for value in (4, 5, 6))
    assert core < oedema < rim


def test_the_brain_is_pushed_aside_and_the_skull_is_not():
    anatomy, tumour = draw_anatomy(np.random.default_rng(0)), draw_tumour(np.random.default_rng(1))
    moved = tumour.push(anatomy)
    change = np.abs(moved.patches - anatomy.patches)
    x, y, z = (p - c for p, c in zip(NODES.positions, tumour.centre, strict=True))
    near = np.sqrt(x**2 + y**2 + z**2) < tumour.radius
    assert change[near].mean() > 0.3
    assert change[anatomy.cavity > 0].max() == pytest.approx(0, abs=1e-5)
    assert np.array_equal(moved.head > 0, anatomy.head > 0)
