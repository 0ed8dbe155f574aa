"""Images of another source are tested apart, by the weights that the test split is tested by."""

import json

import pytest
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment


@pytest.mark.parametrize("floor", [False, True])
def test_external_images_leave_rows_and_values_of_their_own(own_folder, tmp_path, compose_tiny, floor):
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace("smear_06,test", "smear_06,external"))
    models = ("model=threshold",) if floor else ("mix=rd", "training.steps=2", "training.steps_per_epoch=1")
    result = run(compose_tiny(tmp_path, *models, root=own_folder))
    directory = result.directory
    metrics = json.loads((directory / "metrics.json").read_text())
    (tested,), (external,) = read_rows(directory / "per_image.csv"), read_rows(directory / "per_image_external.csv")
    assert (tested["sample_id"], external["sample_id"], external["group"]) == ("smear_05", "smear_06", "slide_6")
    assert list(tested) == list(external)
    assert metrics["external/dice"] == pytest.approx(float(external["dice"]), abs=1e-6)
    assert metrics["test/dice"] == pytest.approx(float(tested["dice"]), abs=1e-6)
    assert metrics["n_test"] == 1
    assert {name.partition("/")[0] for name in metrics if "/" in name} <= {"test", "val", "external"}


def test_runs_without_external_images_have_none(made):
    (directory,) = (made / "runs").glob("folder_*")
    assert not (directory / "per_image_external.csv").exists()
    assert "external" not in (directory / "metrics.json").read_text()


def test_folds_leave_external_images_where_they_are(own_folder, tmp_path, compose_tiny):
    table = own_folder / "splits.csv"
    table.write_text(table.read_text().replace("smear_06,test", "smear_06,external"))
    manifest = Experiment(compose_tiny(tmp_path, "data.folds=3", "data.fold=0", "protocol=paper", root=own_folder)).manifest
    assert manifest.ids("external") == ("smear_06",)
    assert len(manifest.ids("test")) == 2
