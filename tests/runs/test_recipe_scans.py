"""The measures of whole scans in a run: those of volumes put together by hand; what is ignored; keys of runs without either."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from slice_runs import FLOOR, labels, trained
from slice_samples import slice_manifest
from training_helpers import read_rows

from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.metrics.lesions import wmh_scores
from rbc_lightning.runs.untrained import UntrainedSegmenter
from rbc_lightning.segmenters.training import find_classes, load_best
from rbc_lightning.tracking.curves import CsvTracking

SPACING = (1.5, 2.0, 6.0)  # x, y, z
NAMES = ("h95", "avd", "lesion_recall", "lesion_f1")


def placed():
    """The tiny scans with mm between rows, columns and slices; each scan ends with an empty slice."""
    spec = replace(slice_manifest().spec, spacing=SPACING[1::-1])
    return Manifest(tuple(replace(sample, spec=spec, distance=SPACING[2]) for sample in slice_manifest().samples))


def floor(manifest, **changes):
    known = {"data": manifest.fingerprint(), "model": FLOOR, "trainer": TrainerSettings(progress_bar=False)}
    return UntrainedSegmenter(**known, manifest=manifest, tracking=CsvTracking(), labels=labels(FLOOR), **changes)


def rebuilt(manifest, task, scan, ignored=()):
    """Truth, 2 where ignored, and prediction of a scan, (Z, Y, X)."""
    slices = sorted((s for s in manifest.samples if s.volume == scan), key=lambda sample: sample.slice)
    truth = np.stack([s.load_label_map() + 2 * (s.marked(ignored) & (s.load_label_map() == 0)) for s in slices])
    return truth, np.stack([find_classes(task, s.load_image(), s.spec, "32-true") for s in slices])


@pytest.mark.parametrize("ignored", [(), ("outline",)])
def test_a_run_has_the_measures_of_its_volumes(tmp_path, ignored):
    manifest = placed()
    recipe = floor(manifest, ignored=ignored)
    recipe.build(tmp_path / "run", Store(tmp_path / "artifacts"))
    task = load_best(tmp_path / "run", recipe.model.with_facts(recipe.model.facts(Samples(manifest.split("train")))))
    rows = {row["sample_id"]: row for row in read_rows(tmp_path / "run" / "per_image.csv")}
    lesions = []
    for scan, row in rows.items():
        truth, found = rebuilt(manifest, task, scan, ignored)
        expected = wmh_scores(truth, found, SPACING)
        assert found.any()
        assert [float(row[name]) for name in NAMES] == pytest.approx(list(expected[1:]), abs=1e-9, nan_ok=True)
        assert float(row["dice"]) == pytest.approx(expected.dice)
        lesions.append(expected.lesion_recall)
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["ignored"] == list(ignored)
    assert record["test/lesion_recall"] == pytest.approx(np.mean(lesions), abs=1e-6)
    assert record["test/undefined_h95"] == sum(np.isnan(float(row["h95"])) for row in rows.values())
    with (tmp_path / "run" / "lesions.csv").open(newline="") as handle:
        found = list(csv.DictReader(handle))
    assert {row["sample_id"] for row in found} == set(rows)
    # A square of 5 x 4 pixels in each of the two slices that have one.
    assert sum(float(row["ml"]) for row in found) == pytest.approx(2 * 2 * 20 * 1.5 * 2 * 6 / 1000)


def test_what_is_ignored_is_in_the_key_where_it_is_used_alone():
    manifest = placed()
    for recipe in (trained(manifest), floor(manifest)):
        assert "ignored" not in recipe.settings()
        assert "ignored" not in recipe.parts()["base"]
        other = replace(recipe, ignored=("outline",))
        assert other.key != recipe.key
        assert other.parts()["base"]["ignored"] == ["outline"]
