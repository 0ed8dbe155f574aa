"""As hard as real scans: a threshold fails, hand-made features do not suffice (experiments/brain_floors, at small size)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store

FLOORS = Path(__file__).parents[4] / "experiments" / "brain_floors" / "floors.py"
SPEC = {
    "_target_": "rbc_lightning.data.readers.brain_phantom.BrainPhantomReader",
    "name": "mri_phantom",
    "n_train": 5,
    "n_test": 5,
    "n_external": 0,
    "coarseness": 2,
    "phantom_seed": 1,
    "outline": "brain",
}


@pytest.mark.slow
def test_a_threshold_is_far_from_a_voxel_classifier_and_that_from_perfect(tmp_path):
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("floors", FLOORS)
    floors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(floors)
    rows = list(floors.floors(build(SPEC, "data").read(Store(tmp_path, lambda line: None))))
    threshold, classifier = (np.array([row[f"{name}_dice"] for row in rows]) for name in ("threshold", "classifier"))
    assert len(rows) == 5
    assert 0.1 < threshold.mean() < 0.35
    assert 0.5 < classifier.mean() < 0.75
    assert classifier.min() > 0.2  # no scan is hopeless
