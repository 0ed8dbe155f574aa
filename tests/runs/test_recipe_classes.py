"""The chain on slices of scans, one class and two: rows by scan, patients as units, pictures, a floor."""

import json

import numpy as np
import pytest
from PIL import Image
from slice_runs import FLOOR, labels, trained
from slice_samples import SIDE, slice_manifest
from training_helpers import read_rows

from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Samples
from rbc_lightning.runs.untrained import UntrainedSegmenter
from rbc_lightning.segmenters.training import find_objects, load_best
from rbc_lightning.tracking.curves import CsvTracking

CLASSES = [("lesion",), ("core", "rim")]


@pytest.mark.parametrize("classes", CLASSES)
def test_a_run_on_scans_has_a_row_for_each_and_patients_as_units(tmp_path, classes):
    manifest, store = slice_manifest(*classes), Store(tmp_path / "artifacts")
    recipe = trained(manifest)
    recipe.build(tmp_path / "run", store)
    rows = read_rows(tmp_path / "run" / "per_image.csv")
    assert [(row["sample_id"], row["group"]) for row in rows] == [("c", "c"), ("d", "d")]
    names = [f"dice_{name}" for name in classes]
    assert set(rows[0]) >= {"dice", *names, "accuracy", "mean_iou_background", "nothing_mean_dice_background"}
    assert not set(rows[0]) & {"ap50", "aji", "n_true", "count_error"}
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    headline = "mean_dice" if len(classes) > 1 else "dice"
    assert metrics["headline"] == f"test/{headline}"
    assert metrics[f"test/{headline}"] == pytest.approx(np.mean([float(row[headline]) for row in rows]), abs=1e-6)
    assert set(metrics["left_out"]) == {"dice_pooled"}
    # Patients of one scan each are units as images are.
    assert set(metrics["left_out"]["dice_pooled"]) == {"image c", "image d"}
    assert ("threshold" in metrics) == (len(classes) == 1)
    assert (metrics["n_test"], "nothing_accuracy" in metrics["metrics"]) == (2, False)
    assert Image.open(tmp_path / "run" / "figures" / "run.png").size[0] > 100
    # What the run found, as pictures and further stages ask for it.
    facts = recipe.model.facts(Samples(manifest.split("train")))
    task, sample = load_best(tmp_path / "run", recipe.model.with_facts(facts)), manifest.split("test")[0]
    found = find_objects(task, sample.load_image(), sample.spec, "32-true")
    assert found.class_map.shape == (SIDE, SIDE)
    assert len(found) == len(found.boxes) == len(found.classes)
    assert found.class_map.max(initial=0) <= len(classes)


@pytest.mark.parametrize("classes", CLASSES)
def test_the_floor_of_scans_finds_lesions_and_no_scalp(tmp_path, classes):
    manifest = slice_manifest(*classes)
    recipe = UntrainedSegmenter(
        data=manifest.fingerprint(), model=FLOOR, manifest=manifest, tracking=CsvTracking(), labels=labels(FLOOR)
    )
    recipe.build(tmp_path / "run", Store(tmp_path / "artifacts"))
    rows = read_rows(tmp_path / "run" / "per_image.csv")
    assert [row["sample_id"] for row in rows] == ["c", "d"]
    # One threshold tells one class: of two the brighter one.
    assert min(float(row[f"dice_{classes[-1]}"]) for row in rows) > 0.95
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics.get("finds") == (None if len(classes) == 1 else "rim")
    if len(classes) > 1:
        assert {float(row["dice_core"]) for row in rows} == {0.0}
        chosen = {"class": "chosen"}
        assert recipe.settings()["class"] == "chosen"
        assert (recipe.parts()["base"], metrics["mix"]["total"]) == ({"model": FLOOR.decisive(), **chosen}, 0)
    else:
        assert recipe.parts()["base"] == {"model": FLOOR.decisive()}
        assert "class" not in recipe.settings()
