"""`logger=csv` and `logger=tensorboard`: where curves lie, and that a resumed training overwrites none."""

import sys

import pytest
from pytorch_lightning.loggers import CSVLogger

from rbc_lightning.core.build import build
from rbc_lightning.errors import InputError
from rbc_lightning.tracking import curves
from rbc_lightning.tracking.curves import TensorBoardTracking

SPEC = {"_target_": "rbc_lightning.tracking.curves.CsvTracking"}


def log_once(tracking, directory, value):
    (logger,) = tracking.open(directory, job="train", tags=["rd"])
    logger.log_metrics({"val/dice": value}, step=0)
    logger.save()
    tracking.close([logger])


def test_each_part_of_a_training_has_curves_of_its_own(tmp_path):
    tracking = build(SPEC, "logger", config={"seed": 0}, runs_dir=tmp_path)
    for value in (0.25, 0.75):
        log_once(tracking, tmp_path / "run", value)
    rows = {path.parent.name: path.read_text().splitlines()[1] for path in tmp_path.glob("run/*/metrics.csv")}
    assert {name: set(row.split(",")) for name, row in rows.items()} == {"curves": {"0", "0.25"}, "curves_1": {"0", "0.75"}}


def test_a_setting_that_nobody_reads_is_refused():
    with pytest.raises(InputError, match=r"logger\.project=mine is no setting of CsvTracking"):
        build({**SPEC, "project": "mine"}, "logger")


def test_a_missing_package_is_named_before_anything_begins(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        InputError, match=r"logger=tensorboard needs the package tensorboard: install it .*, or take logger=csv"
    ):
        TensorBoardTracking()


def test_both_kinds_of_curves_are_written(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(curves, "require", lambda *_: None)
    monkeypatch.setattr("pytorch_lightning.loggers.TensorBoardLogger", lambda *place, **names: made.append((place, names)))
    first, _ = TensorBoardTracking().open(tmp_path, job="train", tags=[])
    assert isinstance(first, CSVLogger)
    assert made == [((tmp_path,), {"name": "", "version": "tensorboard"})]
